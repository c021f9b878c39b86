"""ctypes binding of candidate_features.c: pointers prepared once, callable from any thread."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.kernels import library
from django_sessrec.recsys.kernels.features import CANDIDATES, FEATURES, NEIGHBOUR_MODELS
from django_sessrec.recsys.kernels.neighbours import NeighboursKernel, raise_error

ARRAYS = {
    "items": np.int32,
    "offsets": np.int64,
    "postings": np.int32,
    "posting_offsets": np.int64,
    "age_days": np.float32,
    "recency": np.float32,
    "item_features": np.float32,
    "vectors": np.float32,
    "norms": np.float32,
    "listed": np.bool_,
}
LIMITS = ("n_rows", "size", "sessions_of_last", "sessions_of_others")


class _CandidateFeatures(ctypes.Structure):
    """`CandidateFeatures` of candidate_features.c."""

    _fields_ = [
        ("neighbour_models", ctypes.c_void_p * len(NEIGHBOUR_MODELS)),
        *((name, ctypes.c_void_p) for name in ARRAYS),
        *((name, ctypes.c_int32) for name in LIMITS),
    ]


class _Proposals(ctypes.Structure):
    """`Proposals` of candidate_features.c."""

    _fields_ = (
        ("vector", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("scores", ctypes.c_void_p),
        ("n", ctypes.c_int32),
        ("log_partition", ctypes.c_float),
    )


class Proposals(NamedTuple):
    """What a network says of a session.

    vector: (size,) the session's, by which items are scored: the product with their own
    rows, scores: (n,) its best rows, best first, and their scores
    log_partition: log(sum(exp(score))) over all rows that may be ranked
    """

    vector: FloatArray
    rows: Rows
    scores: FloatArray
    log_partition: float


_describe = library.sessrec_candidate_features
_describe.restype = ctypes.c_int64
_describe.argtypes = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
    *(ctypes.c_void_p,) * 5,
)


class CandidateFeaturesKernel:
    """Candidates and features of sessions, counted in one log.

    The arrays, whose contents C trusts, are kept alive here.
    """

    def __init__(
        self, neighbour_models: Sequence[NeighboursKernel], arrays: Mapping[str, NDArray[Any]], **limits: int
    ) -> None:
        """arrays and limits: the members of `CandidateFeatures` in candidate_features.c, by name."""
        if len(neighbour_models) != len(NEIGHBOUR_MODELS):
            raise ValueError(
                f"{len(NEIGHBOUR_MODELS)} neighbour models are needed, not {len(neighbour_models)}"
            )
        for name, dtype in ARRAYS.items():
            if arrays[name].dtype != dtype or not arrays[name].flags.c_contiguous:
                raise ValueError(f"{name} is {arrays[name].dtype}, not contiguous {np.dtype(dtype)}")
        self._kept_alive = list(neighbour_models), [arrays[name] for name in ARRAYS]
        self._struct = _CandidateFeatures(
            (ctypes.c_void_p * len(NEIGHBOUR_MODELS))(*(model.address for model in neighbour_models)),
            *(arrays[name].ctypes.data for name in ARRAYS),
            *(limits[name] for name in LIMITS),
        )
        self._address = ctypes.addressof(self._struct)
        self._n_rows = limits["n_rows"]
        self._of_thread = threading.local()

    def candidates(self, session: Rows, network: Proposals) -> tuple[Rows, FloatArray]:
        """The candidates, most promising first, (n,) rows, and their (n, len(FEATURES)) features.

        session: at least one row. network: its best CANDIDATES of the listed rows, or all if they are fewer.
        """
        session = np.ascontiguousarray(session, np.int32)
        vector = np.ascontiguousarray(network.vector, np.float32)
        rows = np.ascontiguousarray(network.rows[:CANDIDATES], np.int32)
        scores = np.ascontiguousarray(network.scores[:CANDIDATES], np.float32)
        self._require(session, "a session")
        if not np.isfinite(network.log_partition):
            raise ValueError(f"the network's scores add up to {network.log_partition}; it ranks nothing")
        self._require(rows, "a network's list")
        if vector.shape != (self._struct.size,) or rows.shape != scores.shape:
            raise ValueError(
                f"a vector of {self._struct.size} and a score for each row are needed, not {vector.shape} "
                f"and {scores.shape} for {rows.shape}"
            )
        proposals = _Proposals(
            vector.ctypes.data, rows.ctypes.data, scores.ctypes.data, len(rows), network.log_partition
        )
        scratch = self._scratch()
        n = _describe(
            self._address,
            session.ctypes.data,
            len(session),
            ctypes.addressof(proposals),
            *scratch.addresses,
        )
        raise_error(n, session)
        return scratch.rows[:n].copy(), scratch.features[:n].copy()

    def _require(self, rows: Rows, what: str) -> None:
        if not len(rows) or rows.min() < 1 or rows.max() >= self._n_rows:
            raise ValueError(f"{what} of rows 1 to {self._n_rows - 1} is needed, not {rows[-20:]}")

    def _scratch(self) -> _Scratch:
        """This thread's work memory."""
        mine: _Scratch | None = getattr(self._of_thread, "scratch", None)
        if mine is None:
            mine = self._of_thread.scratch = _Scratch(self._n_rows)
        return mine


class _Scratch:
    """One thread's work memory: zeros between two calls, where the kernel says so."""

    def __init__(self, n_rows: int) -> None:
        self.rows = np.zeros(CANDIDATES, np.int32)
        self.features = np.zeros((CANDIDATES, len(FEATURES)), np.float32)
        self._kept_alive = (
            np.zeros((len(NEIGHBOUR_MODELS), n_rows), np.float32),  # scores
            np.zeros((len(NEIGHBOUR_MODELS), n_rows), np.int32),  # touched
            np.zeros(n_rows, np.int32),  # slot
            self.rows,
            self.features,
        )
        self.addresses = tuple(array.ctypes.data for array in self._kept_alive)
