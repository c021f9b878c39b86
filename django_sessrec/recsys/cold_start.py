"""Cold start: item embeddings of products without clicks, mapped from their content.

Ridge regression from content to the item embeddings of a model, learnt from the items that have clicks
(Gantner et al. 2010, "Learning attribute-to-feature mappings for cold-start recommendations"). The item
embeddings are the artifact's co-click vectors (recsys.intents), so that it works for every model. The
content is a truncated SVD of tf-idf features (latent semantic analysis, Deerwester et al. 1990), found by
random projection (Halko et al. 2011), or the shop's own vectors.

What an item's clicks say is a correction of what its content says, trusted the more, the more clicks there
are: `PRIOR_CLICKS` of them weigh as much as the content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.content import COLUMNS, Content, Vocabulary
from django_sessrec.recsys.intents import DIMENSIONS, Intents
from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.sessions import SessionLog

COMPONENTS = 96
ROUNDS = 2  # of subspace iteration
MOST_ITEMS = 20_000  # that the mapping is learnt from, those with the most clicks: seconds, not minutes
FEWEST_ITEMS = 20  # with clicks and content, below which there is nothing to learn from
PRIOR_CLICKS = 30.0  # that weigh as much as the content
RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)  # of which held-out items choose
HELD_OUT = 5  # every fifth item
PAIRS = 20_000  # enough to place the likeness within 0.01
NEAR = 2 / 3  # of the way from the likeness of random clicks to that of clicks that follow each other
FADES = 2.0  # clicks after which a click's weight in a session has fallen to 1/e
FILES = ("weights", "idf", "edges", "clicks")


@dataclass(frozen=True, slots=True, eq=False)
class ColdStart:
    """Item embeddings from content.

    vocabulary: of the content; None where the content is the shop's own vectors
    weights:    (n_features, DIMENSIONS) content -> item embedding; float16 where loaded
    clicks:     (n_rows,) clicks of each of the model's items
    fit:        mean cosine between the mapped and the learnt vectors of held-out items
    alike:      the cosine from which an item is like another that was clicked
    """

    vocabulary: Vocabulary | None
    weights: FloatArray
    clicks: NDArray[np.int32]
    fit: float
    alike: float

    @classmethod
    def of(cls, contents: Mapping[int, Content], intents: Intents, sessions: SessionLog) -> ColdStart | None:
        """Learn from the items of a model, by row; None where too few have both clicks and content.

        intents, sessions: over the model's index

        Where any content has a vector of the shop's own, those without are left out. Raises ValueError for
        vectors of different lengths, or with what is no number.
        """
        clicks = np.bincount(sessions.items, minlength=len(sessions.index))
        own = any(each.vector is not None for each in contents.values())
        known = [
            row
            for row, each in contents.items()
            if clicks[row] > 0 and intents.vectors[row].any() and (each.vector is not None) == own
        ]
        if len(known) < FEWEST_ITEMS:
            return None
        rows = np.array(sorted(known, key=lambda row: (-int(clicks[row]), row))[:MOST_ITEMS])
        chosen = [contents[int(row)] for row in rows]
        vocabulary = None if own else Vocabulary.of(chosen)
        if vocabulary is None:
            features, basis = _stacked(chosen), None
        else:
            features, basis = _components(vocabulary, chosen)
        target = intents.vectors[rows].astype(np.float32)
        weight = (clicks[rows] / (clicks[rows] + PRIOR_CLICKS)).astype(np.float32)
        mapped, fit = _ridge(features, target, weight)
        vectors = np.zeros_like(intents.vectors, np.float32)
        vectors[rows] = _unit(features @ mapped)
        return cls(
            vocabulary,
            mapped if basis is None else (basis @ mapped).astype(np.float32),
            clicks.astype(np.int32),
            fit,
            _likely(vectors, intents, sessions),
        )

    def map(self, contents: Sequence[Content]) -> FloatArray:
        """(n, DIMENSIONS) of length 1; zeros for an item of which nothing is known.

        Raises ValueError for a vector of the shop's own that is not as long as those of the training run.
        """
        if not contents:
            return np.zeros((0, DIMENSIONS), np.float32)
        if self.vocabulary is not None:
            return _unit(self.vocabulary.features(contents).dot(self.weights))
        found = np.zeros((len(contents), DIMENSIONS), np.float32)
        given = [number for number, each in enumerate(contents) if each.vector is not None]
        if given:
            stacked = _stacked([contents[number] for number in given])
            if stacked.shape[1] != len(self.weights):
                raise ValueError(
                    f"a vector of {stacked.shape[1]} numbers, where the training run had {len(self.weights)}"
                )
            found[given] = _unit(stacked @ self.weights.astype(np.float32))
        return found

    def embeddings(self, mapped: FloatArray, rows: Rows, intents: Intents) -> FloatArray:
        """(n, DIMENSIONS) of length 1: the mapped vectors with the correction that clicks have taught.

        rows: (n,) of the items in the model, 0 for those that it does not know
        """
        clicks = self.clicks[rows][:, None].astype(np.float32)
        learnt = intents.vectors[rows].astype(np.float32)
        share = np.where(mapped.any(axis=1, keepdims=True), clicks / (clicks + PRIOR_CLICKS), 1.0)
        return _unit(mapped + share * (learnt - mapped))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays; returns what `load` is given back."""
        arrays: dict[str, NDArray[Any]] = {"weights": self.weights.astype(np.float16), "clicks": self.clicks}
        if self.vocabulary is not None:
            arrays |= {"idf": self.vocabulary.idf, "edges": self.vocabulary.edges}
        for name, array in arrays.items():
            np.save(folder / f"cold_start_{name}.npy", array, allow_pickle=False)
        return {"own_vectors": self.vocabulary is None, "fit": self.fit, "alike": self.alike}

    @classmethod
    def load(cls, folder: Path, n_rows: int, parameters: Mapping[str, Any]) -> Self:
        """Memory-mapped; ValueError where the arrays do not fit each other or `n_rows` rows."""
        own = bool(parameters["own_vectors"])
        found = {
            name: np.load(folder / f"cold_start_{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in (("weights", "clicks") if own else FILES)
        }
        fits = found["weights"].shape[1:] == (DIMENSIONS,) and found["clicks"].shape == (n_rows,)
        if not fits or (not own and (len(found["weights"]), *found["idf"].shape) != (COLUMNS, COLUMNS)):
            shapes = {name: each.shape for name, each in found.items()}
            raise ValueError(f"arrays of the shapes {shapes} do not fit {n_rows} rows")
        vocabulary = None if own else Vocabulary(np.array(found["idf"]), np.array(found["edges"]))
        fit, alike = float(parameters["fit"]), float(parameters["alike"])
        return cls(vocabulary, found["weights"], found["clicks"], fit, alike)


def session_weights(length: int) -> FloatArray:
    """(length,) weights of a session's items, oldest first, whose sum is 1: the newest counts most."""
    weight = np.exp(np.arange(1 - length, 1) / FADES).astype(np.float32)
    found: FloatArray = weight / weight.sum()
    return found


def _likely(vectors: FloatArray, intents: Intents, sessions: SessionLog) -> float:
    """The cosine that lies NEAR between that of random clicks and that of clicks that follow each other.

    Both by the median, of the learnt vector of the one and the mapped one of the other.
    """
    session = np.repeat(np.arange(len(sessions)), sessions.lengths)
    before, after = sessions.items[:-1], sessions.items[1:]
    follows = (session[1:] == session[:-1]) & (before != after) & vectors[after].any(axis=1)
    draw = np.random.default_rng(0)
    places = draw.permutation(np.flatnonzero(follows))[:PAIRS]
    if not len(places):
        return 1.0
    learnt, following = intents.vectors[before[places]].astype(np.float32), after[places]
    random, usual = (
        float(np.median(np.einsum("nd,nd->n", learnt, vectors[rows])))
        for rows in (draw.permutation(following), following)
    )
    return random + NEAR * (usual - random)


def _components(vocabulary: Vocabulary, contents: Sequence[Content]) -> tuple[FloatArray, FloatArray]:
    """(n, COMPONENTS) coordinates of the items and (COLUMNS, COMPONENTS) the basis: a truncated SVD."""
    features = vocabulary.features(contents)
    width = min(COMPONENTS, len(contents))
    draw = np.random.default_rng(0)
    found = features.dot(draw.standard_normal((COLUMNS, width)).astype(np.float32))
    for _ in range(ROUNDS):
        found = features.dot(_orthonormal(features.transposed_dot(_orthonormal(found))))
    basis = _orthonormal(features.transposed_dot(_orthonormal(found)))
    return features.dot(basis), basis


def _orthonormal(tall: FloatArray) -> FloatArray:
    """(n, d) -> (n, at most d) an orthonormal basis of its columns, the strongest direction first.

    By the (d, d) Gram matrix: for n of many thousands several times sooner than a QR decomposition.
    """
    strength, directions = np.linalg.eigh((tall.T @ tall).astype(np.float64))
    kept = strength > strength[-1] * 1e-7
    found: FloatArray = (tall @ (directions[:, kept] / np.sqrt(strength[kept]))[:, ::-1]).astype(np.float32)
    return found


def _ridge(features: FloatArray, target: FloatArray, weight: FloatArray) -> tuple[FloatArray, float]:
    """(d, DIMENSIONS) weights, and the mean cosine on the held-out items by which the ridge was chosen.

    features: (n, d); target: (n, DIMENSIONS); weight: (n,) of the items
    """
    held_out = np.arange(len(features)) % HELD_OUT == HELD_OUT - 1
    teach = ~held_out
    scale = float((features[teach] ** 2).sum() / features.shape[1])  # the ridges are shares of this

    def of_held_out(ridge: float) -> float:
        weights = _solved(features[teach], target[teach], weight[teach], ridge * scale)
        return _cosine(features[held_out] @ weights, target[held_out], weight[held_out])

    fit, best = max((of_held_out(ridge), ridge) for ridge in RIDGES)
    return _solved(features, target, weight, best * scale), fit


def _solved(features: FloatArray, target: FloatArray, weight: FloatArray, ridge: float) -> FloatArray:
    weighted = features * weight[:, None]
    square = (features.T @ weighted).astype(np.float64)
    square[np.diag_indices_from(square)] += max(ridge, 1e-9)
    found: FloatArray = np.linalg.solve(square, weighted.T @ target).astype(np.float32)
    return found


def _cosine(found: FloatArray, target: FloatArray, weight: FloatArray) -> float:
    return float((weight * np.einsum("nd,nd->n", _unit(found), target)).sum() / weight.sum())


def _stacked(contents: Sequence[Content]) -> FloatArray:
    """(n, d) the shop's own vectors, each of length 1."""
    stacked = np.array([each.vector for each in contents], np.float32)
    if stacked.ndim != 2 or not stacked.shape[1] or not np.isfinite(stacked).all():
        raise ValueError("the shop's vectors must be lists of as many finite numbers each")
    return _unit(stacked)


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: FloatArray = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
