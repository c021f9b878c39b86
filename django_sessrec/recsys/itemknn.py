"""Items seen in the same sessions as the last clicks: item-kNN by cosine (Sarwar et al. 2001)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.recommender import Progress, Reason, Recommender, Source, gettext_noop, shares
from django_sessrec.recsys.sessions import SessionLog


@dataclass(frozen=True, slots=True)
class ItemKNN:
    """Cosine of co-views: sessions with both items over the root of the sessions with each.

    clicks:  how many of the last distinct items speak, the older the weaker (1, 1/2, 1/3, ...)
    similar: how many similar items each item keeps
    window:  pairs further apart than this many distinct items of a session do not count, so that one
             endless session (a crawler's) costs no more than many short ones
    """

    clicks: int = 3
    similar: int = 100
    window: int = 30

    def __post_init__(self) -> None:
        if min(self.clicks, self.similar, self.window) < 1:
            raise ValueError(f"clicks, similar and window must be at least 1, not {self}")

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
    ) -> ItemKNNRecommender:
        session, item = distinct_items(sessions)
        first, second, together = pairs(session, item, self.window, len(sessions.index))
        seen = np.bincount(item, minlength=len(sessions.index))
        cosine = together / np.sqrt(seen[first].astype(np.float64) * seen[second])
        similar = strongest(first, second, cosine, together, self.similar, len(sessions.index))
        return ItemKNNRecommender(Popularity().fit(sessions), *similar, self.clicks)


class ItemKNNRecommender(Recommender):
    """Similar items per item; an empty session is answered with popularity."""

    kind = "itemknn"
    source: ClassVar[Source] = Source.CO_VIEWED

    def __init__(
        self,
        popularity: PopularityRecommender,
        offsets: NDArray[np.int64],
        similar: Rows,
        cosine: FloatArray,
        together: NDArray[np.int32] | None,
        clicks: int,
    ) -> None:
        """similar[offsets[i]:offsets[i + 1]] are the rows like row i, best first, cosine likewise.

        together: sessions with both, likewise; None where a version before counted none
        """
        self.index = popularity.index
        self.popularity = popularity
        self.offsets, self.similar, self.cosine, self.together = offsets, similar, cosine, together
        self.clicks = clicks

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        scores = np.full((len(sessions), len(self.index)), -np.inf, np.float32)
        for row_of_scores, session in zip(scores, sessions, strict=True):
            if not len(session):
                row_of_scores[:] = self.popularity.clicks
            for weight, item in self._speakers(session):
                similar = self.similar[self.offsets[item] : self.offsets[item + 1]]
                cosine = self.cosine[self.offsets[item] : self.offsets[item + 1]]
                row_of_scores[similar] = np.maximum(row_of_scores[similar], 0) + np.float32(weight) * cosine
        return scores

    def probabilities(self, sessions: Sequence[Rows]) -> FloatArray:
        return shares(self.scores(sessions))

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """The last clicks by their share in each row's score, and the sessions with both."""
        shares: list[list[tuple[float, int, int]]] = [[] for _ in rows]
        for weight, item in self._speakers(session):
            similar = self.similar[self.offsets[item] : self.offsets[item + 1]]
            for share, row in zip(shares, rows, strict=True):
                share.extend(
                    (-weight * float(self.cosine[place]), item, self._sessions_with_both(place))
                    for place in self.offsets[item] + np.flatnonzero(similar == row)
                )
        return [self._reason(sorted(share)) for share in shares]

    def _sessions_with_both(self, place: int) -> int:
        return 0 if self.together is None else int(self.together[place])

    def _reason(self, share: Sequence[tuple[float, int, int]]) -> Reason:
        support = () if self.together is None else tuple(sessions for _, _, sessions in share)
        return Reason(self.source, tuple(item for _, item, _ in share), support)

    def _speakers(self, session: Rows) -> list[tuple[float, int]]:
        """(weight, row) of the last distinct items, newest first."""
        newest = dict.fromkeys(session[: -1 - 50 * self.clicks : -1].tolist())
        return [(1 / (age + 1), item) for age, item in enumerate(list(newest)[: self.clicks])]

    def describe(self) -> str:
        return gettext_noop("products that are often viewed in the same visit")

    def save(self, folder: Path) -> Mapping[str, Any]:
        self.popularity.save(folder)
        for name in ("offsets", "similar", "cosine", "together"):
            if (array := getattr(self, name)) is not None:
                np.save(folder / f"{name}.npy", array, allow_pickle=False)
        return {"clicks": self.clicks}

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        offsets, similar, cosine = (_opened(folder, name) for name in ("offsets", "similar", "cosine"))
        together = _opened(folder, "together") if (folder / "together.npy").exists() else None
        popularity = PopularityRecommender.load(folder, index, {})
        return cls(popularity, offsets, similar, cosine, together, parameters["clicks"])


def _opened(folder: Path, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return array


def distinct_items(sessions: SessionLog) -> tuple[NDArray[np.int64], Rows]:
    """Each session's items once, in order of first click: (session, row) of each."""
    session = np.repeat(np.arange(len(sessions)), sessions.lengths)
    _, first_click = np.unique(session * len(sessions.index) + sessions.items, return_index=True)
    first_click.sort()
    return session[first_click], sessions.items[first_click]


def pairs(
    session: NDArray[np.int64], item: Rows, window: int, n_items: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Ordered pairs of items within `window` in a session: first, second, sessions with both."""
    keys = [np.zeros(0, np.int64)]
    for distance in range(1, window + 1):
        together = np.flatnonzero(session[distance:] == session[:-distance])
        if not len(together):
            break
        earlier, later = item[together].astype(np.int64), item[together + distance].astype(np.int64)
        keys += [earlier * n_items + later, later * n_items + earlier]
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    return key // n_items, key % n_items, count


def strongest(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    strength: NDArray[np.float64],
    together: NDArray[np.int64],
    most: int,
    n_items: int,
) -> tuple[NDArray[np.int64], Rows, FloatArray, NDArray[np.int32]]:
    """Of each first row the `most` second ones of greatest strength: what ItemKNNRecommender is made of."""
    order = np.lexsort((second, -strength, first))
    first, second, strength, together = first[order], second[order], strength[order], together[order]
    starts = np.searchsorted(first, np.arange(n_items + 1))
    kept = np.arange(len(first)) - starts[first] < most
    return (
        np.concatenate(([0], np.cumsum(kept)))[starts].astype(np.int64),
        second[kept].astype(np.int32),
        strength[kept].astype(np.float32),
        together[kept].astype(np.int32),
    )
