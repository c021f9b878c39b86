"""What a crowd of programs may teach, however much each of them behaves like a person.

An item is pushed by putting it into very many visits, or into visits that it does not belong to. Both are
bounded: the visits of a day that hold one item, and those in which no other item speaks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]

NEVER_EXCESS = 10  # sessions with an item, of a day or of all: too few to matter
TIMES_THE_MEAN = 5  # a shop of few items has each of them in many sessions: so many times the mean item's
HEAVY = 0.005  # share of all sessions from which on an item's company is looked at: below, it moves little


def within_bounds(day: Codes, session: Codes, row: Codes, share: float) -> Mask:
    """(n,) whether each click may teach; `session` is a hash, so that its order is chance. 1 lets all in."""
    if share >= 1:
        return np.ones(len(row), np.bool_)
    kept = _in_company(session, row)
    kept[kept] = _within_share(day[kept], session[kept], row[kept], share)
    return kept


def _in_company(session: Codes, row: Codes) -> Mask:
    """Of the sessions with a heavy item, those where another item speaks for it, and as many without.

    A session of one click is kept: nothing could speak there, and all it teaches is what is popular.
    """
    session = _codes(session)
    width = int(row.max(initial=0)) + 1
    pairs, pair_of = np.unique(session * width + row, return_inverse=True)
    sessions, rows = divmod(pairs, width)
    n_sessions = int(session.max(initial=-1)) + 1
    offsets = np.searchsorted(sessions, np.arange(n_sessions + 1))
    frequency = np.bincount(rows, minlength=width)  # sessions of each item
    kept = np.ones(len(pairs), np.bool_)
    mean = len(pairs) / max(1, np.count_nonzero(frequency))
    for heavy in np.flatnonzero(frequency > max(NEVER_EXCESS, HEAVY * n_sessions, TIMES_THE_MEAN * mean)):
        holding = np.flatnonzero(rows == heavy)
        starts = offsets[sessions[holding]]
        lengths = offsets[sessions[holding] + 1] - starts
        ends = np.cumsum(lengths)
        company = rows[np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)]
        speaks = _speakers(heavy, company, frequency, n_sessions)
        spoken_for = np.logical_or.reduceat(speaks[company], ends - lengths)
        without = holding[~spoken_for & (lengths > 1)]
        kept[without[max(NEVER_EXCESS, np.count_nonzero(spoken_for)) :]] = False
    return kept[pair_of]


def _speakers(heavy: int, company: Codes, frequency: Codes, n_sessions: int) -> Mask:
    """Which items meet the heavy one more often than chance lets them, this one meeting aside.

    Chance makes e of n meetings, by the items' own frequencies; e + 3 sqrt(e) + 1 is beyond it.
    """
    expected = frequency[heavy] * frequency / n_sessions
    meetings = np.bincount(company, minlength=len(frequency)) - 1
    speaks: Mask = meetings >= expected + 3 * np.sqrt(expected) + 1
    speaks[heavy] = False
    return speaks


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
    return (place < allowed[day_of_item][item_of])[triple_of]


def _codes(values: Codes) -> Codes:
    """0, 1, .. in the order of the values."""
    codes: Codes = np.unique(values, return_inverse=True)[1]
    return codes
