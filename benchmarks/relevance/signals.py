"""What weights of events change: `SESSREC["EVENT_WEIGHTS"]` on the example shop's simulated history.

Neighbours learn from the first days under each of WEIGHTS; the clicks of the last ones, each on an item that
is new to its session, are looked for in lists without the session's items: all, and those on what the session
bought in the end.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from benchmarks.relevance.simulation import DAYS, FIRST_DAY, shoppers
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training.event_weights import BOUGHT, EventWeights, furthest
from example_shop.shop.history import happenings
from example_shop.shop.visitors import ShopVisitors

A_DAY, JUDGED_DAYS = 1_500, 2
LENGTHS = (8, 20)
WEIGHTS = {
    "alike": EventWeights(),
    "dwell 2": EventWeights(dwell=2),
    "basket 2, purchase 4": EventWeights(basket=2, purchase=4),
    "basket 5, purchase 10": EventWeights(basket=5, purchase=10),
}
EVENT = np.dtype([("id_high", np.uint64), ("session", np.int64), ("row", np.int32), ("kind", np.int8)])
KINDS = ("view_item", "add_to_cart", "purchase")


def signals(days: int = DAYS, a_day: int = A_DAY) -> dict[str, dict[str, float]]:
    """Percent found, by weights: `clicks@8` of all clicks, `bought@8` of those on what was bought."""
    visitors = shoppers()
    index = ItemIndex([each.item_id for each in visitors.goods])
    events = _events(visitors, days, a_day)
    reached = furthest(events)
    clicks, kinds = events[events["kind"] == 0], reached[events["kind"] == 0]
    clicks["kind"] = kinds
    seconds = (clicks["id_high"] >> np.uint64(16)).astype(np.int64) // 1_000
    log = SessionLog.from_rows(clicks["session"], clicks["row"], seconds, index)
    bought = SessionLog.from_rows(clicks["session"], (kinds == BOUGHT) + 1, seconds, index).items > 1
    cut = int(np.searchsorted(log.started, FIRST_DAY + (days - JUDGED_DAYS) * DAY))
    first = int(log.offsets[cut])
    figures = {}
    for name, weights in WEIGHTS.items():
        of = weights.of(clicks)
        weighed = SessionLog.from_rows(clicks["session"], clicks["row"], seconds, index, of)
        found = _found(Neighbours().fit(weighed.slice(0, cut)), log.slice(cut, len(log)))
        wanted = bought[first:][found["click"]]
        figures[name] = {
            f"{group}@{length}": 100 * float(found[f"at_{length}"][chosen].mean())
            for length in LENGTHS
            for group, chosen in (("clicks", slice(None)), ("bought", wanted))
        } | {"cases": len(wanted), "cases_bought": int(wanted.sum())}
    return figures


def _events(visitors: ShopVisitors, days: int, a_day: int) -> NDArray[Any]:
    """The history as the database would give it: in order of session and time."""
    draw = np.random.default_rng(0)
    found: list[tuple[int, int, int, int]] = []
    sessions: dict[UUID, int] = {}
    for day in range(days):
        midnight = datetime.fromtimestamp(FIRST_DAY, UTC) + timedelta(days=day)
        for each in happenings(visitors, midnight, a_day, draw):
            if not each.bot:
                code = sessions.setdefault(each.session_id, len(sessions))
                moment = int(each.at.timestamp() * 1_000) << 16
                found.append((moment, code, each.row + 1, KINDS.index(each.name)))
    events = np.array(found, EVENT)
    return events[np.lexsort((np.arange(len(events)), events["session"]))]


def _found(model: Recommender, log: SessionLog) -> dict[str, NDArray[Any]]:
    """Of each click on an item that is new to its session, its number and whether lists hold it."""
    found: dict[str, list[Any]] = {"click": [], **{f"at_{length}": [] for length in LENGTHS}}
    for number in range(len(log)):
        session = log[number]
        for place in range(1, len(session)):
            prefix = session[:place]
            if session[place] in prefix:
                continue
            rows = model.top(prefix, max(LENGTHS), exclude=prefix.tolist())[0]
            found["click"].append(int(log.offsets[number]) + place)
            for length in LENGTHS:
                found[f"at_{length}"].append(session[place] in rows[:length])
    return {name: np.array(each) for name, each in found.items()}
