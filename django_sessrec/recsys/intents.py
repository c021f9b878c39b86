"""Intents of a session: the clusters of similar items that its clicks belong to.

Two items are similar if visitors click them, or the same others, within WINDOW clicks of each other: the
cosine of their co-click vectors is at least `threshold`. An item's co-click vector counts the clicks around
its own, those included, each divided by the root of its item's clicks, so that best sellers do not make all
items similar.

The intents of a session are the connected clusters of its distinct items: a click like none before it opens
a new intent, and whoever goes back to an earlier thing does not.

The threshold is the shop's own: the cosine that best tells clicks that follow each other from clicks drawn
at random (the largest difference of the shares above it, Youden's index). That some visitors change their
intent between two clicks, and that some random clicks are alike, makes the difference smaller but does not
move its peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import exp
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.sessions import SessionLog

FILE = "intents.npy"
WINDOW = 5
DIMENSIONS = 128  # of the random projection that keeps cosines of n_items-wide vectors within about 0.09
AT_ONCE = 4_000_000  # clicks
PAIRS = 50_000  # enough to place the threshold within 0.01
LATEST = 50  # clicks looked at: the clusters of a crawler's endless visit mean nothing
FADES = 4.0  # clicks after which a click's weight in the shares has fallen to 1/e


@dataclass(frozen=True, slots=True, eq=False)
class Intent:
    """The clicks of a session about one kind of thing.

    rows:  (n,) its clicks, oldest first
    share: of the session, 0 to 1: each click counts the less, the more clicks came after it
    """

    rows: Rows
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Intents:
    """Similarity of items, learnt from a log.

    vectors:   (n_rows, DIMENSIONS) of length 1, zeros for items without clicks; float16 where loaded
    threshold: the cosine from which two items are alike
    """

    vectors: FloatArray
    threshold: float

    @classmethod
    def of(cls, log: SessionLog) -> Self:
        vectors = _co_click_vectors(log)
        return cls(vectors, _threshold(vectors, log))

    def count(self, session: Rows) -> int:
        """The intents of one session's rows: at least 1, also for a session of unseen items."""
        items = np.unique(session[-LATEST:])
        if len(items) < 2:
            return 1
        linked = (self.cosines(items, items) >= self.threshold) | np.eye(len(items), dtype=bool)
        for _ in range(len(items).bit_length()):  # each round doubles the length of the paths that link
            linked = linked @ linked
        return len(np.unique(linked.argmax(axis=1)))  # a cluster's items share the first that they reach

    def split(self, session: Rows) -> list[Intent]:
        """The intents of one session's rows, the one clicked last first; none for an empty session.

        Each item joins the intent that it is most alike to on average, or opens one: a list that serves two
        intents must not take them for one because a single pair of their items is alike.
        """
        latest = session[-LATEST:].tolist()
        items = list(dict.fromkeys(latest))
        if len(items) < 2:
            return [Intent(session[-LATEST:], 1.0)] if items else []
        rows = np.array(items, np.int32)
        intent_of: dict[int, int] = {}
        sums: list[list[float]] = []  # by intent, of the cosines of its items with every item
        sizes: list[int] = []
        for number, cosines in enumerate(self.cosines(rows, rows).tolist()):
            means = [with_each[number] / size for with_each, size in zip(sums, sizes, strict=True)]
            intent = means.index(max(means)) if means and max(means) >= self.threshold else len(sums)
            if intent == len(sums):
                sums.append(cosines)
                sizes.append(1)
            else:
                sums[intent] = [one + other for one, other in zip(sums[intent], cosines, strict=True)]
                sizes[intent] += 1
            intent_of[items[number]] = intent
        clicks: dict[int, list[int]] = {}
        weights: dict[int, float] = {}
        for ago, row in enumerate(reversed(latest)):
            intent = intent_of[row]
            clicks.setdefault(intent, []).append(row)
            weights[intent] = weights.get(intent, 0.0) + exp(-ago / FADES)
        total = sum(weights.values())
        return [
            Intent(np.array(some[::-1], np.int32), weights[intent] / total) for intent, some in clicks.items()
        ]

    def cosines(self, rows: Rows, others: Rows) -> FloatArray:
        """How alike the items of two lists of rows are, (n, m)."""
        one, other = (self.vectors[each].astype(np.float32, copy=False) for each in (rows, others))
        found: FloatArray = one @ other.T
        return found

    def counts(self, cases: Cases) -> NDArray[np.int64]:
        """The intents of each case's prefix, (n_cases,); the cases are in the rows of the log."""
        return np.fromiter((self.count(cases.prefix(case)) for case in range(len(cases))), np.int64)

    def reindexed(self, index: ItemIndex, other: ItemIndex) -> Self:
        """The same in the rows of another index than `index`; an item that is new there is like none."""
        return self if other == index else type(self)(self.vectors[other.rows_in(index)], self.threshold)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the vectors, in half precision; returns what `load` is given back."""
        np.save(folder / FILE, self.vectors.astype(np.float16), allow_pickle=False)
        return {"threshold": self.threshold if np.isfinite(self.threshold) else None}

    @classmethod
    def load(cls, folder: Path, n_rows: int, parameters: Mapping[str, Any]) -> Self:
        """Memory-mapped; ValueError where the vectors do not fit `n_rows` rows."""
        vectors = np.load(folder / FILE, mmap_mode="r", allow_pickle=False)
        if vectors.shape != (n_rows, DIMENSIONS):
            raise ValueError(f"vectors of the shape {vectors.shape} do not fit {n_rows} rows")
        threshold = parameters["threshold"]
        return cls(vectors, np.inf if threshold is None else float(threshold))


def _co_click_vectors(log: SessionLog) -> FloatArray:
    """Random projection of the co-click vectors, a dimension and some million clicks at a time.

    A click takes two bytes, and 60 more while its part of the log is looked at.
    """
    draw = np.random.default_rng(0)
    n_rows = len(log.index)
    damped = 1 / np.sqrt(np.maximum(np.bincount(log.items, minlength=n_rows), 1))
    parts = [_around(part) for part in _parts(log)]
    vectors = np.empty((n_rows, DIMENSIONS), np.float32)
    for dimension in range(DIMENSIONS):
        signature = damped * draw.choice([-1.0, 1.0], n_rows)
        sums = np.zeros(n_rows)
        for items, before, after in parts:
            click = np.arange(len(items))
            summed = np.concatenate(([0.0], np.cumsum(signature[items])))
            around = summed[click + after] - summed[click - before]
            sums += np.bincount(items, weights=around, minlength=n_rows)
        vectors[:, dimension] = sums
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def _parts(log: SessionLog) -> list[SessionLog]:
    """The log in parts of about AT_ONCE clicks, whole sessions each."""
    cuts = np.searchsorted(log.offsets, np.arange(AT_ONCE, log.n_clicks, AT_ONCE))
    cuts = np.unique([0, *cuts, len(log)])
    return [log.slice(start, stop) for start, stop in pairwise(cuts.tolist())]


def _around(part: SessionLog) -> tuple[Rows, NDArray[np.uint8], NDArray[np.uint8]]:
    """The clicks of a part, and from how many clicks before to how many after each its window reaches."""
    click = np.arange(part.n_clicks)
    before = np.minimum(click - np.repeat(part.offsets[:-1], part.lengths), WINDOW)
    after = np.minimum(np.repeat(part.offsets[1:], part.lengths) - click, WINDOW + 1)
    return part.items, before.astype(np.uint8), after.astype(np.uint8)


def _threshold(vectors: FloatArray, log: SessionLog) -> float:
    """The cosine that most of the following, and fewest of the random, pairs of two items reach."""
    draw = np.random.default_rng(0)
    goes_on = log.items[1:] != log.items[:-1]
    inner = log.offsets[1:-1]
    goes_on[inner[(inner > 0) & (inner < log.n_clicks)] - 1] = False
    follows = np.flatnonzero(goes_on)
    if not len(follows):
        return np.inf  # nothing was ever clicked beside another thing: nothing is alike
    follows = draw.permutation(follows)[:PAIRS]
    before, after = log.items[follows], log.items[follows + 1]
    other = draw.permutation(after)
    cosines = np.linspace(-1, 1, 201)
    following = _reached(cosines, vectors[before], vectors[after])
    random = _reached(cosines, vectors[before], vectors[other])
    difference = following - random
    return float(cosines[difference == difference.max()].mean())


def _reached(cosines: NDArray[np.float64], one: FloatArray, other: FloatArray) -> NDArray[np.float64]:
    """The share of the pairs of (n, DIMENSIONS) vectors that are at least as alike as each cosine."""
    found = np.sort(np.einsum("nd,nd->n", one, other))
    shares: NDArray[np.float64] = 1 - np.searchsorted(found, cosines) / len(found)
    return shares
