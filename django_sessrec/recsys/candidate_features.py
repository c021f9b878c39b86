"""What speaks for an item in a session: candidates from several sources, and features of each.

The ranker reads nothing else. Everything is counted in the log that the evidence was made of, as of its
end: a ranker is trained on sessions after that end, and serves sessions after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.kernels.candidate_features import EvidenceKernel
from django_sessrec.recsys.neighbours import Neighbours, NeighboursRecommender, RecentNeighbours
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import FloatArray, Reason

RECENCY_DAYS = 60.0
SHOWN = 20  # a memory brought what it would have shown itself
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
MEMORIES = {"long": Neighbours(), "short": RecentNeighbours(), "last_click": LAST_CLICK}
"""The neighbours that are asked: the whole visit over the whole log, the whole visit over the last days,
and the last click alone, for visits that have changed their mind."""

FEATURES = (
    *(f"share_{memory}" for memory in MEMORIES),  # log share of the memory's votes
    "against_best",  # votes of the long memory, as a share of its first
    *(
        f"{name}_{click}"  # co-clicks with the last click, the one before, and the one before that
        for click in ("last", "second", "third")
        for name in ("previous", "after", "before", "rate")
    ),
    "next_last",  # co-clicks straight after the last click
    "next_rate",  # share of the sessions with the last click that went on to this item
    "together_lately",  # sessions of the last 14 days with both
    "since_together",  # log days since the newest session with both
    "older_co_clicks",  # co-clicks with the clicks before the third
    "back_rate",  # share of the item's sessions in which the last click stands
    *("count", "count_30_days", "count_7_days", "last_seen"),
    "repeat_rate",  # log share of the item's sessions that clicked it again
    *("occurrences", "nearness", "first_nearness", "is_clicked"),  # of the item in the visit
    *("length", "distinct"),  # of the visit itself
    *("returns", "last_returned"),  # share of its clicks that went back; whether the last one did
    *("net", "net_against_best"),  # log probability, and how far below the best
    *("cosine_last", "cosine_second", "cosine_third", "best_cosine"),  # of the net's item vectors
)
"""The columns of what `Evidence.candidates` gives, in the order of the kernel's enum."""


class Evidence:
    """A log's evidence, for sessions that come after it."""

    def __init__(self, postings: Postings, popularity: PopularityRecommender, vectors: FloatArray) -> None:
        """vectors: (len(index), D) the net's item vectors."""
        n_rows = len(popularity.index)
        if len(vectors) != n_rows:
            raise ValueError(f"{len(vectors)} vectors do not fit {n_rows} rows")
        self.memories = {
            name: NeighboursRecommender(memory, popularity, postings) for name, memory in MEMORIES.items()
        }
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        self._kernel = EvidenceKernel(
            [memory.kernel for memory in self.memories.values()],
            {
                "items": postings.items,
                "offsets": postings.offsets,
                "postings": postings.postings,
                "posting_offsets": postings.posting_offsets,
                "age_days": postings.age_days,
                "recency": np.exp(-postings.age_days / RECENCY_DAYS).astype(np.float32),
                "item_features": item_features(postings, n_rows),
                "vectors": vectors,
                "norms": np.maximum(norms, 1e-12),
            },
            n_rows=n_rows,
            size=vectors.shape[1],
            sessions_of_last=SESSIONS_OF_LAST,
            sessions_of_others=SESSIONS_OF_OTHERS,
        )

    def candidates(self, session: Rows, scores: FloatArray) -> tuple[Rows, FloatArray]:
        """Up to 100 rows, most promising first, and their (n, len(FEATURES)) features.

        session: at least one row. scores: (len(index),) the net's, -inf for what may not be ranked.
        """
        return self._kernel.candidates(session, scores)

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason | None]:
        """For each row what the memory says that ranks it highest; None where none has it among its SHOWN."""
        found: dict[int, tuple[int, Reason]] = {}
        for memory in self.memories.values():
            shown = memory.top(session, SHOWN)[0].tolist()
            place = {row: shown.index(row) for row in rows if row in shown}
            for row, reason in zip(place, memory.because(session, list(place)), strict=True):
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
