"""Posting lists: which past sessions hold an item, and at which position."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.kernels.postings import postings_of
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.sessions import SessionLog


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The index: each session's clicks, each item's sessions. Independent of every hyper-parameter.

    items, offsets: the clicks of session s are items[offsets[s]:offsets[s + 1]]
    postings:       (n, 2) int32, session and position there of the item's last click; those of row i
                    stand from posting_offsets[i] to posting_offsets[i + 1], newest session first
    age_days:       (n_sessions,) float32, days from each session's first click to the newest session's
    weights:        (n_clicks,) float32, what each click teaches beside the others; None where all teach alike
    """

    items: Rows
    offsets: NDArray[np.int64]
    postings: NDArray[np.int32]
    posting_offsets: NDArray[np.int64]
    age_days: FloatArray
    weights: FloatArray | None = None

    @classmethod
    def of(cls, log: SessionLog) -> Postings:
        postings, posting_offsets = postings_of(log.items, log.offsets, len(log.index))
        started = log.started
        return cls(
            np.ascontiguousarray(log.items, np.int32),
            np.ascontiguousarray(log.offsets, np.int64),
            postings,
            posting_offsets,
            ((started.max(initial=0) - started) / DAY).astype(np.float32),
            None if log.weights is None else np.ascontiguousarray(log.weights, np.float32),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Each array that it has under its name, as kernels take them."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}

    def save(self, folder: Path) -> None:
        for name, array in self.arrays().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, n_rows: int) -> Postings:
        """Memory-mapped and checked; ValueError where it does not fit `n_rows` rows."""
        paths = {field.name: folder / f"{field.name}.npy" for field in fields(cls)}
        if not paths["weights"].exists():
            del paths["weights"]
        arrays = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in paths.items()}
        postings = cls(**arrays)
        postings.check(n_rows)
        return postings

    def check(self, n_rows: int) -> None:
        """Raise ValueError unless every row, session and position lies where the kernel may read it."""
        n_sessions = len(self.offsets) - 1
        session, position = self.postings.reshape(-1, 2).T
        for offsets, end in ((self.offsets, len(self.items)), (self.posting_offsets, len(session))):
            if offsets[0] != 0 or offsets[-1] != end or (np.diff(offsets) < 0).any():
                raise ValueError("offsets of the index do not rise from 0 to the end of what they divide")
        if len(self.posting_offsets) != n_rows + 1 or len(self.age_days) != n_sessions:
            raise ValueError(f"the index does not fit {n_rows} rows and {n_sessions} sessions")
        if len(self.items) and not 1 <= self.items.min() <= self.items.max() < n_rows:
            raise ValueError(f"the index names rows outside 1 to {n_rows - 1}")
        if self.weights is not None and not (
            self.weights.shape == self.items.shape and (self.weights >= 0).all()
        ):
            raise ValueError("the index needs a weight of 0 or more for each click")
        if len(session) and not 0 <= session.min() <= session.max() < n_sessions:
            raise ValueError(f"the index names sessions outside 0 to {n_sessions - 1}")
        if (position < 0).any() or (position >= np.diff(self.offsets)[session]).any():
            raise ValueError("the index names positions outside their sessions")
