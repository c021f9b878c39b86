"""Whether new products are found: HR@20 of clicks on products that the model has never seen.

The example shop's simulated visitors, in a shop to which products are added every day: they click what is
there, new or not, by what it is. Model and mapping are fitted on the days before the judged ones; the labels
are the clicks of these days: on products that arrived in them (`cold`), on the others (`known`), on all, and
all after a look at such a product (`after_cold`), in percent found in lists of 8 and 20 without the session's
items. `--judge validation` judges five days earlier.

- `category`: what ModelCatalogue.related() lists of the last item's category, the oldest first
- `category_newest`: the same, the newest first
- `content`: the new products that are most like the session, nothing else
- `model`: neighbours, which know none of them
- `stand_in`: neighbours that hear, in place of a new product, the known one that is most like it
- `mixed`: these, with one place in eight for a new product that is like the session, as pages have it
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.relevance.simulation import DAYS, FIRST_DAY
from django_sessrec.recsys.cold_start import ColdStart, session_weights
from django_sessrec.recsys.content import Content
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.sessions import SessionLog
from example_shop.shop.assortment import products
from example_shop.shop.models import Product
from example_shop.shop.population import visitors_of

PER_KIND = 60
ARRIVING = 0.2  # share of the products that arrive one by one in the last ARRIVE_DAYS
ARRIVE_DAYS = 10
JUDGED_DAYS = 5  # the last of them
SESSIONS = 15_000
SHOWN, K = 8, 20


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """A log over all products, row n of it is `goods[n - 1]`; and the day on which each row arrived."""

    goods: list[Product]
    log: SessionLog
    arrived: NDArray[np.int64]  # (n_rows,), 0 for what was there from the start


def simulate_arrivals(sessions: int = SESSIONS, seed: int = 0) -> Arrivals:
    goods = products(per_kind=PER_KIND)
    draw = np.random.default_rng(seed)
    arrived = np.zeros(len(goods), np.int64)
    late = draw.choice(len(goods), round(ARRIVING * len(goods)), replace=False)
    arrived[late] = draw.integers(DAYS - ARRIVE_DAYS, DAYS, len(late))
    for number, product in enumerate(np.argsort(arrived, kind="stable").tolist(), 1):
        goods[product].pk = number  # keys in order of arrival, as a database gives them
    visitors = visitors_of(goods)
    started = FIRST_DAY + np.sort(draw.integers(0, DAYS * DAY, sessions))
    visits, today = [], -1
    for start in started.tolist():
        if (day := (start - FIRST_DAY) // DAY) != today:
            today = day
            visitors.offer(arrived <= today)
        visits.append(visitors.visit(draw))
    lengths = np.array([len(visit) for visit in visits])
    log = SessionLog(
        ItemIndex([str(each.pk) for each in goods]),
        np.concatenate(visits).astype(np.int32) + 1,
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.repeat(started, lengths),
    )
    return Arrivals(goods, log, np.concatenate(([0], arrived)))


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """What is known at the start of the judged days, and the clicks of these.

    embeddings: (n_rows, d) of all items; alike: the cosine from which one is shown
    cold:       (n_rows,) whether the model has never seen a row
    cases:      prefix, label and day of each click on an item that is new to its session
    """

    earlier: SessionLog
    embeddings: FloatArray
    alike: float
    cold: NDArray[np.bool_]
    cases: list[tuple[Rows, int, int]]


def days_from(arrivals: Arrivals, first: int) -> Days:
    log = arrivals.log
    cut, end = np.searchsorted(log.started, FIRST_DAY + DAY * np.array([first, first + JUDGED_DAYS])).tolist()
    earlier, judged = log.slice(0, cut), log.slice(cut, end)
    clicks = np.bincount(earlier.items, minlength=len(log.index))
    intents = Intents.of(earlier)
    contents = {row: content_of(product) for row, product in enumerate(arrivals.goods, 1)}
    known = {row: each for row, each in contents.items() if clicks[row]}
    cold_start = ColdStart.of(known, intents, earlier)
    assert cold_start is not None
    mapped = cold_start.map([Content(), *contents.values()])
    rows = np.where(clicks > 0, np.arange(len(clicks)), 0).astype(np.int32)
    return Days(
        earlier,
        cold_start.embeddings(mapped, rows, intents),
        cold_start.alike,
        (clicks == 0) & (np.arange(len(clicks)) > 0),
        list(_cases(judged)),
    )


def _cases(log: SessionLog) -> Iterator[tuple[Rows, int, int]]:
    for number in range(len(log)):
        session, day = log[number], int((log.started[number] - FIRST_DAY) // DAY)
        for place in range(1, len(session)):
            if session[place] not in session[:place]:
                yield session[:place], int(session[place]), day


def cold(judge: str = "test", sessions: int = SESSIONS) -> dict[str, Any]:
    """The figures, in percent by group of labels, way of making a list, and its length."""
    arrivals = simulate_arrivals(sessions)
    days = days_from(arrivals, DAYS - JUDGED_DAYS * (1 if judge == "test" else 2))
    model = Neighbours().fit(days.earlier)
    hits: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for prefix, label, day in days.cases:
        groups = ["all", "cold" if days.cold[label] else "known"]
        groups += ["after_cold"] if days.cold[prefix[-1]] else []
        found = dict(_lists(arrivals, days, model, prefix, day))
        for group in groups:
            hits[group]["cases"] += 1
            for name, rows in found.items():
                for length in (SHOWN, K):
                    hits[group][f"{name}@{length}"] += int(label in rows[:length])
    return {
        group: {name: count if name == "cases" else 100 * count / of["cases"] for name, count in of.items()}
        for group, of in hits.items()
    }


def _lists(
    arrivals: Arrivals, days: Days, model: Recommender, prefix: Rows, day: int
) -> Iterator[tuple[str, list[int]]]:
    """Each way of making a list, and the best K rows."""
    goods = arrivals.goods
    there = arrivals.arrived <= day
    there[[0, *prefix]] = False
    category = goods[prefix[-1] - 1].category_id
    beside = [row for row in np.flatnonzero(there).tolist() if goods[row - 1].category_id == category]
    by_key = sorted(beside, key=lambda row: int(goods[row - 1].pk))
    yield "category", by_key[:K]
    yield "category_newest", by_key[::-1][:K]
    pool = np.flatnonzero(there & days.cold)
    likeness = days.embeddings[pool] @ (session_weights(len(prefix)) @ days.embeddings[prefix])
    order = np.argsort(-likeness, kind="stable")
    yield "content", pool[order[:K]].tolist()
    yield "model", _ranked(model, prefix, prefix)
    mixed = _ranked(model, np.array([_stand_in(days, row) for row in prefix.tolist()], np.int32), prefix)
    yield "stand_in", mixed
    alike = pool[order][likeness[order] >= days.alike].tolist()
    for place in range(SHOWN // 2, K, SHOWN):
        if alike:
            mixed = [*mixed[:place], alike.pop(0), *mixed[place:]]
    yield "mixed", mixed[:K]


def _ranked(model: Recommender, heard: Rows, prefix: Rows) -> list[int]:
    best: list[int] = model.top(heard, K, exclude=prefix.tolist())[0].tolist()
    return best


def _stand_in(days: Days, row: int) -> int:
    """The known item that is most like a new one; itself where none is."""
    if not days.cold[row]:
        return row
    likeness = np.where(days.cold, -1, days.embeddings @ days.embeddings[row])
    return int(likeness.argmax()) if likeness.max() >= days.alike else row


def content_of(product: Product) -> Content:
    """What the example shop's catalogue says of a product."""
    texts = {"category": [product.category_id], "brand": [product.maker]}
    return Content(product.name, texts, float(product.price))
