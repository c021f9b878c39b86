"""What the example shop's pages show: `python -m benchmarks.relevance.pages`.

The shop with its own settings, filled with simulated days whose truth is known, and visitors who walk through
its pages as a browser does: product pages, a basket, an order, and on. The JSON, in percent:

    duplicates_on_page    items of lists that stand elsewhere on their page, in a list or as its product
    bought_again          items of lists that the visitor has in the basket or has bought
    bought_kinds          items of lists after the order that are of a kind of which the visitor has just
                          bought one, and looked at no other since
    basket_complements    items of the lists of eight on the basket's and the order's page that are of the
                          kind of a product in it: a substitute, as nobody buys a second teapot
    ..._lists             lists with any such item
    weak_reasons          reasons that speak of other visits or baskets, of which fewer than three hold both
                          products, counted in the events themselves; `none` of these: with not a single one
    reasons               how many such reasons there were, and `session`, how many say no more than that
                          the session has the product
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django
import numpy as np

from benchmarks.patience import be_patient
from example_shop.shop.browser import Page
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

DAYS, SESSIONS_A_DAY = 14, 1_500
WALKS = 200
BASKET_AFTER_VIEW = 0.4
SHOWN = 8  # items of a list of the basket
FEWEST = 3  # sessions that a reason rests on, at least
OTHERS = {"neighbours", "co_viewed", "bought_together"}  # reasons that speak of other visits
LIST = re.compile(r"<section[^>]*data-sessrec-placement=\"(\w+)\".*?</section>", re.DOTALL)
ITEM = re.compile(r'data-sessrec-item="(\d+)"')
WITH_A_BASKET = {"basket", "thanks"}  # placements for what goes with one


@dataclass(slots=True)
class Tally:
    """Counts of what the pages showed."""

    counts: Counter[str] = field(default_factory=Counter)

    def percent(self, name: str, of: str) -> float:
        return round(100 * self.counts[name] / max(1, self.counts[of]), 2)

    def page(
        self,
        html: str,
        product: str,
        decided: Sequence[str],
        kinds: dict[str, str],
        settled: Set[str] = frozenset(),
    ) -> None:
        """Take in a page's lists.

        product: the page's own, or empty; decided: in the basket or bought; settled: kinds of the order
        """
        shown = [(found[1], ITEM.findall(found[0])) for found in LIST.finditer(html)]
        times = Counter(item for _, items in shown for item in items)
        times[product] += 1
        of_basket = {kinds[item] for item in decided}
        for placement, items in shown:
            self.counts["items"] += len(items)
            self.counts["duplicates"] += sum(times[item] > 1 for item in items)
            if placement == "recently_viewed":  # which is there to lead back
                continue
            if settled:
                self.counts["after_order"] += len(items)
                self.counts["of_bought_kind"] += sum(kinds[item] in settled for item in items)
            if decided:
                self.counts["after"] += len(items)
                self.counts["again"] += len({*items} & {*decided})
            if placement in WITH_A_BASKET and decided:
                substitutes = sum(kinds[item] in of_basket for item in items)
                self.counts["beside"] += len(items)
                self.counts["substitutes"] += substitutes
                self.counts["lists_beside"] += 1
                self.counts["lists_with_substitute"] += substitutes > 0

    def figures(self) -> dict[str, Any]:
        return {
            "duplicates_on_page": self.percent("duplicates", "items"),
            "bought_again": self.percent("again", "after"),
            "bought_kinds": self.percent("of_bought_kind", "after_order"),
            "basket_complements": self.percent("substitutes", "beside"),
            "basket_complements_lists": self.percent("lists_with_substitute", "lists_beside"),
            "weak_reasons": self.percent("weak", "of_others"),
            "weak_reasons_none": self.percent("none", "of_others"),
            "reasons": self.counts["of_others"],
            "reasons_session": self.counts["session"],
            **{name: self.counts[name] for name in ("pages", "items", "lists_beside")},
        }


@contextmanager
def shop(models: Sequence[str]) -> Iterator[dict[str, str]]:
    """The example shop with its history and these models promoted, and that of baskets if it passes its gate;
    yields what became of each."""
    folder = Path(tempfile.mkdtemp(prefix="sessrec-bench-"))
    postgres = Postgres(scratch_folder(), durable=False)
    postgres.start()
    try:
        os.environ |= {
            "DATABASE_URL": postgres.url,
            "BROKER_URL": "memory://",
            "SESSREC_STATE": str(folder),
            "DJANGO_SETTINGS_MODULE": "example_shop.settings",
        }
        django.setup()
        be_patient()
        yield _prepared(models)
        from django_sessrec.capture.outbox import outbox

        outbox.close()  # the last pages' rows: it would ask for Postgres at the process's end
    finally:
        postgres.stop()
        shutil.rmtree(scratch_folder(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _prepared(models: Sequence[str]) -> dict[str, str]:
    from django.conf import settings
    from django.core.management import call_command

    from django_sessrec.training.pipeline import train

    places = settings.SESSREC["PLACEMENTS"]
    places["product_page"].pop("EXPERIMENT")
    for name in WITH_A_BASKET:
        places[name]["LIMIT"] = SHOWN
    for name, keys in places.items():
        if name != "goes_with":
            keys["MODELS"] = list(models)
    call_command("migrate", verbosity=0)
    call_command("fill_shop", verbosity=0)
    call_command("simulate_history", days=DAYS, sessions_per_day=SESSIONS_A_DAY, verbosity=0)
    verdicts = {}
    for model in (*models, "bought_together"):
        run = train(model, trigger="benchmark")
        assert run is not None, "only a run that the schedule asks for is skipped"
        verdicts[model] = f"{run.state}: {run.verdict or run.error}"
        if model in models and run.state != run.State.PUBLISHED:
            raise SystemExit(f"{model} {verdicts[model]}")
    return verdicts


def measure(walks: int) -> dict[str, Any]:
    """Inside the shop: what its pages show to this many visitors, and on what their reasons rest."""
    from example_shop.shop.models import Product
    from example_shop.shop.population import visitors_of

    products = list(Product.objects.all())
    visitors = visitors_of(products)
    kinds = {each.item_id: each.kind for each in visitors.goods}
    draw, tally, sessions = np.random.default_rng(7), Tally(), Sessions.read()
    for _ in range(walks):
        rows = visitors.visit(draw)
        _walk(tally, [products[row] for row in rows], kinds, draw)
        tally.counts.update(sessions.reasons([str(products[row].pk) for row in rows]))
    return tally.figures()


def _walk(tally: Tally, products: Sequence[Any], kinds: dict[str, str], draw: np.random.Generator) -> None:
    """One visit: products, some of them into the basket, the basket's page, an order, and products again."""
    from django.test import Client
    from django.urls import reverse

    from example_shop.shop.traffic import BROWSER

    client = Client(headers={"user-agent": BROWSER, "sec-fetch-site": "same-origin"})
    client.post("/consent/", {"answer": "session", "next": "/"})
    decided: list[str] = []
    settled: set[str] = set()

    def look(address: str, product: str = "") -> None:
        settled.difference_update({kinds[product]} if product and product not in decided else ())
        page = client.get(address)
        if page.status_code != 200:
            raise SystemExit(f"{address} answers {page.status_code}")
        tally.counts["pages"] += 1
        tally.page(page.content.decode(), product, decided, kinds, settled)

    for product in products:
        look(product.get_absolute_url(), str(product.pk))
        if draw.random() < BASKET_AFTER_VIEW and product.stock:
            client.post(reverse("shop:add_to_basket", args=[product.pk]))
            decided += [str(product.pk)] if str(product.pk) not in decided else []
    look("/")
    if not decided:
        return
    look("/basket/")
    checkout = client.get("/checkout/")
    shown = Page(checkout.status_code, checkout.content.decode()).hidden_fields()
    placed = client.post("/checkout/place/", shown)
    if placed.status_code == 302:
        settled.update(kinds[item] for item in decided)
        look(placed.headers["Location"])
    look(products[0].get_absolute_url(), str(products[0].pk))
    look("/")


