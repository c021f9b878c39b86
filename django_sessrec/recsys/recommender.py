"""The two halves of every model: an estimator that fits, and the immutable recommender that it returns."""

from __future__ import annotations

import inspect
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.sessions import SessionLog

CODE = re.compile(r"[a-z][a-z0-9_]*")
Progress = Callable[[float, Mapping[str, Any]], None]
"""Called by long fits with the share done (0..1) and what to show, such as {"loss": 5.1}."""


def stages(progress: Progress | None, weights: Sequence[float]) -> Iterator[Progress | None]:
    """A callback for each stage of a fit, as long as its weight says, which tells the share of the whole."""
    total = sum(weights)
    for number, weight in enumerate(weights):
        yield progress and partial(_tell, progress, sum(weights[:number]) / total, weight / total, number + 1)


def _tell(
    progress: Progress, begun: float, weight: float, stage: int, share: float, shown: Mapping[str, Any]
) -> None:
    progress(min(begun + weight * share, 1.0), {"stage": stage, **shown})


def gettext_noop(message: str) -> str:
    """Mark a text for translation by whoever shows it: `makemessages` finds it under this name."""
    return message


class NotEnoughData(ValueError):  # noqa: N818
    """The sessions hold too little to fit this model on; the message says what is missing."""


class Source(StrEnum):
    """Sources of an item in a list, of this package's models."""

    VIEWED = "viewed"  # the item was clicked in this session
    NEIGHBOURS = "neighbours"  # past sessions that are like this one
    CO_VIEWED = "co_viewed"  # past sessions with the last click in them
    BOUGHT_TOGETHER = "bought_together"  # past baskets and orders
    NETWORK = "network"
    POPULAR = "popular"  # no click of the session
    SESSION = "session"  # a model that does not say more


SOURCES = frozenset(Source)


@dataclass(slots=True, unsafe_hash=True)  # frozen, a list's dozen of them takes three times as long
class Reason:
    """The source of a row, and the session's rows that support it, strongest first.

    source: one of Source, or a code of the model's own, such as "newest": lower case, digits and "_"
    support: past sessions, or baskets, that hold the row and the click, for each of `clicks`; empty where
    the source counts none
    """

    source: str
    clicks: tuple[int, ...] = ()
    support: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.support and len(self.support) != len(self.clicks):
            raise ValueError(f"a reason's support is one number for each click, not {self.support}")
        if self.source not in SOURCES and not CODE.fullmatch(self.source):
            raise ValueError(f"a reason's source is lower case, digits and '_', not {self.source!r}")


@dataclass(slots=True, unsafe_hash=True)
class Recommendation:
    """One recommended item, its source, and the clicked items that support it, strongest first.

    support: past sessions behind each of `because`; empty where the source counts none
    """

    item_id: str
    score: float
    source: str
    because: tuple[str, ...] = ()
    support: tuple[int, ...] = ()

    def supported(self, least: int) -> Recommendation:
        """The same with those clicks alone that this many past sessions speak for; where there is none, it
        claims no more than that the session has them."""
        if not self.support or min(self.support) >= least:
            return self
        strong = [pair for pair in zip(self.because, self.support, strict=True) if pair[1] >= least]
        if not strong:
            return Recommendation(self.item_id, self.score, Source.SESSION, self.because)
        because, support = zip(*strong, strict=True)
        return Recommendation(self.item_id, self.score, self.source, because, support)


