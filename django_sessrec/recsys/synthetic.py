"""A synthetic shop with known truth: sessions drawn from planted groups, transitions and intents.

In the package, because a shop tests an estimator of its own on it: one that works beats popularity here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.sessions import SessionLog

FIRST_DAY = 1_750_000_000
FOLLOWS, REPEATS = 0.6, 0.1  # share of clicks that follow a planted transition, and that go back


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticShop:
    """Sessions and what they were drawn from.

    log:       the sessions, of one or two intents
    group_of:  (n_rows,) the group of each row, -1 for the padding
    follows:   (n_rows, 2) the rows that a click on each row leads to, within its group
    intents:   (n_sessions, 2) the groups that each session is about; twice the same for one intent
    """

    log: SessionLog
    group_of: NDArray[np.int64]
    follows: NDArray[np.int64]
    intents: NDArray[np.int64]


def synthetic_shop(
    *, items: int = 300, groups: int = 15, sessions: int = 3_000, days: int = 14, seed: int = 0
) -> SyntheticShop:
    """Zipf-popular items in groups whose demand drifts; the same seed makes the same shop."""
    if not 2 <= groups <= items // 4:
        raise ValueError(f"{items} items make 2 to {items // 4} groups of at least four, not {groups}")
    draw = np.random.default_rng(seed)
    group_of = np.concatenate(([-1], np.arange(items) % groups))
    members = [np.flatnonzero(group_of == group) for group in range(groups)]
    follows = np.zeros((items + 1, 2), np.int64)
    for rows in members:
        shuffled = draw.permutation(rows)
        follows[shuffled] = np.stack([np.roll(shuffled, 1), np.roll(shuffled, 2)], axis=1)

    started = FIRST_DAY + np.sort(draw.integers(0, days * DAY, sessions))
    intents = _draw_intents((started - FIRST_DAY) / (days * DAY), groups, draw)
    visits = [_visit(intent, members, follows, draw) for intent in intents]
    lengths = np.array([len(visit) for visit in visits])
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    clicks_before = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    log = SessionLog(
        ItemIndex([f"item-{row}" for row in range(1, items + 1)]),
        np.concatenate(visits).astype(np.int32),
        offsets.astype(np.int64),
        (np.repeat(started, lengths) + 40 * clicks_before).astype(np.int64),
    )
    return SyntheticShop(log, group_of, follows, intents)


def _draw_intents(elapsed: NDArray[np.float64], groups: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """(n, 2) groups: demand peaks for each group at its own time of the `elapsed` share of all days."""
    peak = draw.permutation(groups) / groups
    demand = 1.2 + np.cos(2 * np.pi * (elapsed[:, None] - peak))  # (n, groups)
    cumulative = np.cumsum(demand / demand.sum(axis=1, keepdims=True), axis=1)
    first, second = ((cumulative < draw.random((len(elapsed), 1))).sum(axis=1) for _ in range(2))
    one_intent = draw.random(len(elapsed)) < 0.7
    both: NDArray[np.int64] = np.stack([first, np.where(one_intent, first, second)], axis=1)
    return both.clip(max=groups - 1)


def _visit(
    intents: NDArray[np.int64],
    members: list[NDArray[np.int64]],
    follows: NDArray[np.int64],
    draw: np.random.Generator,
) -> list[int]:
    """The clicks of one session: each continues one of its two intents."""
    clicks: list[int] = []
    latest: dict[int, int] = {}
    for _ in range(min(40, 1 + draw.geometric(0.25))):
        group = int(intents[int(draw.random() < 0.4)])
        chance = draw.random()
        if group in latest and chance < FOLLOWS:
            row = int(follows[latest[group], int(draw.random() < 0.3)])
        elif clicks and chance > 1 - REPEATS:
            row = clicks[int(draw.integers(len(clicks)))]
        else:
            rows = members[group]
            row = int(rows[int(len(rows) ** draw.random()) - 1])  # log-uniform rank: Zipf's law
        clicks.append(row)
        latest[group] = row
    return clicks
