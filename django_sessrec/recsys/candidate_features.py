"""The ranker's input: candidates for a session from several sources, and the features of each.

Everything is counted in one log, as of its end: a ranker is trained on sessions after that end, and serves
sessions after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.kernels import features
from django_sessrec.recsys.kernels.candidate_features import CandidateFeaturesKernel, Proposals
from django_sessrec.recsys.neighbours import Neighbours, NeighboursRecommender, RecentNeighbours
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import Reason

RECENCY_DAYS = 60.0
SHOWN = 20  # a neighbour model is credited with what it would have shown itself
SESSIONS_OF_LAST, SESSIONS_OF_OTHERS = 3_000, 1_000
EXPECTED = 2.0  # sessions of the usual repeat rate that each item has had before its own

LAST_CLICK = Neighbours(
    clicks=1,
    idf_power=0,
    day_decay=200,
    sessions_per_item=3_000,
    neighbours=3_000,
    self_weight=1,
    forward_decay=3,
    backward_decay=3,
)
NEIGHBOUR_MODELS = dict(
    zip(features.NEIGHBOUR_MODELS, (Neighbours(), RecentNeighbours(), LAST_CLICK), strict=True)
)
"""The neighbour models that propose: the whole session over the whole log, the whole session over the last
days, and the last click alone, for visitors who have changed their mind."""

FEATURES = features.FEATURES
"""The columns of what `CandidateFeatures.candidates` gives."""


class CandidateFeatures:
    """Candidates and their features by one log, for sessions that come after it."""

    def __init__(
        self,
        postings: Postings,
        popularity: PopularityRecommender,
        vectors: FloatArray,
        by_item: FloatArray | None = None,
    ) -> None:
        """popularity: -inf for what may not be ranked. vectors: (len(index), D) the network's of items.
        by_item: what `item_features` counted in these postings; without it they are counted now."""
        n_rows = len(popularity.index)
        if len(vectors) != n_rows:
            raise ValueError(f"{len(vectors)} vectors do not fit {n_rows} rows")
        self.by_item = item_features(postings, n_rows) if by_item is None else by_item
        if self.by_item.shape != (n_rows, len(features.ITEM_FEATURES)):
            raise ValueError(f"features {self.by_item.shape} do not fit {n_rows} rows")
        self.neighbour_models = {
            name: NeighboursRecommender(model, popularity, postings)
            for name, model in NEIGHBOUR_MODELS.items()
        }
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        self._kernel = CandidateFeaturesKernel(
            [model.kernel for model in self.neighbour_models.values()],
            {
                **postings.arrays(),
                "recency": np.exp(-postings.age_days / RECENCY_DAYS).astype(np.float32),
                "item_features": self.by_item,
                "vectors": vectors,
                "norms": np.maximum(norms, 1e-12),
                "listed": popularity.clicks > -np.inf,
            },
            n_rows=n_rows,
            size=vectors.shape[1],
            sessions_of_last=SESSIONS_OF_LAST,
            sessions_of_others=SESSIONS_OF_OTHERS,
        )

    def candidates(self, session: Rows, network: Proposals) -> tuple[Rows, FloatArray]:
        """Up to CANDIDATES rows, most promising first, and their (n, len(FEATURES)) features.

        session: at least one row. network: its best CANDIDATES.
        """
        return self._kernel.candidates(session, network)

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason | None]:
        """For each row the reason of the neighbour model that ranks it highest; None where none has it among
        its SHOWN."""
        found: dict[int, tuple[int, Reason]] = {}
        for model in self.neighbour_models.values():
            shown = model.top(session, SHOWN)[0].tolist()
            place = {row: shown.index(row) for row in rows if row in shown}
            for row, reason in zip(place, model.because(session, list(place)), strict=True):
                if row not in found or place[row] < found[row][0]:
                    found[row] = place[row], reason
        return [found[row][1] if row in found else None for row in rows]


def item_features(postings: Postings, n_rows: int) -> FloatArray:
    """(n_rows, 5): log sessions in all, of the last 30 and 7 days, log days since last seen, repeat rate."""
    item = np.repeat(np.arange(n_rows), np.diff(postings.posting_offsets))
    age = postings.age_days[postings.postings[:, 0]]
    counts = [np.bincount(item[age <= days], minlength=n_rows) for days in (np.inf, 30, 7)]
    seen = np.full(n_rows, 400.0)
    np.minimum.at(seen, item, age)
    repeated = sessions_with_repeats(postings, n_rows)
    usual = (repeated.sum() + 1) / (len(item) + 2)
    repeat_rate = np.log((repeated + EXPECTED * usual) / (counts[0] + EXPECTED))
    columns = [*(np.log1p(count) for count in counts), np.log(0.1 + seen), repeat_rate]
    return np.ascontiguousarray(np.stack(columns, 1), np.float32)


def sessions_with_repeats(postings: Postings, n_rows: int) -> NDArray[np.int64]:
    """(n_rows,) sessions in which the item was clicked more than once."""
    session, position = postings.postings.T
    is_last = np.zeros(len(postings.items), np.bool_)  # click of its item in its session
    is_last[postings.offsets[session] + position] = True
    earlier = np.flatnonzero(~is_last)
    of_session = np.searchsorted(postings.offsets, earlier, side="right")
    pairs = np.unique(of_session * n_rows + postings.items[earlier])
    return np.bincount(pairs % n_rows, minlength=n_rows)
