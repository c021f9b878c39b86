"""Session neighbours: past sessions that share clicks with this one vote for what comes next (STAN family).

V-SKNN (Ludewig & Jannach 2018) with the recencies of STAN (Garg et al. 2019), on posting lists as in
VMIS-kNN (Kersbergen et al. 2022), and a weight of its own for the clicked item itself. No training beyond
an index. On the exact Diginetica split: HR@20 53.1, MRR@20 18.9.

    weight(s) = sum over shared clicks u of exp(-gap(u) / click_decay) idf(u)^idf_power
                * exp(-age(s) / day_decay) / length(s)^length_power            the best `neighbours` stay
    score(i)  = idf(i)^item_idf_power * sum over s, and i in s at distance d after the newest shared click,
                of weight(s) * w(d)
    w(0) = self_weight, w(d > 0) = exp(-(d - 1) / forward_decay),
    w(d < 0) = backward_weight exp(-(|d| - 1) / backward_decay)

Where clicks have weights, w(d) is multiplied by that of the click of i in s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.kernels.neighbours import MAX_CLICKS, NeighboursKernel
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import Progress, Reason, Recommender, Source, gettext_noop, shares
from django_sessrec.recsys.sessions import SessionLog

MOST = 1_000_000
WINDOW = 200  # clicks looked back at: what an endless session may cost


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How neighbours are found and how they vote; decays in clicks or days, the rest plain exponents.

    clicks:            distinct items of the session that search for neighbours, newest first
    sessions_per_item: newest sessions looked at for each of them
    neighbours:        sessions that vote
    reach:             clicks before and after the match that a neighbour votes for
    """

    clicks: int = 20
    click_decay: float = 1.5
    idf_power: float = 2.0
    day_decay: float = 100.0
    length_power: float = 0.5
    sessions_per_item: int = 5_000
    neighbours: int = 700
    self_weight: float = 1.5
    forward_decay: float = 6.0
    backward_decay: float = 5.0
    backward_weight: float = 1.0
    item_idf_power: float = 1.0
    reach: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.clicks <= MAX_CLICKS:
            raise ValueError(f"clicks must be 1 to {MAX_CLICKS}, not {self.clicks}")
        for name in ("sessions_per_item", "neighbours", "reach"):  # counts of the kernel, in 32 bits
            if not 1 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name} must be 1 to {MOST:,}, not {getattr(self, name)}")
        for name in ("click_decay", "day_decay", "forward_decay", "backward_decay"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("self_weight", "backward_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be below 0, it is {getattr(self, name)}")

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
    ) -> NeighboursRecommender:
        return NeighboursRecommender(self, Popularity().fit(sessions), Postings.of(sessions))

    def weights(self, postings: Postings) -> dict[str, FloatArray]:
        """Every factor over `postings` that the session does not change, as the kernel takes it."""
        n_sessions = len(postings.age_days)
        idf = np.log1p(n_sessions / np.maximum(np.diff(postings.posting_offsets), 1))
        length_factor = np.maximum(np.diff(postings.offsets), 1) ** -self.length_power
        away = np.arange(self.reach)
        before = self.backward_weight * np.exp(-away / self.backward_decay)
        after = np.exp(-away / self.forward_decay)
        weights = {
            "session_weight": np.exp(-postings.age_days / self.day_decay) * length_factor,
            "click_weight": idf**self.idf_power,
            "gap_weight": np.exp(-np.arange(WINDOW) / self.click_decay),
            "distance_weight": np.concatenate((before[::-1], [self.self_weight], after)),
            "item_weight": idf**self.item_idf_power,
        }
        return {name: weight.astype(np.float32) for name, weight in weights.items()}

    def kernel(self, postings: Postings, n_rows: int) -> NeighboursKernel:
        """The compiled sums over `postings`."""
        return NeighboursKernel(
            {**postings.arrays(), **self.weights(postings)},
            n_rows=n_rows,
            window=WINDOW,
            reach=self.reach,
            clicks=self.clicks,
            sessions_per_item=self.sessions_per_item,
            neighbours=self.neighbours,
        )


@dataclass(frozen=True, slots=True)
class RecentNeighbours(Neighbours):
    """Neighbours of the last days, which weigh all clicks of the session."""

    click_decay: float = 2.5
    idf_power: float = 1.0
    day_decay: float = 12.0
    neighbours: int = 400
    self_weight: float = 0.7
    item_idf_power: float = 0.5


class NeighboursRecommender(Recommender):
    """Ranks what the neighbours voted for; the rest has no evidence. An empty session gets popularity."""

    kind = "neighbours"

    def __init__(self, parameters: Neighbours, popularity: PopularityRecommender, postings: Postings) -> None:
        self.index = popularity.index
        self.parameters = parameters
        self.popularity = popularity
        self.postings = postings
        self.kernel = parameters.kernel(postings, len(self.index))

    def with_parameters(self, **changes: Any) -> NeighboursRecommender:
        """The same index under other hyper-parameters, in a few milliseconds."""
        return type(self)(replace(self.parameters, **changes), self.popularity, self.postings)

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        scores = np.full((len(sessions), len(self.index)), -np.inf, np.float32)
        for row_of_scores, session in zip(scores, sessions, strict=True):
            if len(session):
                rows, values = self.kernel.score(session)
                row_of_scores[rows] = values
            else:
                row_of_scores[:] = self.popularity.clicks
        return scores

    def probabilities(self, sessions: Sequence[Rows]) -> FloatArray:
        return shares(self.scores(sessions))

    def top(
        self,
        session: Rows,
        k: int,
        *,
        exclude: Sequence[int] = (),
    ) -> tuple[Rows, FloatArray]:
        if not len(session):
            return self.popularity.top(session, k, exclude=exclude)
        return self.kernel.top(session, k, exclude)

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """The session's clicks by their share in each row's score, and the neighbours with both."""
        source = Source.CO_VIEWED if self.parameters.clicks == 1 else Source.NEIGHBOURS
        if not len(session):
            return [Reason(source) for _ in rows]
        return [Reason(source, *found) for found in self.kernel.explain(session, rows)]

    def describe(self) -> str:
        return gettext_noop("products viewed in earlier visits that are similar to this one")

    def save(self, folder: Path) -> Mapping[str, Any]:
        self.popularity.save(folder)
        self.postings.save(folder)
        return asdict(self.parameters)

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        popularity = PopularityRecommender.load(folder, index, {})
        return cls(Neighbours(**parameters), popularity, Postings.load(folder, len(index)))
