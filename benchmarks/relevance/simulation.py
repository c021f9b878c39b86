"""The example shop's simulated visitors as a session log, without a database: their minds are known."""

from __future__ import annotations

import os
from dataclasses import dataclass

import django
import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import ItemIndex, Rows
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.sessions import SessionLog

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_shop.settings")
django.setup()

from example_shop.shop.assortment import products  # noqa: E402, needs Django's apps
from example_shop.shop.population import visitors_of  # noqa: E402
from example_shop.shop.visitors import Intent, ShopVisitors  # noqa: E402

FIRST_DAY = 1_750_000_000
DAYS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Visitors, and a log of their visits; row n of the log is `visitors.goods[n - 1]`.

    kind: (n_rows,) number of each row's kind of goods, -1 for the padding
    """

    visitors: ShopVisitors
    log: SessionLog
    kind: NDArray[np.int64]


def shoppers() -> ShopVisitors:
    """The visitors of the example shop's whole range."""
    range_of_goods = products()
    for number, product in enumerate(range_of_goods, 1):
        product.pk = number
    return visitors_of(range_of_goods)


def simulate(sessions: int, seed: int = 0) -> Simulation:
    """The example shop's whole range and this many visits of DAYS days."""
    visitors = shoppers()
    draw = np.random.default_rng(seed)
    visits = [visitors.visit(draw) for _ in range(sessions)]
    lengths = np.array([len(visit) for visit in visits])
    started = FIRST_DAY + np.sort(draw.integers(0, DAYS * DAY, sessions))
    kind = [-1, *(visitors.kinds.index(each.kind) for each in visitors.goods)]
    log = SessionLog(
        ItemIndex([each.item_id for each in visitors.goods]),
        np.concatenate(visits).astype(np.int32) + 1,
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.repeat(started, lengths),
    )
    return Simulation(visitors, log, np.array(kind))


def session_of_two(simulation: Simulation, pattern: str, draw: np.random.Generator) -> tuple[Rows, int]:
    """A visit for two kinds of goods in the order of a pattern such as "AAB", and the number of the kind that
    is not on screen at its end."""
    visitors = simulation.visitors
    one = visitors.intent(draw)
    other = next(each for each in iter(lambda: visitors.intent(draw), None) if each.kind != one.kind)
    minds = dict(zip(dict.fromkeys(pattern), (one, other), strict=True))
    latest: dict[str, int] = {}
    seen: list[int] = []
    for letter in pattern:
        row = _next(visitors, minds[letter], latest.get(letter), seen, draw)
        latest[letter] = row
        seen.append(row)
    waiting = next(mind for letter, mind in minds.items() if letter != pattern[-1])
    return np.array(seen, np.int32) + 1, visitors.kinds.index(waiting.kind)


def _next(
    visitors: ShopVisitors, mind: Intent, after: int | None, seen: list[int], draw: np.random.Generator
) -> int:
    """A new product of the kind that somebody has in mind: the first, or one after another of it."""
    while True:
        row = visitors.first(mind, draw) if after is None else visitors.next(after, mind, seen, draw)
        if row not in seen and visitors.goods[row].kind == mind.kind:
            return row
