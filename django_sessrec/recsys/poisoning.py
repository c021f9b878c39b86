"""What a crowd of programs may teach, however much each of them behaves like a person.

An item is pushed by putting it into very many visits, or into visits that it does not belong to. Both are
bounded: the visits of a day that hold one item, and those in which no other item speaks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]

NEVER_EXCESS = 10  # sessions with an item, of a day or where nothing speaks for it: too few to matter
TIMES_THE_MEAN = 5  # a shop of few items has each of them in many sessions: so many times the mean item's
HEAVY = 0.002  # share of all sessions from which on an item's company is looked at: below, it moves little
NEVER_HEAVY = 50  # sessions with an item: in fewer, chance hides what it has to do with
LIFT = 10  # times as often as chance has it do items meet that have to do with each other
ESCORT = 0.8  # share of its sessions in which an item may stand beside another and still speak for it
DOZEN = 12  # effective number of items that lose clicks: where it is more, people may be the cause
LEFT = 5  # of the sessions that make an item heavy, one in so many is left where nothing speaks for it


def within_bounds(day: Codes, session: Codes, row: Codes, share: float) -> Mask:
    """(n,) whether each click may teach; `session` is a hash, so that its order is chance. 1 lets all in."""
    if share >= 1:
        return np.ones(len(row), np.bool_)
    kept = _within_share(day, session, row, share)
    kept[kept] = _in_company(session[kept], row[kept])
    return kept


def _in_company(session: Codes, row: Codes) -> Mask:
    """Of the sessions with a heavy item, those where another item speaks for it, and as many without.

    A few are left of one for which nothing speaks. A session of one click is kept: nothing could speak there,
    and all it teaches is what is popular. Where more than a DOZEN items would lose clicks, a crowd can't
    be told from people who look at things in no order, and to meet oftener than by chance is enough.
    """
    visits = _Visits(session, row)
    for lift in (LIFT, 1):
        beyond = visits.beyond(lift)
        if _effective_number(visits.rows[beyond]) <= DOZEN:
            break
    kept = np.ones(len(visits.rows), np.bool_)
    kept[beyond] = False
    return kept[visits.pair_of]


class _Visits:
    """Each item of each session once, in the order of the sessions."""

    def __init__(self, session: Codes, row: Codes) -> None:
        session = _codes(session)
        width, self.n_sessions = int(row.max(initial=0)) + 1, int(session.max(initial=-1)) + 1
        pairs, self.pair_of = np.unique(session * width + row, return_inverse=True)
        self.sessions, self.rows = divmod(pairs, width)
        self.offsets = np.searchsorted(self.sessions, np.arange(self.n_sessions + 1))
        self.frequency = np.bincount(self.rows, minlength=width)  # sessions of each item
        self.by_row, self.ends_of_rows = np.argsort(self.rows, kind="stable"), np.cumsum(self.frequency)
        self.mean = len(pairs) / max(1, int(np.count_nonzero(self.frequency)))
        self.light = int(max(NEVER_HEAVY, HEAVY * self.n_sessions, self.mean))
        self.heavy = np.flatnonzero(self.frequency > self.light)

    def beyond(self, lift: float) -> Codes:
        """The pairs of heavy items that are too many."""
        beyond = [np.zeros(0, np.int64)]
        for heavy in self.heavy.tolist():
            spoken_for, without = self._split(heavy, lift)
            beyond.append(without[max(NEVER_EXCESS, self.light // LEFT, spoken_for) :])
        return np.concatenate(beyond)

    def _split(self, heavy: int, lift: float) -> tuple[int, Codes]:
        """In how many of the item's sessions something speaks for it, and its pairs where nothing does.

        Where items are in many sessions, they can't meet `lift` times as often as chance has it: there it is
        half of what can be.
        """
        holding = self.by_row[self.ends_of_rows[heavy] - self.frequency[heavy] : self.ends_of_rows[heavy]]
        starts = self.offsets[self.sessions[holding]]
        lengths = self.offsets[self.sessions[holding] + 1] - starts
        ends = np.cumsum(lengths)
        company = self.rows[np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)]
        often = max(int(self.frequency[heavy]), TIMES_THE_MEAN * self.mean) / self.n_sessions
        lift = min(max(1 / (2 * often), 1.0), lift)
        spoken_for = np.logical_or.reduceat(
            _speaks(heavy, company, self.frequency, self.n_sessions, lift), ends - lengths
        )
        return int(np.count_nonzero(spoken_for)), holding[~spoken_for & (lengths > 1)]


def _effective_number(rows: Codes) -> float:
    """Of how many items the rows are, as if each had as many (Simpson's inverse)."""
    counts = np.bincount(rows).astype(np.float64)
    return float(counts.sum() ** 2 / max(1.0, (counts**2).sum()))


def _speaks(heavy: int, company: Codes, frequency: Codes, n_sessions: int, lift: float) -> Mask:
    """(n,) which of the company has to do with the heavy item, this one meeting aside.

    It meets it `lift` times as often as chance has it, and oftener than chance can (three deviations); and
    it is seen without it, for what is put beside an item and nowhere else says nothing.
    """
    others, other_of, meetings = np.unique(company, return_inverse=True, return_counts=True)
    expected = frequency[heavy] * frequency[others] / n_sessions
    beyond_chance = np.maximum(lift * expected, expected + 3 * np.sqrt(expected) + 1)
    elsewhere = meetings <= ESCORT * frequency[others]
    speaks: Mask = (meetings - 1 >= beyond_chance) & elsewhere & (others != heavy)
    return speaks[other_of]


def _within_share(day: Codes, session: Codes, row: Codes, share: float) -> Mask:
    """Of a day's sessions with one item, as many as `share` of the day's allows."""
    day, session = _codes(day), _codes(session)
    width, n_sessions = int(row.max(initial=0)) + 1, int(session.max(initial=-1)) + 1
    triples, triple_of = np.unique((day * width + row) * n_sessions + session, return_inverse=True)
    items, first, item_of, sessions = np.unique(
        triples // max(1, n_sessions), return_index=True, return_inverse=True, return_counts=True
    )
    day_of_item = items // width
    day_sessions = np.bincount(np.unique(day * n_sessions + session) // max(1, n_sessions))
    mean = np.bincount(day_of_item, sessions) / np.bincount(day_of_item)
    allowed = np.maximum(share * day_sessions, np.maximum(NEVER_EXCESS, TIMES_THE_MEAN * mean))
    place = np.arange(len(triples)) - first[item_of]
    kept: Mask = (place < allowed[day_of_item][item_of])[triple_of]
    return kept


def _codes(values: Codes) -> Codes:
    """0, 1, .. in the order of the values."""
    codes: Codes = np.unique(values, return_inverse=True)[1]
    return codes
