"""Popularity with decay: the baseline of every evaluation, and every model's answer to an empty session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.recommender import Progress, Reason, Recommender, Source, gettext_noop, shares
from django_sessrec.recsys.sessions import SessionLog

DAY = 86_400
FILE = "popularity.npy"
AT_ONCE = 4_000_000  # clicks, each taking 24 bytes meanwhile


@dataclass(frozen=True, slots=True)
class Popularity:
    """Clicks per item by their weights, a click losing half its weight every `half_life_days`."""

    half_life_days: float = 7.0

    def __post_init__(self) -> None:
        if not self.half_life_days > 0:
            raise ValueError(f"half_life_days must be above 0, not {self.half_life_days}")

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
    ) -> PopularityRecommender:
        newest, n_rows = sessions.times.max(initial=0), len(sessions.index)
        clicks = np.zeros(n_rows)
        for start in range(0, sessions.n_clicks, AT_ONCE):
            here = slice(start, start + AT_ONCE)
            weights = 0.5 ** ((newest - sessions.times[here]) / (DAY * self.half_life_days))
            if sessions.weights is not None:
                weights *= sessions.weights[here]
            clicks += np.bincount(sessions.items[here], weights, minlength=n_rows)
        seen = np.bincount(sessions.items, minlength=n_rows) > 0
        return PopularityRecommender(sessions.index, np.where(seen, clicks, -np.inf).astype(np.float32))


class PopularityRecommender(Recommender):
    """The same ranking for every session; never clicked items have no evidence."""

    kind = "popularity"

    def __init__(self, index: ItemIndex, clicks: FloatArray) -> None:
        """clicks: (len(index),) decayed clicks per row, -inf where there was none."""
        if clicks.shape != (len(index),):
            raise ValueError(f"popularity of shape {clicks.shape} does not fit {len(index)} rows")
        self.index = index
        self.clicks = clicks

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        return np.tile(self.clicks, (len(sessions), 1))

    def probabilities(self, sessions: Sequence[Rows]) -> FloatArray:
        return shares(self.scores(sessions))

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """No click of the session spoke for what everybody looks at."""
        return [Reason(Source.POPULAR) for _ in rows]

    def describe(self) -> str:
        return gettext_noop("products that many visitors view at present")

    def save(self, folder: Path) -> Mapping[str, Any]:
        np.save(folder / FILE, self.clicks, allow_pickle=False)
        return {}

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:  # noqa: ARG003
        return cls(index, np.load(folder / FILE, mmap_mode="r", allow_pickle=False))
