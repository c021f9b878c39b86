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

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]
Numbers = NDArray[np.int32]
Integers = NDArray[np.signedinteger]

AT_ONCE = 1_000_000  # clicks that are sorted together, each taking some 50 bytes meanwhile
LOW = (1 << 32) - 1


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


def within_bounds(
    day: Integers, session: Codes, row: Integers, share: float, bounds: Bounds = BOUNDS
) -> Mask:
    """(n,) whether each click may be trained on.

    day, session, row: (n,) of each click; sessions are hashes, so that their order is random. Clicks in order
    of session take about 20 bytes each and what the largest day takes meanwhile, others 30 more.
    share: of a day's sessions that may hold one item; 1 keeps every click.
    """
    if share >= 1 or not len(row):
        return np.ones(len(row), np.bool_)
    begins = session[1:] != session[:-1]
    if (session[1:] < session[:-1]).any():
        order = np.argsort(session, kind="stable")
        of_ordered = within_bounds(day[order], session[order], row[order], share, bounds)
        kept = np.empty(len(row), np.bool_)
        kept[order] = of_ordered
        return kept
    number = np.zeros(len(row), np.int32)  # of each click's session
    np.cumsum(begins, out=number[1:])
    kept = _within_share(day, number, row, share, bounds)
    _drop_unsupported(number, row, kept, bounds)
    return kept


def _within_share(day: Integers, number: Numbers, row: Integers, share: float, bounds: Bounds) -> Mask:
    """(n,) whether each click is in a session that its item is allowed on that day."""
    kept = np.ones(len(row), np.bool_)
    parts = range(0, len(day), AT_ONCE)
    for each in np.unique(np.concatenate([np.unique(day[start : start + AT_ONCE]) for start in parts])):
        clicks = np.flatnonzero(day == each)
        pairs, pair_of = np.unique(_pair(row[clicks], number[clicks]), return_inverse=True)
        _, first, sessions = np.unique(pairs >> 32, return_index=True, return_counts=True)  # of each item
        of_day = 1 + np.count_nonzero(np.diff(number[clicks]))
        allowed = max(share * of_day, bounds.min_sessions, bounds.mean_multiple * len(pairs) / len(first))
        place = np.arange(len(pairs)) - np.repeat(first, sessions)
        kept[clicks] = (place < allowed)[pair_of]
    return kept


def _drop_unsupported(number: Numbers, row: Integers, kept: Mask, bounds: Bounds) -> None:
    """Take the clicks in the surplus of a heavy item out of those `kept`."""
    pairs = _Pairs(number, row, kept, bounds)
    for lift in (bounds.lift, 1):
        surplus = pairs.surplus(lift)
        if _effective_number(pairs.rows[surplus]) <= bounds.max_pushed_items:
            break
    if not len(surplus):
        return
    dropped = _pair(pairs.numbers[pairs.session_of(surplus)], pairs.rows[surplus])
    for clicks in _stretches(number):
        pair = _pair(number[clicks], row[clicks])
        place = np.searchsorted(dropped, pair).clip(max=len(dropped) - 1)
        kept[clicks] &= dropped[place] != pair


