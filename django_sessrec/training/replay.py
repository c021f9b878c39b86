"""A past day's sessions replayed against two runs: what would have changed in their lists."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
from django.utils.translation import gettext as _

from django_sessrec.measuring.days import ONE, first_moment
from django_sessrec.models import TrainingRun
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training.comparison import NotComparable, days_of, opened
from django_sessrec.training.dataset import read_for

SHOWN = 8  # items of a list
EXAMPLES = 5
MOST_SESSIONS = 1_000
MOST_CLICKS = 200_000  # read, about: of a busy shop's day only the last hours
SECONDS = 5.0  # a page waits for it


@dataclass(frozen=True, slots=True)
class Example:
    """A past session and the lists that both would show after it, by item id, best first."""

    clicked: Sequence[str]
    one: Sequence[str]
    other: Sequence[str]


@dataclass(slots=True)
class Replay:
    """What two runs would show after each session.

    since, until: between which sessions were read: the day, or its last hours in a busy shop
    stored, replayed: sessions of that time, and those of them whose lists were made, drawn at random
    differ, starts_differ: lists that differ at all, and that start with another product
    shared: items that are in both lists, summed
    reached: share of all items in any of these lists, by each
    """

    since: datetime
    until: datetime
    stored: int
    replayed: int = 0
    differ: int = 0
    starts_differ: int = 0
    shared: int = 0
    reached: tuple[float, float] = (0.0, 0.0)
    examples: list[Example] = field(default_factory=list)


def replay(one: TrainingRun, other: TrainingRun, day: date, *, seconds: float | None = None) -> Replay:
    """Lists by both published models after the day's sessions, as far as MOST_SESSIONS and SECONDS reach.

    Raises NotComparable for a day without a session, for a model that does not open, and for two of which one
    predicts clicks and the other baskets.
    """
    models = opened(one, other)
    until = first_moment(day + ONE)
    since = max(first_moment(day), until - days_of(MOST_CLICKS, one, other))
    log = read_for(type(models[0]), since, until)
    if not len(log):
        raise NotComparable(_("No session of this day is stored: choose another day."))
    made = Replay(since, until - timedelta.resolution, len(log))
    reached: list[set[str]] = [set(), set()]
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    for clicked in _drawn(log):
        if made.replayed and time.monotonic() > end:
            break
        lists = [
            [each.item_id for each in model.recommend(clicked, SHOWN, exclude=clicked)] for model in models
        ]
        for ids, items in zip(reached, lists, strict=True):
            ids.update(items)
        made.replayed += 1
        made.differ += lists[0] != lists[1]
        made.shared += len({*lists[0]} & {*lists[1]})
        if lists[0][:1] != lists[1][:1]:
            made.starts_differ += 1
            if len(made.examples) < EXAMPLES:
                made.examples.append(Example(clicked, *lists))
    known = [max(1, len(model.index) - 1) for model in models]
    made.reached = (len(reached[0]) / known[0], len(reached[1]) / known[1])
    return made


def _drawn(log: SessionLog) -> list[list[str]]:
    """Item ids of sessions from all over the time, the same ones for the same log."""
    order = np.random.default_rng(0).permutation(len(log))[:MOST_SESSIONS]
    return [log.index.item_ids(log[session]) for session in order.tolist()]
