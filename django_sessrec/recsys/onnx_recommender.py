"""A trained network in the web process: an ONNX file run by onnxruntime, item vectors shared by mmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.kernels.candidate_features import Proposals
from django_sessrec.recsys.onnx_session import open_session
from django_sessrec.recsys.quantized import Int8Vectors
from django_sessrec.recsys.recommender import Reason, Recommender, Source, best, gettext_noop

ENCODER, ITEMS, INPUTS, POPULARITY = "encoder.onnx", "items.npy", "inputs.npy", "popularity.npy"
WEIGHTS = "weights.npz"
REASONS = 3
QUANTIZED_FROM = 20_000  # items; all scores of fewer take half a millisecond


class OnnxRecommender(Recommender):
    """Inner products of the session's vector, which the network computes, with the items' vectors.

    The network reads the last `window` clicks as vectors that are gathered here, so that its file stays
    small and worker processes share one table of items.
    """

    kind = "exported"

    def __init__(
        self,
        index: ItemIndex,
        encoder: bytes,
        items: FloatArray,
        popularity: FloatArray,
        *,
        window: int,
        weights: bytes,
        inputs: FloatArray | None = None,
        quantized: Int8Vectors | None = None,
    ) -> None:
        """encoder: the ONNX file; items: (len(index), D) as they are scored; popularity: (len(index),), the
        answer to an empty session, -inf for the padding and for items that training never saw: no list
        holds them. weights: an .npz file of the ONNX file's weights, for a training run that starts from
        this network. inputs: (len(index), D) items as the network reads them, where that differs from how
        they are scored. quantized: `items` in int8; with it the best are found without scoring all."""
        if len(items) != len(index) or popularity.shape != (len(index),):
            raise ValueError(
                f"items {items.shape} and popularity {popularity.shape} do not fit {len(index)} rows"
            )
        self.index = index
        self.encoder, self.weights = encoder, weights
        self.items, self.popularity = np.asarray(items), np.asarray(popularity)  # a memmap's slices are slow
        self.inputs = self.items if inputs is None else np.asarray(inputs)
        self.window = window
        self._network = open_session(encoder, ENCODER)
        self._feeds = [each.name for each in self._network.get_inputs()]
        self._unseen = np.flatnonzero(np.isneginf(popularity))
        self._listed = ~np.isneginf(popularity)
        self._nearest = None if quantized is None else quantized.kernel(self.items)

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        answered = np.array([len(session) > 0 for session in sessions], np.bool_)
        if answered.all() and len(sessions):
            return self.scores_of(self.vectors(sessions))
        scores = np.tile(self.popularity, (len(sessions), 1))
        if answered.any():
            vectors = self.vectors([session for session in sessions if len(session)])
            scores[answered] = self.scores_of(vectors)
        return scores

    def scores_of(self, vectors: FloatArray) -> FloatArray:
        """(B, D) sessions' vectors -> (B, len(index)) scores, -inf for what no list may hold."""
        scores: FloatArray = vectors @ self.items.T
        scores[:, self._unseen] = -np.inf
        return scores

    def top(
        self,
        session: Rows,
        k: int,
        *,
        exclude: Sequence[int] = (),
    ) -> tuple[Rows, FloatArray]:
        found = None
        if self._nearest is not None and len(session) and k > 0:
            listed = self._listed
            if len(exclude):
                listed = listed.copy()
                listed[list(exclude)] = False
            found = self._nearest.contenders(self.vectors([session])[0], k, listed)
        if found is None:
            return super().top(session, k, exclude=exclude)
        rows, scores = found
        order = np.argsort(-scores, kind="stable")[:k]
        return rows[order], scores[order]

    def proposals(self, session: Rows, n: int) -> Proposals:
        """The best n for a session of at least one click, found in bytes where these are at hand.

        The rows and their scores are then exact; the log partition is that of the bytes' scores.
        """
        vector = self.vectors([session])[0]
        found = None
        if self._nearest is not None:
            found = self._nearest.contenders_and_partition(vector, n, self._listed)
        if found is None:
            return self.proposals_among(vector, self.scores_of(vector[None])[0], n)
        rows, scores, log_partition = found
        order = np.argsort(-scores, kind="stable")[:n]
        return Proposals(vector, rows[order], scores[order], log_partition)

    def proposals_among(self, vector: FloatArray, scores: FloatArray, n: int) -> Proposals:
        """The best n by the scores of all rows, which are those of a session's vector."""
        rows, of_best = best(scores, n)
        highest = of_best.max(initial=-np.inf)
        log_partition = float(np.log(np.exp(scores - highest).sum()) + highest) if len(rows) else -np.inf
        return Proposals(vector, rows, of_best, log_partition)

    def vectors(self, sessions: Sequence[Rows]) -> FloatArray:
        """(B,) sessions of at least one click -> (B, D)."""
        recent = [session[-self.window :] for session in sessions]
        lengths = np.array([len(session) for session in recent], np.int64)
        rows = np.zeros((len(recent), lengths.max()), np.int64)  # (B, L), right-padded
        rows[np.arange(rows.shape[1]) < lengths[:, None]] = np.concatenate(recent)
        feeds = {"items": rows, "vectors": self.inputs[rows], "lengths": lengths}
        vectors: FloatArray = self._network.run(None, {name: feeds[name] for name in self._feeds})[0]
        return vectors

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """The clicks on other items whose vectors point most nearly where the item's does."""
        clicked = np.array(list(dict.fromkeys(session[-self.window :].tolist())), np.int64)
        others = [clicked[clicked != row] for row in rows]
        nearest = [
            clicks[np.argsort(-self._cosines(clicks, row), kind="stable")]
            for clicks, row in zip(others, rows, strict=True)
        ]
        return [Reason(Source.NETWORK, tuple(clicks[:REASONS].tolist())) for clicks in nearest]

    def describe(self) -> str:
        return gettext_noop("a neural network that has learnt the usual order of clicks from earlier visits")

    def save(self, folder: Path) -> Mapping[str, Any]:
        parameters: dict[str, Any] = {"window": self.window}
        (folder / ENCODER).write_bytes(self.encoder)
        (folder / WEIGHTS).write_bytes(self.weights)
        np.save(folder / ITEMS, self.items, allow_pickle=False)
        np.save(folder / POPULARITY, self.popularity, allow_pickle=False)
        if self.inputs is not self.items:
            np.save(folder / INPUTS, self.inputs, allow_pickle=False)
        if len(self.index) >= QUANTIZED_FROM:
            parameters["residual"] = Int8Vectors.of(self.items).save(folder)
        return parameters

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        return cls(
            index,
            (folder / ENCODER).read_bytes(),
            np.load(folder / ITEMS, mmap_mode="r", allow_pickle=False),
            np.load(folder / POPULARITY, mmap_mode="r", allow_pickle=False),
            window=int(parameters["window"]),
            weights=(folder / WEIGHTS).read_bytes(),
            inputs=np.load(folder / INPUTS, mmap_mode="r", allow_pickle=False)
            if (folder / INPUTS).exists()
            else None,
            quantized=Int8Vectors.load(folder, parameters["residual"]) if "residual" in parameters else None,
        )

    def _cosines(self, rows: NDArray[np.int64], row: int) -> FloatArray:
        vectors = self.items[rows]
        lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        cosines: FloatArray = vectors @ self.items[row] / lengths
        return cosines