class _Pairs:
    """Each item of each session once, in the order of the sessions; clicks that are not `kept` don't count.

    rows: (n,) the items. offsets: the pairs of session s are rows[offsets[s]:offsets[s + 1]].
    numbers: (n_sessions,) the sessions' own numbers, ascending.
    """

    def __init__(self, number: Numbers, row: Integers, kept: Mask, bounds: Bounds) -> None:
        self.bounds = bounds
        rows, n = np.empty(len(row), np.int32), 0
        numbers, lengths = [], []
        for clicks in _stretches(number):
            here = kept[clicks]
            pairs = np.unique(_pair(number[clicks][here], row[clicks][here]))
            rows[n : n + len(pairs)] = pairs & LOW
            n += len(pairs)
            found, length = np.unique((pairs >> 32).astype(np.int32), return_counts=True)
            numbers.append(found)
            lengths.append(length)
        self.rows, self.numbers = rows[:n], np.concatenate(numbers)
        self.offsets = np.concatenate(([0], np.cumsum(np.concatenate(lengths))))
        self.n_sessions = len(self.numbers)
        self.frequency = np.bincount(self.rows)  # sessions of each item
        self.mean = n / max(1, int(np.count_nonzero(self.frequency)))
        self.light = int(max(bounds.min_heavy, bounds.heavy_share * self.n_sessions, self.mean))

    def session_of(self, pairs: Codes) -> Codes:
        """(n,) which session each pair belongs to: a place in `numbers`."""
        return np.searchsorted(self.offsets, pairs, side="right") - 1

    def surplus(self, lift: float) -> Codes:
        """The unsupported pairs of heavy items that are too many, in order."""
        surplus = [np.zeros(0, np.int64)]
        always = max(self.bounds.min_sessions, self.light // self.bounds.left_divisor)
        for heavy, holding in self._heavy():
            n_supported, unsupported = self._split(heavy, holding, lift)
            surplus.append(unsupported[max(always, n_supported) :])
        return np.sort(np.concatenate(surplus))

    def _heavy(self) -> Iterator[tuple[int, Codes]]:
        """Each heavy item and its pairs, of some items at a time: all together may be half of all pairs."""
        rows = np.flatnonzero(self.frequency > self.light)
        if not len(rows):
            return
        before = np.cumsum(self.frequency[rows]) - self.frequency[rows]
        for part in np.split(rows, np.flatnonzero(np.diff(before // AT_ONCE)) + 1):
            wanted = np.zeros(len(self.frequency), np.bool_)
            wanted[part] = True
            holding = np.flatnonzero(wanted[self.rows])
            by_row = holding[np.argsort(self.rows[holding], kind="stable")]
            ends = np.cumsum(self.frequency[part])
            yield from zip(part.tolist(), np.split(by_row, ends[:-1]), strict=True)

    def _split(self, heavy: int, holding: Codes, lift: float) -> tuple[int, Codes]:
        """In how many of the item's sessions something supports it, and its pairs in the other sessions.

        holding: its pairs. Items that are in many sessions can't meet `lift` times as often as by chance: for
        them it is half of what is possible.
        """
        often = max(int(self.frequency[heavy]), self.bounds.mean_multiple * self.mean) / self.n_sessions
        lift = min(max(1 / (2 * often), 1.0), lift)
        meetings = np.zeros(len(self.frequency), np.int64)
        for _, company, _ in self._with_company(holding):
            meetings += np.bincount(company, minlength=len(meetings))
        supports = self._supports(heavy, meetings, lift)
        n_supported, unsupported = 0, [np.zeros(0, np.int64)]
        for part, company, lengths in self._with_company(holding):
            supported = np.logical_or.reduceat(supports[company], np.cumsum(lengths) - lengths)
            n_supported += int(np.count_nonzero(supported))
            unsupported.append(part[~supported & (lengths > 1)])
        return n_supported, np.concatenate(unsupported)

    def _with_company(self, holding: Codes) -> Iterator[tuple[Codes, Numbers, Codes]]:
        """Some of the pairs at a time, all rows of their sessions, and how many each session has."""
        for start in range(0, len(holding), AT_ONCE // 8):
            part = holding[start : start + AT_ONCE // 8]
            sessions = self.session_of(part)
            starts = self.offsets[sessions]
            lengths = self.offsets[sessions + 1] - starts
            ends = np.cumsum(lengths)
            yield part, self.rows[np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)], lengths

    def _supports(self, heavy: int, meetings: Codes, lift: float) -> Mask:
        """(n_rows,) which rows of the heavy item's sessions support it, the meeting itself not counted."""
        expected = self.frequency[heavy] * self.frequency / self.n_sessions
        beyond_chance = np.maximum(lift * expected, expected + 3 * np.sqrt(expected) + 1)
        elsewhere = meetings <= self.bounds.max_overlap * self.frequency
        supports: Mask = (meetings - 1 >= beyond_chance) & elsewhere
        supports[heavy] = False
        return supports


def _effective_number(rows: Numbers) -> float:
    """Effective number of items among the rows (Simpson's inverse): n where each of n has as many."""
    counts = np.bincount(rows).astype(np.float64)
    return float(counts.sum() ** 2 / max(1.0, (counts**2).sum()))


def _pair(high: Integers, low: Integers) -> Codes:
    """(n,) both in one number, ordered by the first and then by the second; neither is below 0."""
    return high.astype(np.int64) << 32 | low


def _stretches(number: Numbers) -> Iterator[slice]:
    """Slices of about AT_ONCE clicks, which part no session."""
    start = 0
    while start < len(number):
        stop = min(start + AT_ONCE, len(number))
        stop += int(np.searchsorted(number[stop:], number[stop - 1], side="right"))
        yield slice(start, stop)
        start = stop
