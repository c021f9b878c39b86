"""What twenty live rules cost a list: `python -m benchmarks.relevance.rules`.

The shop of benchmarks.serving, whose products have a brand, a category, a price and a stock. A list of eight
is made for each of its visits without and with twenty rules, one after the other, so that both meet the same
machine. The JSON has p50, p90 and p99 in microseconds of processor time of a list without rules, with them,
and of the difference between the two lists of one visit, `rules_us`: rules ask the database nothing more.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.serving.__main__ import shop

VISITS = 1_500
KINDS = 7  # of brands, categories and prices, which take turns across the kinds of products


def rules() -> list[Any]:
    """Twenty rules of every kind, of which none is out of date or for another page."""
    from django_sessrec.models import PlacementRule

    kinds = [
        *(("hide", {"attribute": "item", "values": [str(n), str(n + 1)]}) for n in (11, 21, 31)),
        ("hide", {"attribute": "brand", "values": ["brand 6"]}),
        ("related", {"attribute": "category", "same": False}),
        ("price", {"low": 0.2, "high": 6, "relative": True}),
        ("price", {"low": 1, "high": 900}),
        ("stock", {"pieces": 2, "last": True}),
        *(("boost", {"attribute": "brand", "values": [f"brand {n}"], "places": 2}) for n in range(3)),
        *(("bury", {"attribute": "category", "values": [f"category {n}"], "places": 3}) for n in range(2)),
        (
            "beside",
            {
                "attribute": "brand",
                "values": ["brand 4"],
                "other": {"attribute": "brand", "values": ["brand 5"]},
            },
        ),
        ("cap", {"attribute": "brand", "most": 2, "window": 6}),
        ("cap", {"attribute": "category", "most": 3, "window": 0}),
        *(("pin", {"item": str(100 + n), "position": 1 + 3 * n}) for n in range(3)),
        ("sponsored", {"item": "200", "position": 5}),
    ]
    return [PlacementRule(pk=n, kind=kind, parameters=given) for n, (kind, given) in enumerate(kinds, 1)]


def measure(visits: Sequence[Sequence[str]]) -> dict[str, dict[str, float]]:
    """Microseconds, inside the shop of benchmarks.serving."""
    from dataclasses import replace

    from django_sessrec.catalogue import TextCatalogue
    from django_sessrec.recommendations import Visit, choose, placement_for
    from django_sessrec.serving.merchant_rules import Merchandising

    twenty = rules()
    assert len(twenty) == 20
    without = placement_for("product_page")
    under = replace(without, merchandising=Merchandising.of(twenty))
    catalogue = TextCatalogue(_catalogue())
    seconds: dict[str, list[float]] = {"without_rules_us": [], "with_rules_us": []}
    for number, items in enumerate(visits[:VISITS]):
        visit = Visit(items=items[:-1], current=items[-1])
        pair = [("without_rules_us", without), ("with_rules_us", under)]
        for name, placement in pair if number % 2 else reversed(pair):
            start = time.thread_time()
            choice = choose(visit, placement, catalogue=catalogue)
            seconds[name].append(time.thread_time() - start)
            assert len(choice.chosen) == placement.limit
    times = {name: np.array(each) for name, each in seconds.items()}
    times["rules_us"] = times["with_rules_us"] - times["without_rules_us"]
    return {
        name: dict(zip(("p50", "p90", "p99"), np.percentile(each, [50, 90, 99]) * 1e6, strict=True))
        for name, each in times.items()
    }


def _catalogue() -> Any:
    from benchmarks.serving.shop import GroupCatalogue

    class WithAttributes(GroupCatalogue):
        """Attributes made from the key, as cheap as columns."""

        def attributes(self, item: Any) -> dict[str, Any]:
            kind = item.pk % KINDS
            return {
                "brand": f"brand {kind}",
                "category": f"category {item.pk // 100 % KINDS}",
                "price": 10 * (kind + 1),
                "stock": item.pk % 50,
            }

    return WithAttributes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=43_000)
    parser.add_argument("--sessions", type=int, default=200_000)
    options = parser.parse_args()
    with shop(options.items, options.sessions) as visits:
        print(json.dumps(measure(visits), indent=2))


if __name__ == "__main__":
    main()
