"""Bounds on what bots can teach a model, however much each of them behaves like a person.

An item is pushed by putting it into very many sessions, or into sessions that it does not belong to. Both are
bounded:

    # 1. Share: one item, one day
    for each day, for each item:
        allowed = max(share * sessions of the day, min_sessions, mean_multiple * mean sessions of an item)
        keep the item's clicks in `allowed` of its sessions of that day, chosen by the session's hash

    # 2. Support: one item, the whole log
    for lift in (LIFT, 1):
        for each heavy item (in more sessions than `light`):
            supported   = its sessions in which another item supports it
            unsupported = its other sessions of two items or more
            surplus     = all but max(min_sessions, light / left_divisor, number supported) of the unsupported
        if the surplus belongs to at most max_pushed_items items: stop
    drop the heavy items' clicks in the surplus

An item supports a heavy one if the two meet `lift` times as often as by chance, and more often than chance
explains (three standard deviations), and if it also occurs without the heavy one in at least
1 - max_overlap of its sessions: bots may put any item beside the one that they push.

Where more items than max_pushed_items have a surplus, people who look at unrelated things are the likelier
cause, so the rule is relaxed to lift 1. Sessions of one click always stay: nothing in them could support the
item, and they teach only what is popular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds above which clicks are dropped; a session counts once per item, however often it is clicked.

    min_sessions:     sessions with an item, of one day or unsupported, that always stay: too few to matter
    mean_multiple:    multiple of the mean item's sessions that always stays: in a shop of few items each is
                      in many sessions
    heavy_share:      share of all sessions from which on an item is checked for support
    min_heavy:        sessions with an item below which it is never checked: chance hides what supports it
    lift:             how much more often than by chance two items meet that have to do with each other
    max_overlap:      share of an item's sessions that it may share with a heavy one and still support it
    max_pushed_items: effective number of items with a surplus (Simpson's inverse) that bots may account for
    left_divisor:     one in this many of the sessions that make an item heavy may be unsupported
    """

    min_sessions: int = 10
    mean_multiple: int = 5
    heavy_share: float = 0.002
    min_heavy: int = 50
    lift: float = 10
    max_overlap: float = 0.8
    max_pushed_items: int = 12
    left_divisor: int = 5


BOUNDS = Bounds()


def within_bounds(day: Codes, session: Codes, row: Codes, share: float, bounds: Bounds = BOUNDS) -> Mask:
    """(n,) whether each click may be trained on.

    day, session, row: (n,) of each click; sessions are hashes, so that their order is random.
    share: of a day's sessions that may hold one item; 1 keeps every click.
    """
    if share >= 1:
        return np.ones(len(row), np.bool_)
    kept = _within_share(day, session, row, share, bounds)
    kept[kept] = _supported(session[kept], row[kept], bounds)
    return kept


