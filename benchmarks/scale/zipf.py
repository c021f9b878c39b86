"""A large shop's clicks, drawn in seconds: Zipf-popular items, visits that stay near what they began with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEARBY = 50  # items of a shelf
STAYS = 0.7  # share of clicks on the shelf where the visit began
MEAN_LENGTH = 5


class Clicks(NamedTuple):
    """Arrays of one length, session after session, each in order of time."""

    sessions: NDArray[np.int64]
    items: NDArray[np.int64]  # 1 to n_items
    seconds: NDArray[np.int64]  # since the first day began


def draw(n_items: int, n_clicks: int, *, days: int = 30, seed: int = 0, order: int | None = None) -> Clicks:
    """The same seed draws the same clicks. order: a seed of its own for which items are popular."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(1 / MEAN_LENGTH, 2 + 2 * n_clicks // MEAN_LENGTH)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), n_clicks) + 1]
    sessions = np.repeat(np.arange(len(lengths)), lengths)[:n_clicks]
    started = np.sort(rng.integers(0, days * 86_400 - 3_600, len(lengths)))
    nth = np.arange(n_clicks) - np.searchsorted(sessions, sessions)
    shelf = _zipf(rng, n_items, len(lengths)) // NEARBY * NEARBY
    ranks = np.where(
        rng.random(n_clicks) < STAYS,
        shelf[sessions] + rng.integers(0, NEARBY, n_clicks),
        _zipf(rng, n_items, n_clicks),
    )
    item_of_rank = (rng if order is None else np.random.default_rng(order)).permutation(n_items) + 1
    return Clicks(sessions, item_of_rank[ranks.clip(max=n_items - 1)], started[sessions] + 30 * nth)


def _zipf(rng: np.random.Generator, n_items: int, size: int) -> NDArray[np.int64]:
    """Ranks from 0 with chances of about 1 / (rank + 1): their logarithm is uniform."""
    return (n_items ** rng.random(size)).astype(np.int64) - 1