class Recommender(ABC):
    """A fitted, immutable ranker of items for sessions.

    A session is an int32 array of rows, oldest click first. Subclasses implement `scores`, and `save` and
    `load`, between which the artifact stores their arrays; they override `top` where the best k can be found
    without scoring every item, and `because` where they know more about their reasons.
    """

    kind: ClassVar[str]  # names the class in an artifact's manifest
    learns_from: ClassVar[str] = "clicks"  # as its estimator's: what it predicts, and is judged by
    index: ItemIndex

    @abstractmethod
    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        """(B,) sessions -> (B, len(index)); column 0, the padding, is -inf."""

    @abstractmethod
    def save(self, folder: Path) -> Mapping[str, Any]:
        """Write arrays into `folder`; return the JSON-able parameters that `load` is given back."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        """Open what `save` wrote; arrays are memory-mapped so that worker processes share them."""

    def top(
        self,
        session: Rows,
        k: int,
        *,
        exclude: Sequence[int] = (),
    ) -> tuple[Rows, FloatArray]:
        """The best k rows and their scores, best first; ties by lower row.

        exclude: rows never returned.
        Only rows with a score above -inf are returned: maybe fewer than k.
        """
        return best(self.scores([session])[0], k, exclude=exclude)

    def probabilities(self, sessions: Sequence[Rows]) -> FloatArray:
        """(B,) sessions -> (B, len(index)) chances of the next click, a row's sum is 1: here by softmax.

        Models whose scores are votes override this; without any evidence a row is all zeros.
        """
        scores = self.scores(sessions)
        best = scores.max(axis=1, keepdims=True)
        return shares(np.exp(scores - np.where(np.isfinite(best), best, 0)))

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """Why each recommended row is: without better knowledge the last click; models override this."""
        last = tuple(int(row) for row in session[-1:])
        return [Reason(Source.SESSION, last) for _ in rows]

    def describe(self) -> str:
        """What the model goes by, in plain words for visitors: completes "What counts most: ...".

        English, marked by `gettext_noop`; the page translates it. Empty: the page names the model instead.
        """
        return ""

    def recommend(
        self, item_ids: Sequence[str], k: int, *, exclude: Sequence[str] = ()
    ) -> list[Recommendation]:
        """The best k for a session of item ids; unseen ids are ignored, an empty session is answered."""
        return self.rank(item_ids, k, exclude=exclude).explained()

    def rank(self, item_ids: Sequence[str], k: int, *, exclude: Sequence[str] = ()) -> Ranking:
        """As `recommend`, before anything is explained."""
        session = self.index.rows(item_ids)
        without = self.index.rows(exclude).tolist() if exclude else ()
        return Ranking(self, session, *self.top(session, k, exclude=without))


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best rows of a model for a session; ask for the reasons of those that are shown only."""

    recommender: Recommender
    session: Rows
    rows: Rows
    scores: FloatArray

    @property
    def item_ids(self) -> list[str]:
        """The ids, best first."""
        return self.recommender.index.item_ids(self.rows.tolist())

    def take(self, numbers: Sequence[int]) -> Ranking:
        """These of its rows, in this order; 0 is the first."""
        return Ranking(self.recommender, self.session, self.rows[numbers], self.scores[numbers])

    def explained(self, start: int = 0, stop: int | None = None) -> list[Recommendation]:
        """The recommendations from `start` up to `stop`, the first is 0."""
        rows, scores = self.rows[start:stop].tolist(), self.scores[start:stop].tolist()
        if not rows:
            return []
        clicked, ids = {*self.session.tolist()}, self.recommender.index.ids
        return [
            Recommendation(
                ids[row],
                score,
                Source.VIEWED if row in clicked else _source(reason),
                tuple([ids[click] for click in reason.clicks]),
                () if row in clicked else reason.support,
            )
            for row, score, reason in zip(
                rows, scores, self.recommender.because(self.session, rows), strict=True
            )
        ]


def _source(reason: Reason) -> str:
    """The source as lists tell it: without a click that spoke for it, an item of our models is popular."""
    return reason.source if reason.clicks or reason.source not in SOURCES else Source.POPULAR


class Estimator(Protocol):
    """Hyper-parameters with a fit. Implementations are frozen dataclasses of JSON-able fields."""

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
    ) -> Recommender:
        """Fit on `sessions`.

        validation: later sessions over the same index, which may steer the fit. A shop's training run gives
        none: its last days are the test, and must steer nothing.
        """
        ...


