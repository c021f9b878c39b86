"""Which past sessions voted for an item in a neighbour model, and with how much: the kernel's sums, apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.neighbours import WINDOW, NeighboursRecommender

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


def _distinct(session: Rows, most: int) -> Iterator[tuple[int, int]]:
    """The newest distinct rows, each with the clicks made since, newest first."""
    gaps: dict[int, int] = {}
    for gap, row in enumerate(reversed(session[-WINDOW:].tolist())):
        if len(gaps) < most:
            gaps.setdefault(row, gap)
    return iter(gaps.items())
