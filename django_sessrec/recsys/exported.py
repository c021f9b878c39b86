"""A trained net in the web process: its ONNX file run by onnxruntime, its item vectors shared by mmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import ItemIndex, Rows
from django_sessrec.recsys.onnx import open_net
from django_sessrec.recsys.recommender import FloatArray, Reason, Recommender, Source

ENCODER, ITEMS, POPULARITY = "encoder.onnx", "items.npy", "popularity.npy"
WEIGHTS = "weights.npz"
REASONS = 3


class ExportedNet(Recommender):
    """Scores are the inner products of the session's vector, which the net gives, with the items'.

    The net reads the last `window` clicks, given as vectors gathered here, so that its file stays small
    and the table of items is opened once for all worker processes.
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
    ) -> None:
        """encoder: the ONNX file; items: (len(index), D); popularity: (len(index),), the answer to an
        empty session, -inf for the padding and for items that training never saw: no list holds them.
        weights: an .npz file of what the ONNX file has, for a training that starts from this net."""
        if len(items) != len(index) or popularity.shape != (len(index),):
            raise ValueError(
                f"items {items.shape} and popularity {popularity.shape} do not fit {len(index)} rows"
            )
        self.index = index
        self.encoder, self.weights = encoder, weights
        self.items, self.popularity = np.asarray(items), np.asarray(popularity)  # a memmap's slices are slow
        self.window = window
        self._net = open_net(encoder, ENCODER)
        self._inputs = [each.name for each in self._net.get_inputs()]
        self._unseen = np.flatnonzero(np.isneginf(popularity))

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        answered = np.array([len(session) > 0 for session in sessions], np.bool_)
        if answered.all() and len(sessions):
            return self._scores(sessions)
        scores = np.tile(self.popularity, (len(sessions), 1))
        if answered.any():
            scores[answered] = self._scores([session for session in sessions if len(session)])
        return scores

    def vectors(self, sessions: Sequence[Rows]) -> FloatArray:
        """(B,) sessions of at least one click -> (B, D)."""
        recent = [session[-self.window :] for session in sessions]
        lengths = np.array([len(session) for session in recent], np.int64)
        rows = np.zeros((len(recent), lengths.max()), np.int64)  # (B, L), right-padded
        rows[np.arange(rows.shape[1]) < lengths[:, None]] = np.concatenate(recent)
        feeds = {"items": rows, "vectors": self.items[rows], "lengths": lengths}
        vectors: FloatArray = self._net.run(None, {name: feeds[name] for name in self._inputs})[0]
        return vectors

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """The clicks on other items whose vectors point most nearly where the item's does."""
        clicked = np.array(list(dict.fromkeys(session[-self.window :].tolist())), np.int64)
        others = [clicked[clicked != row] for row in rows]
        nearest = [
            clicks[np.argsort(-self._cosines(clicks, row), kind="stable")]
            for clicks, row in zip(others, rows, strict=True)
        ]
        return [Reason(Source.NET, tuple(clicks[:REASONS].tolist())) for clicks in nearest]

    def save(self, folder: Path) -> Mapping[str, Any]:
        (folder / ENCODER).write_bytes(self.encoder)
        (folder / WEIGHTS).write_bytes(self.weights)
        np.save(folder / ITEMS, self.items, allow_pickle=False)
        np.save(folder / POPULARITY, self.popularity, allow_pickle=False)
        return {"window": self.window}

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        return cls(
            index,
            (folder / ENCODER).read_bytes(),
            np.load(folder / ITEMS, mmap_mode="r", allow_pickle=False),
            np.load(folder / POPULARITY, mmap_mode="r", allow_pickle=False),
            window=int(parameters["window"]),
            weights=(folder / WEIGHTS).read_bytes(),
        )

    def _scores(self, sessions: Sequence[Rows]) -> FloatArray:
        scores: FloatArray = self.vectors(sessions) @ self.items.T
        scores[:, self._unseen] = -np.inf
        return scores

    def _cosines(self, rows: NDArray[np.int64], row: int) -> FloatArray:
        vectors = self.items[rows]
        lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        cosines: FloatArray = vectors @ self.items[row] / lengths
        return cosines