def _within_share(day: Codes, session: Codes, row: Codes, share: float, bounds: Bounds) -> Mask:
    """(n,) whether each click is in a session that its item is allowed on that day."""
    day, session = _codes(day), _codes(session)
    width, n_sessions = int(row.max(initial=0)) + 1, int(session.max(initial=-1)) + 1
    triples, triple_of = np.unique((day * width + row) * n_sessions + session, return_inverse=True)
    items, first, item_of, sessions = np.unique(
        triples // max(1, n_sessions), return_index=True, return_inverse=True, return_counts=True
    )
    day_of_item = items // width
    day_sessions = np.bincount(np.unique(day * n_sessions + session) // max(1, n_sessions))
    mean = np.bincount(day_of_item, sessions) / np.bincount(day_of_item)
    always = np.maximum(bounds.min_sessions, bounds.mean_multiple * mean)
    allowed = np.maximum(share * day_sessions, always)
    place = np.arange(len(triples)) - first[item_of]
    kept: Mask = (place < allowed[day_of_item][item_of])[triple_of]
    return kept


def _supported(session: Codes, row: Codes, bounds: Bounds) -> Mask:
    """(n,) whether each click is outside the surplus of a heavy item."""
    pairs = _Pairs(session, row, bounds)
    for lift in (bounds.lift, 1):
        surplus = pairs.surplus(lift)
        if _effective_number(pairs.rows[surplus]) <= bounds.max_pushed_items:
            break
    kept = np.ones(len(pairs.rows), np.bool_)
    kept[surplus] = False
    return kept[pairs.pair_of_click]


class _Pairs:
    """Each item of each session once, in the order of the sessions."""

    def __init__(self, session: Codes, row: Codes, bounds: Bounds) -> None:
        self.bounds = bounds
        session = _codes(session)
        width, self.n_sessions = int(row.max(initial=0)) + 1, int(session.max(initial=-1)) + 1
        pairs, self.pair_of_click = np.unique(session * width + row, return_inverse=True)
        self.sessions, self.rows = divmod(pairs, width)
        self.offsets = np.searchsorted(self.sessions, np.arange(self.n_sessions + 1))
        self.frequency = np.bincount(self.rows, minlength=width)  # sessions of each item
        self.by_row, self.ends_of_rows = np.argsort(self.rows, kind="stable"), np.cumsum(self.frequency)
        self.mean = len(pairs) / max(1, int(np.count_nonzero(self.frequency)))
        self.light = int(max(bounds.min_heavy, bounds.heavy_share * self.n_sessions, self.mean))
        self.heavy = np.flatnonzero(self.frequency > self.light)

    def surplus(self, lift: float) -> Codes:
        """The unsupported pairs of heavy items that are too many."""
        surplus = [np.zeros(0, np.int64)]
        always = max(self.bounds.min_sessions, self.light // self.bounds.left_divisor)
        for heavy in self.heavy.tolist():
            n_supported, unsupported = self._split(heavy, lift)
            surplus.append(unsupported[max(always, n_supported) :])
        return np.concatenate(surplus)

    def _split(self, heavy: int, lift: float) -> tuple[int, Codes]:
        """In how many of the item's sessions something supports it, and its pairs in the other sessions.

        Items that are in many sessions can't meet `lift` times as often as by chance: for them it is half of
        what is possible.
        """
        holding = self.by_row[self.ends_of_rows[heavy] - self.frequency[heavy] : self.ends_of_rows[heavy]]
        starts = self.offsets[self.sessions[holding]]
        lengths = self.offsets[self.sessions[holding] + 1] - starts
        ends = np.cumsum(lengths)
        company = self.rows[np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)]
        often = max(int(self.frequency[heavy]), self.bounds.mean_multiple * self.mean) / self.n_sessions
        lift = min(max(1 / (2 * often), 1.0), lift)
        supported = np.logical_or.reduceat(self._supports(heavy, company, lift), ends - lengths)
        return int(np.count_nonzero(supported)), holding[~supported & (lengths > 1)]

    def _supports(self, heavy: int, company: Codes, lift: float) -> Mask:
        """(n,) which rows of the heavy item's sessions support it, the meeting itself not counted."""
        others, other_of, meetings = np.unique(company, return_inverse=True, return_counts=True)
        expected = self.frequency[heavy] * self.frequency[others] / self.n_sessions
        beyond_chance = np.maximum(lift * expected, expected + 3 * np.sqrt(expected) + 1)
        elsewhere = meetings <= self.bounds.max_overlap * self.frequency[others]
        supports: Mask = (meetings - 1 >= beyond_chance) & elsewhere & (others != heavy)
        return supports[other_of]


def _effective_number(rows: Codes) -> float:
    """Effective number of items among the rows (Simpson's inverse): n where each of n has as many."""
    counts = np.bincount(rows).astype(np.float64)
    return float(counts.sum() ** 2 / max(1.0, (counts**2).sum()))


def _codes(values: Codes) -> Codes:
    """0, 1, .. in the order of the values."""
    codes: Codes = np.unique(values, return_inverse=True)[1]
    return codes
