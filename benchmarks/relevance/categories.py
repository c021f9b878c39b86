"""What a list of categories costs: `python -m benchmarks.relevance.categories`.

In the shop of benchmarks.serving a hundred products make a category, whose name the catalogue looks up. For
each visit a list of eight products, one of six categories, and one in a shop of a single category, where more
products are looked up in vain, are made in turn. The JSON has p50, p90 and p99 of the processor time of
each, in microseconds, and how many the lists have.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.serving.__main__ import shop

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_sessrec.recommendations import Visit

SHELF = 100  # products of a category
VISITS = 1_500
SHOWN = 6


def measure(visits: Sequence[Sequence[str]]) -> dict[str, dict[str, float]]:
    """Microseconds, inside the shop of benchmarks.serving."""
    from dataclasses import replace

    from django_sessrec.recommendations import Visit, choose, placement_for
    from django_sessrec.serving.categories import choose_categories

    shelves, one_shelf = _catalogue(SHELF), _catalogue(None)
    products = placement_for("product_page")
    categories = replace(products, limit=SHOWN)
    ways: dict[str, Callable[[Visit], Sequence[Any]]] = {
        "products_us": lambda visit: choose(visit, products, catalogue=shelves).chosen,
        "categories_us": lambda visit: choose_categories(visit, categories, catalogue=shelves),
        "of_one_category_us": lambda visit: choose_categories(visit, categories, catalogue=one_shelf),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[int]] = {name: [] for name in ways}
    for items in visits[:VISITS]:
        visit = Visit(items=items[:-1], current=items[-1])
        for name, make in ways.items():
            start = time.thread_time()
            made = make(visit)
            seconds[name].append(time.thread_time() - start)
            found[name].append(len(made))
    return {
        name: dict(zip(("p50", "p90", "p99"), np.percentile(each, [50, 90, 99]) * 1e6, strict=True))
        | {"found": float(np.median(found[name]))}
        for name, each in seconds.items()
    }


def _catalogue(shelf: int | None) -> Any:
    """The shop's, with categories of so many products each; of all of them for None."""
    from django.contrib.auth.models import Group

    from benchmarks.serving.shop import GroupCatalogue
    from django_sessrec.catalogue import TextCatalogue

    class WithCategories(GroupCatalogue):
        def category(self, item: Any) -> str:
            return str(1 + item.pk // shelf if shelf else 1)

        def describe_categories(
            self, categories: Collection[str], request: HttpRequest | None = None
        ) -> dict[str, dict[str, Any]]:
            found = Group.objects.filter(pk__in=categories)
            return {str(each.pk): {"title": each.name, "url": f"/c/{each.pk}/"} for each in found}

    return TextCatalogue(WithCategories())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--sessions", type=int, default=20_000)
    options = parser.parse_args()
    with shop(options.items, options.sessions) as visits:
        print(json.dumps(measure(visits), indent=2))


if __name__ == "__main__":
    main()