@dataclass(frozen=True, slots=True)
class Sessions:
    """By item, the sessions that viewed it and those that bought it, of the time that models learnt from.

    A family of variants is one item, as models learn it.
    """

    viewed: dict[str, set[int]]
    bought: dict[str, set[int]]

    @classmethod
    def read(cls) -> Sessions:
        from django_sessrec.training.dataset import read, read_baskets

        end = datetime.now(UTC)
        start = end - timedelta(days=DAYS + 2)
        return cls(_by_item(read(start, end)[0]), _by_item(read_baskets(start, end)[0]))

    def reasons(self, clicks: list[str]) -> Counter[str]:
        """What the reasons of the product page's list rest on, after these clicks."""
        from django_sessrec.recommendations import Visit, choose, placement_for
        from django_sessrec.serving.families import family_of

        visit = Visit(items=clicks[:-1], current=clicks[-1])
        found: Counter[str] = Counter()
        for name in ("product_page", "goes_with"):
            for each in choose(visit, placement_for(name, visit)).chosen:
                found["session"] += each.reason == "session"
                if each.reason in OTHERS and each.because:
                    with_item = self.bought if each.reason == "bought_together" else self.viewed
                    pair = (each.item_id, each.because[0])
                    family = family_of(pair)
                    one, other = (with_item.get(family.get(item, item), set()) for item in pair)
                    both = one & other
                    found["of_others"] += 1
                    found["weak"] += len(both) < FEWEST
                    found["none"] += not both
        return found


def _by_item(log: Any) -> dict[str, set[int]]:
    sessions: dict[str, set[int]] = {}
    for number in range(len(log)):
        for item in log.index.item_ids(log[number]):
            sessions.setdefault(item, set()).add(number)
    return sessions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="neighbours", help="of the shop's settings, tried in this order")
    parser.add_argument("--walks", type=int, default=WALKS)
    options = parser.parse_args()
    with shop(options.models.split(",")) as verdicts:
        print(json.dumps({**measure(options.walks), "models": verdicts}, indent=2))


if __name__ == "__main__":
    main()
