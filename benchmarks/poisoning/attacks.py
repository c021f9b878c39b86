"""Simulated bots that push an item, and how often people's lists hold it after training with each defence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from django_sessrec.conf import QUARANTINE_DEFAULTS
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.sessions import SessionLog

PROGRAMS = 0.2  # of all visits
K = 20
LISTS = 1_000  # people's lists that are looked at
NO_QUARANTINE = {"QUARANTINE": dict.fromkeys(QUARANTINE_DEFAULTS)}
NO_BOUNDS = {"MAX_ITEM_SHARE": 1.0}  # lets the crowd in altogether
DEFENCES: Mapping[str, Mapping[str, Any]] = {
    "none": NO_QUARANTINE | NO_BOUNDS,
    "quarantine": NO_BOUNDS,
    "both": {},
}
Draw = np.random.Generator


class Visit(NamedTuple):
    """What was clicked and when; times are aware."""

    items: Sequence[str]
    times: Sequence[datetime]


class Shop(NamedTuple):
    """People's visits, oldest first, and the item that programs will push."""

    name: str
    visits: Sequence[Visit]
    pushed: str
    popular: Sequence[str]


def shop_of(name: str, log: SessionLog, draw: Draw, *, own_times: bool) -> Shop:
    """The log's visits moved to end an hour ago; without times of its own they get people's pauses.

    The pushed item is the last of the upper half by popularity: known to the models, and hardly shown.
    """
    shift = datetime.now(UTC) - timedelta(hours=1) - datetime.fromtimestamp(int(log.times.max()) + 3600, UTC)
    visits = []
    for session in range(len(log)):
        seconds = log.times[log.offsets[session] : log.offsets[session + 1]].tolist()
        start = datetime.fromtimestamp(seconds[0], UTC) + shift
        times = (
            [datetime.fromtimestamp(second, UTC) + shift for second in seconds]
            if own_times
            else _human_times(start, len(seconds), draw)
        )
        visits.append(Visit(log.index.item_ids(log[session]), times))
    by_popularity = np.argsort(-np.bincount(log.items, minlength=len(log.index)), kind="stable")
    ranked = log.index.item_ids(by_popularity[by_popularity > 0])
    return Shop(name, visits, ranked[len(ranked) // 2], ranked[:50])


def flood(shop: Shop, at: datetime, draw: Draw) -> Visit:
    """The item again and again, as fast as it goes."""
    return Visit([shop.pushed] * 60, [at + timedelta(seconds=n + draw.random()) for n in range(60)])


def clockwork(shop: Shop, at: datetime, draw: Draw) -> Visit:
    """The item in turn with popular ones, a click every five seconds."""
    items = [item for each in draw.choice(shop.popular, 12) for item in (str(each), shop.pushed)]
    return Visit(items, [at + timedelta(seconds=5 * n + draw.random()) for n in range(len(items))])


def paced(shop: Shop, at: datetime, draw: Draw) -> Visit:
    """As clockwork, as short and as uneven as a person's visit."""
    length = int(draw.integers(2, 7))
    items = [str(draw.choice(shop.popular)) if n % 2 == 0 else shop.pushed for n in range(length)]
    return Visit(items, _human_times(at, length, draw))


def escorted(shop: Shop, at: datetime, draw: Draw) -> Visit:
    """As paced, with an item beside it that stands nowhere else, and so seems to belong to it."""
    items = [*paced(shop, at, draw).items, shop.pushed + "-escort"]
    return Visit(items, _human_times(at, len(items), draw))


def mimic(shop: Shop, at: datetime, draw: Draw) -> Visit:
    """A person's visit over again, with the item in it: no rule about a single visit can tell."""
    items = list(shop.visits[int(draw.integers(len(shop.visits)))].items)[:20]
    items.insert(int(draw.integers(len(items) + 1)), shop.pushed)
    return Visit(items, _human_times(at, len(items), draw))


STYLES: Mapping[str, Callable[[Shop, datetime, Draw], Visit]] = {
    each.__name__: each for each in (flood, clockwork, paced, escorted, mimic)
}


def poisoned(shop: Shop, style: str, draw: Draw, programs: float = PROGRAMS) -> Iterator[Visit]:
    """As many programs' visits as make that share of all, over the whole time."""
    for _ in range(round(len(shop.visits) * programs / (1 - programs))):
        at = shop.visits[int(draw.integers(len(shop.visits)))].times[0]
        yield STYLES[style](shop, at, draw)


def measure(
    shop: Shop,
    styles: Sequence[str],
    estimators: Mapping[str, Any],
    *,
    programs: float = PROGRAMS,
    lists: int = LISTS,
    seed: int = 0,
) -> dict[str, Any]:
    """Share of lists with the pushed item: of each model clean, and poisoned in each style by defence."""
    from django.test import override_settings

    from django_sessrec.capture.bot_rules import quarantine
    from django_sessrec.training.dataset import read

    start = shop.visits[0].times[0] - timedelta(hours=1)
    end = datetime.now(UTC)
    cases = _cases(shop)[:lists]

    def trained(defence: Mapping[str, Any]) -> dict[str, float]:
        with override_settings(SESSREC=_sessrec() | defence):
            quarantine(start, end)
            log, _ = read(start, end)
        return {name: exposure(each.fit(log), cases, shop.pushed) for name, each in estimators.items()}

    store(shop.visits)
    figures: dict[str, Any] = {"clean": trained({})}
    for style in styles:
        sessions = store(poisoned(shop, style, np.random.default_rng(seed), programs))
        figures[style] = {name: trained(defence) for name, defence in DEFENCES.items()}
        _forget(sessions)
    return figures


def exposure(recommender: Recommender, cases: Sequence[Sequence[str]], item: str) -> float:
    """Share of the lists for these visits that hold the item."""
    lists = (recommender.recommend(case, K) for case in cases)
    return sum(any(each.item_id == item for each in shown) for shown in lists) / len(cases)


def store(visits: Iterator[Visit] | Sequence[Visit]) -> list[UUID]:
    """Write the visits' clicks; returns their sessions."""
    from django_sessrec.capture.bulk_copy import copy_events
    from django_sessrec.capture.rows import EventRow
    from django_sessrec.ids import uuid7

    sessions, rows = [], []
    for visit in visits:
        sessions.append(uuid7(visit.times[0]))
        rows += [
            EventRow(uuid7(at), at, sessions[-1], "view_item", item, source="server")
            for item, at in zip(visit.items, visit.times, strict=True)
        ]
    copy_events(rows)
    return sessions


def _forget(sessions: Sequence[UUID]) -> None:
    from django_sessrec.models import Event, Quarantine

    Event.objects.filter(session_id__in=sessions).delete()
    Quarantine.objects.all().delete()


def _cases(shop: Shop) -> list[list[str]]:
    """What people had clicked when they were shown a list: the beginnings of the newest visits."""
    beginnings = [
        list(visit.items[:length]) for visit in reversed(shop.visits) for length in range(1, len(visit.items))
    ]
    return [each for each in beginnings if shop.pushed not in each]


def _human_times(at: datetime, clicks: int, draw: Draw) -> list[datetime]:
    pauses = np.clip(draw.lognormal(3.3, 1.0, clicks), 1, 1_500)
    return [at + timedelta(seconds=float(passed)) for passed in np.cumsum(pauses) - pauses[0]]


def _sessrec() -> dict[str, Any]:
    from django.conf import settings

    return settings.SESSREC


def empty() -> None:
    """Delete all events and quarantine entries."""
    from django_sessrec.models import Event, Quarantine

    Event.objects.all().delete()
    Quarantine.objects.all().delete()
