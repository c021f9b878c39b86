"""What past sessions of a neighbour model say: which voted for an item, and what was clicked after one.

Votes are the kernel's sums, taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.neighbours import WINDOW, NeighboursRecommender
from django_sessrec.recsys.postings import Postings

f32 = np.float32  # what decides between sessions is rounded as the kernel rounds it


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourSession:
    """One past session that spoke for an item.

    rows: (n,) its clicks, oldest first; age_days: before the newest session that the model knows
    score: its part of the item's score
    """

    rows: Rows
    age_days: float
    score: float


def sessions_behind(model: NeighboursRecommender, session: Rows, row: int) -> list[NeighbourSession]:
    """The neighbours of `session` that voted for the item, the loudest first; their scores add up to its."""
    postings, limits = model.postings, model.parameters
    weights = model.parameters.weights(postings)
    matches: dict[int, int] = {}  # session -> position of its newest shared click
    votes: dict[int, np.float32] = {}
    for click, gap in _distinct(session, limits.clicks):
        weight = weights["gap_weight"][gap] * weights["click_weight"][click]
        start, stop = postings.posting_offsets[click : click + 2]
        for past, position in postings.postings[start : min(stop, start + limits.sessions_per_item)].tolist():
            matches.setdefault(past, position)
            votes[past] = votes.get(past, f32(0)) + weight
    strength = {past: vote * weights["session_weight"][past] for past, vote in votes.items()}
    nearest = sorted(strength, key=lambda past: (-strength[past], -past))[: limits.neighbours]
    found = []
    for past in nearest:
        clicked = postings.items[postings.offsets[past] : postings.offsets[past + 1]]
        distances = np.flatnonzero(clicked == row) - matches[past]
        within = distances[np.abs(distances) <= limits.reach]
        worth = weights["distance_weight"][limits.reach + within]
        if postings.weights is not None:
            worth = worth * postings.weights[postings.offsets[past] + matches[past] + within]
        gain = float(strength[past] * worth.sum())
        if gain > 0:
            score = gain * float(weights["item_weight"][row])
            found.append(NeighbourSession(clicked, float(postings.age_days[past]), score))
    return sorted(found, key=lambda each: -each.score)


def clicked_after(postings: Postings, row: int, k: int) -> tuple[list[tuple[int, int]], int]:
    """Rows clicked right after a session's last click on the item, each with the number of those sessions.

    The row of most sessions first, at most k; and how many sessions went on at all.
    """
    start, stop = postings.posting_offsets[row : row + 2]
    session, position = postings.postings[start:stop].T
    following = postings.offsets[session] + position + 1
    went_on = following < postings.offsets[session + 1]
    rows, sessions = np.unique(postings.items[following[went_on]], return_counts=True)
    most = np.lexsort((rows, -sessions))[:k]
    return list(zip(rows[most].tolist(), sessions[most].tolist(), strict=True)), int(went_on.sum())


def _distinct(session: Rows, most: int) -> Iterator[tuple[int, int]]:
    """The newest distinct rows, each with the clicks made since, newest first."""
    gaps: dict[int, int] = {}
    for gap, row in enumerate(reversed(session[-WINDOW:].tolist())):
        if len(gaps) < most:
            gaps.setdefault(row, gap)
    return iter(gaps.items())
