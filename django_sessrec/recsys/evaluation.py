"""Accuracy of predicting the next click: the whole catalogue is ranked, ties count against the model.

Figures ending in `_new` count only clicks on items that are new to the session, in a list without the items
that the session has clicked: what a placement shows that hides viewed items.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.recommender import Progress, Recommender, best
from django_sessrec.recsys.sessions import SessionLog

BATCH = 256
MOST = np.iinfo(np.int64).max
LENGTHS = {"1": (1, 1), "2": (2, 2), "3-4": (3, 4), "5-9": (5, 9), "10+": (10, MOST)}
INTENTS = {"1": (1, 1), "2": (2, 2), "3+": (3, MOST)}


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Prefixes of sessions, each with the click that came next.

    index:  the items; every row below is one of its rows
    items:  (n_clicks,) int32; prefix i is items[starts[i]:stops[i]], prefixes may overlap
    labels: (n_cases,) int32, the row clicked next; 0 where the model never saw that item
    lengths: (n_cases,) int64, clicks the visitor had made, with those on items the model never saw
    """

    index: ItemIndex
    items: Rows
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    labels: Rows
    lengths: NDArray[np.int64]

    @classmethod
    def from_log(cls, log: SessionLog) -> Cases:
        """Every prefix of every session: a session of n clicks makes n - 1 cases."""
        starts = np.repeat(log.offsets[:-1], log.lengths)
        stops = np.arange(log.n_clicks, dtype=np.int64)
        after_first = stops > starts
        return cls.from_prefixes(log.index, log.items, starts[after_first], stops[after_first])

    @classmethod
    def from_prefixes(
        cls,
        index: ItemIndex,
        items: Rows,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        labels: Rows | None = None,
    ) -> Cases:
        """Cases over flat clicks; without `labels` the click at `stops[i]` is the label of case i."""
        labels = items[stops] if labels is None else labels
        return cls(index, items, starts, stops, labels, stops - starts)

    def __len__(self) -> int:
        return len(self.labels)

    def prefix(self, case: int) -> Rows:
        """The clicks before the label, oldest first: a view."""
        return self.items[self.starts[case] : self.stops[case]]

    @property
    def new(self) -> NDArray[np.bool_]:
        """Whether each label is an item that its prefix does not have, (n_cases,)."""
        return np.fromiter(
            (label not in self.prefix(case) for case, label in enumerate(self.labels)), np.bool_, len(self)
        )

    def take(self, chosen: NDArray[np.int64]) -> Cases:
        """These cases only, in this order."""
        return Cases(
            self.index,
            self.items,
            self.starts[chosen],
            self.stops[chosen],
            self.labels[chosen],
            self.lengths[chosen],
        )

    def thinned(self, most: int) -> Cases:
        """A sample of at most this size, evenly spaced."""
        return self.take(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))

    def reindexed(self, index: ItemIndex) -> Cases:
        """The same cases in the rows of another index: clicks it lacks vanish, labels become 0."""
        if index is self.index or index == self.index:
            return self
        row_of = self.index.rows_in(index)
        rows = row_of[self.items]
        kept = np.concatenate(([0], np.cumsum(rows > 0)))
        return Cases(
            index, rows[rows > 0], kept[self.starts], kept[self.stops], row_of[self.labels], self.lengths
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of one evaluation, as shares of 1.

    popularity_bias: how often, as labels, the recommended items were clicked, over the same for the
    clicked items themselves: 1 leans towards popular items as much as visitors do, 5 five times as much.
    hr_new, mrr_new: of the `cases_new` whose label is new to the session, in lists without its items.
    by_length: prefix length ("1", "2", "3-4", "5-9", "10+") -> {"cases", "hr", "mrr", "ndcg", "cases_new",
    "hr_new", "mrr_new"}.
    by_intents: the same by intents of the prefix ("1", "2", "3+"); empty where nobody counted them.
    """

    k: int
    cases: int
    hr: float
    mrr: float
    ndcg: float
    cases_new: int
    hr_new: float
    mrr_new: float
    coverage: float
    popularity_bias: float
    by_length: Mapping[str, Mapping[str, float]]
    by_intents: Mapping[str, Mapping[str, float]]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, percentages where a share is meant, keys such as "hr@20"."""
        k = self.k
        return {
            f"hr@{k}": 100 * self.hr,
            f"mrr@{k}": 100 * self.mrr,
            f"ndcg@{k}": 100 * self.ndcg,
            f"hr@{k}_new": 100 * self.hr_new,
            f"mrr@{k}_new": 100 * self.mrr_new,
            f"coverage@{k}": 100 * self.coverage,
            f"popularity_bias@{k}": self.popularity_bias,
            "cases": self.cases,
            "cases_new": self.cases_new,
            "by_length": self._in_percent(self.by_length),
            "by_intents": self._in_percent(self.by_intents),
            "seconds": self.seconds,
        }

    def _in_percent(self, groups: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        return {group: dict(self._percentages(figures)) for group, figures in groups.items()}

    def _percentages(self, figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        for name, value in figures.items():
            if name.startswith("cases"):
                yield name, value
            else:
                figure, *new = name.split("_")
                yield "_".join([f"{figure}@{self.k}", *new]), 100 * value


def evaluate(
    recommender: Recommender,
    cases: Cases,
    k: int = 20,
    progress: Progress | None = None,
    *,
    intents: NDArray[np.int64] | None = None,
) -> Report:
    """Rank every case's label among the whole catalogue of the recommender.

    An item that scores like the label stands before it; a label that the model never saw, or has no
    evidence for, is a miss. Raises ValueError for no cases and for scores that are not a number.
    intents: (n_cases,) how many intents each prefix has, to report by them (recsys.intents counts them).
    """
    if not len(cases):
        raise ValueError("no cases to evaluate: sessions of at least two clicks are needed")
    if intents is not None and len(intents) != len(cases):
        raise ValueError(f"{len(intents)} counts of intents for {len(cases)} cases: each needs one")
    began = time.perf_counter()
    new = cases.new  # before the model's index drops clicks, so that all models are judged on the same cases
    cases = cases.reindexed(recommender.index)
    ranked, recommended = reciprocal_ranks(recommender, cases, k, progress)
    clicked = np.bincount(cases.labels, minlength=len(cases.index)).astype(np.float64)
    clicked[0] = 0
    return Report(
        k=k,
        cases=len(cases),
        **_figures(ranked, new),
        coverage=float(np.count_nonzero(recommended) / max(1, len(cases.index) - 1)),
        popularity_bias=_mean_popularity(recommended, clicked) / (_mean_popularity(clicked, clicked) or 1.0),
        by_length=_by(LENGTHS, cases.lengths, ranked, new),
        by_intents={} if intents is None else _by(INTENTS, intents, ranked, new),
        seconds=time.perf_counter() - began,
    )


def reciprocal_ranks(
    recommender: Recommender, cases: Cases, k: int, progress: Progress | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(2, n_cases) 1/rank of each label, 0 past k, among all items and among those new to the session; and
    (n_items,) how often each item was in a top k. The cases are in the rows of the recommender's index."""
    found = np.zeros((2, len(cases)))
    recommended = np.zeros(len(cases.index))
    order = np.argsort(cases.stops - cases.starts, kind="stable")  # like lengths together: networks pad less
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        prefixes = [cases.prefix(case) for case in chosen]
        scores = recommender.scores(prefixes)
        ranks = _ranks(scores, cases.labels[chosen])
        among_new = ranks - _clicked_before(scores, cases.labels[chosen], prefixes)
        for figures, of in zip(found, (ranks, among_new), strict=True):
            figures[chosen] = np.where(of <= k, 1 / np.maximum(of, 1), 0)
        for row_of_scores in scores:
            recommended[best(row_of_scores, k)[0]] += 1
        if progress is not None:
            done = (start + len(chosen)) / len(order)
            hits = found[0, order[: start + len(chosen)]] > 0
            progress(done, {"hr": float(hits.mean())})
    return found, recommended


def _clicked_before(scores: FloatArray, labels: Rows, prefixes: Sequence[Rows]) -> NDArray[np.int64]:
    """(B,) how many items of the session stand before the label, or tie with it."""
    counts = (
        np.count_nonzero(of_items[np.unique(prefix)] >= of_items[label])
        for of_items, label, prefix in zip(scores, labels, prefixes, strict=True)
    )
    return np.fromiter(counts, np.int64, len(labels))


def _ranks(scores: FloatArray, labels: Rows) -> NDArray[np.float64]:
    """Rank of each label in its row of (B, n_items) scores, from 1; inf where it cannot be ranked."""
    of_label = scores[np.arange(len(labels)), labels][:, None]  # (B, 1)
    ranks: NDArray[np.float64] = np.count_nonzero(scores >= of_label, axis=1).astype(np.float64)
    if np.isnan(scores.max(axis=1)).any():  # NaN wins every max
        raise ValueError(
            "the model's scores are not numbers (NaN): its training run diverged; train it again"
        )
    ranks[~(of_label[:, 0] > -np.inf)] = np.inf
    return ranks


def gain(rank: NDArray[Any]) -> NDArray[np.float64]:
    """NDCG of a list whose one relevant item stands at `rank`, counted from 1."""
    found: NDArray[np.float64] = 1 / np.log2(rank + 1)
    return found


def _figures(ranked: NDArray[np.float64], new: NDArray[np.bool_]) -> dict[str, Any]:
    """The figures of (2, n_cases) reciprocal ranks, of which the second count where the label is new."""
    reciprocal_ranks, of_new = ranked[0], ranked[1, new]
    hits = reciprocal_ranks[reciprocal_ranks > 0]
    n, n_new = max(1, len(reciprocal_ranks)), max(1, len(of_new))
    return {
        "hr": len(hits) / n,
        "mrr": float(hits.sum() / n),
        "ndcg": float(gain(1 / hits).sum() / n),
        "cases_new": len(of_new),
        "hr_new": float(np.count_nonzero(of_new) / n_new),
        "mrr_new": float(of_new.sum() / n_new),
    }


def _by(
    groups: Mapping[str, tuple[int, int]],
    values: NDArray[np.int64],
    ranked: NDArray[np.float64],
    new: NDArray[np.bool_],
) -> dict[str, dict[str, float]]:
    """Figures of the cases whose value lies between a group's least and most."""
    chosen = {name: (values >= least) & (values <= most) for name, (least, most) in groups.items()}
    return {name: {"cases": int(of.sum()), **_figures(ranked[:, of], new[of])} for name, of in chosen.items()}


def _mean_popularity(weights: NDArray[np.float64], clicked: NDArray[np.float64]) -> float:
    return float(weights @ clicked / max(1.0, weights.sum()))
