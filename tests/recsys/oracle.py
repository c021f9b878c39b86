"""The formulas of neighbours.py and itemknn.py written down plainly: what the fast ones must equal."""

from __future__ import annotations

import numpy as np

from django_sessrec.recsys.neighbours import WINDOW, Neighbours
from django_sessrec.recsys.sessions import SessionLog

f32 = np.float32  # what decides between sessions is rounded as the kernel rounds it


def newest_distinct(session: list[int], most: int) -> dict[int, int]:
    """Row -> clicks made since, newest first."""
    gaps: dict[int, int] = {}
    for gap, row in enumerate(reversed(session[-WINDOW:])):
        if len(gaps) < most:
            gaps.setdefault(row, gap)
    return gaps


def neighbour_shares(p: Neighbours, log: SessionLog, session: list[int]) -> dict[int, dict[int, float]]:
    """Row -> click of the session -> what it adds to the row's score."""
    return neighbour_votes(p, log, session)[0]


def neighbour_votes(
    p: Neighbours, log: SessionLog, session: list[int]
) -> tuple[dict[int, dict[int, float]], dict[tuple[int, int], set[int]]]:
    """Row -> click of the session -> what it adds to the row's score; and (row, click) -> the sessions that
    speak for it."""
    past = [log[s].tolist() for s in range(len(log))]
    weights = np.ones(log.n_clicks) if log.weights is None else log.weights
    with_item = {row: [s for s in range(len(past)) if row in past[s]] for row in range(1, len(log.index))}
    idf = {row: np.log1p(len(past) / max(1, len(found))) for row, found in with_item.items()}
    age = (log.started.max() - log.started) / 86_400

    click_weight = {
        row: f32(np.exp(-gap / p.click_decay)) * f32(idf[row] ** p.idf_power)
        for row, gap in newest_distinct(session, p.clicks).items()
    }
    shared: dict[int, list[int]] = {}
    for row in click_weight:
        for s in with_item[row][-p.sessions_per_item :]:
            shared.setdefault(s, []).append(row)

    own = {s: f32(np.exp(-f32(age[s]) / f32(p.day_decay)) * len(past[s]) ** -p.length_power) for s in shared}
    weight = {}
    for s, rows in shared.items():
        total = f32(0)
        for row in rows:
            total += click_weight[row]
        weight[s] = total * own[s]
    nearest = sorted(shared, key=lambda s: (-weight[s], -s))[: p.neighbours]

    shares: dict[int, dict[int, float]] = {}
    speaking: dict[tuple[int, int], set[int]] = {}
    for s in nearest:
        match = max(position for position, row in enumerate(past[s]) if row == shared[s][0])
        for position, row in enumerate(past[s]):
            gain = distance_weight(p, position - match) * weights[log.offsets[s] + position]
            for click in shared[s]:
                vote = float(click_weight[click]) * float(own[s]) * gain * idf[row] ** p.item_idf_power
                of_row = shares.setdefault(row, {})
                of_row[click] = of_row.get(click, 0.0) + vote
                if vote > 0:
                    speaking.setdefault((row, click), set()).add(s)
    return shares, speaking


def distance_weight(p: Neighbours, distance: int) -> float:
    if abs(distance) > p.reach:
        return 0.0
    if distance == 0:
        return p.self_weight
    if distance > 0:
        return float(np.exp(-(distance - 1) / p.forward_decay))
    return float(p.backward_weight * np.exp(-(-distance - 1) / p.backward_decay))


def cosine(log: SessionLog, first: int, second: int) -> float:
    """Sessions with both items over the root of the product of the sessions with each."""
    past = [set(log[s].tolist()) for s in range(len(log))]
    both = sum(first in items and second in items for items in past)
    alone = sum(first in items for items in past) * sum(second in items for items in past)
    return both / alone**0.5 if both else 0.0