class Resumable(Estimator, Protocol):
    """An estimator whose fit, killed half-way, continues from what it left in `checkpoints`."""

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
    ) -> Recommender:
        """checkpoints: a folder, which the fit makes if it does not exist."""
        ...


class Refreshable(Estimator, Protocol):
    """An estimator whose fit can start from a recommender that it fitted before."""

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        warm_start: Recommender | None = None,
    ) -> Recommender:
        """warm_start: maybe over another index. Raises TypeError for another class's recommender."""
        ...


class LearnsFromBaskets(Estimator, Protocol):
    """An estimator that is fitted and tested on baskets in place of sessions.

    A basket is what one session put into it or bought, each item once. Its class says
    `learns_from = "baskets"`.
    """

    learns_from: ClassVar[str]

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        views: SessionLog | None = None,
    ) -> Recommender:
        """sessions: the baskets. views: the clicks of the same time, over the same index."""
        ...


def learns_from_baskets(estimator: Estimator | type) -> TypeGuard[LearnsFromBaskets]:
    """Whether it, or the class of an estimator or recommender, is one of LearnsFromBaskets."""
    return getattr(estimator, "learns_from", "clicks") == "baskets"


def is_resumable(estimator: Estimator) -> TypeGuard[Resumable]:
    """Whether its fit takes `checkpoints`."""
    return "checkpoints" in inspect.signature(estimator.fit).parameters


def is_refreshable(estimator: Estimator) -> TypeGuard[Refreshable]:
    """Whether its fit takes `warm_start`."""
    return "warm_start" in inspect.signature(estimator.fit).parameters


def offer(
    estimator: Estimator,
    sessions: SessionLog,
    *,
    progress: Progress | None = None,
    checkpoints: Path | None = None,
    warm_start: Recommender | None = None,
    views: SessionLog | None = None,
) -> Recommender:
    """Fit, handing over `checkpoints`, `warm_start` and `views` only where the estimator's fit takes them."""
    optional: dict[str, Any] = {}
    if is_resumable(estimator):
        optional["checkpoints"] = checkpoints
    if is_refreshable(estimator):
        optional["warm_start"] = warm_start
    if learns_from_baskets(estimator):
        optional["views"] = views
    return estimator.fit(sessions, progress=progress, **optional)


def import_object(path: str) -> Any:
    """The object of a dotted path, "package.module.name"; raises ImportError or AttributeError."""
    return pkgutil.resolve_name(":".join(path.rsplit(".", 1)))


def shares(votes: FloatArray) -> FloatArray:
    """(B, n) votes, -inf for none -> each as a share of its row's sum."""
    votes = np.maximum(votes, 0)
    of_sum: FloatArray = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12)
    return of_sum


def best(
    scores: FloatArray,
    k: int,
    *,
    exclude: Sequence[int] = (),
) -> tuple[Rows, FloatArray]:
    """Top k of one score row (len(index),): rows and scores, best first, ties by lower row."""
    scores = scores.copy()
    scores[list(exclude)] = -np.inf
    scores[0] = -np.inf
    contenders = _contenders(scores, k)
    order = np.argsort(-scores[contenders], kind="stable")[:k]
    rows: Rows = contenders[order].astype(np.int32)
    return rows, scores[rows]


def _contenders(scores: FloatArray, k: int) -> NDArray[np.int64]:
    """Rows above -inf, ascending, among which the best k are; few more than k unless many tie.

    The k-th best of the maxima of 8 k or more slices is a bound that at least k scores reach: found
    several times sooner than by partitioning all scores, 20 times where most of them are -inf.
    """
    if k < 1:
        return np.zeros(0, np.int64)
    height = max(1, len(scores) // (8 * k))
    width = len(scores) // height
    maxima = scores[: height * width].reshape(height, width).max(axis=0)
    bound = np.partition(maxima, -k)[-k] if k <= width else -np.inf
    return np.flatnonzero((scores >= bound) & (scores > -np.inf))
