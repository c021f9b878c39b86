"""candidate_features.c with its pointers prepared once: candidates and their features, from any thread."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.kernels import library
from django_sessrec.recsys.kernels.neighbours import NeighboursKernel, raise_error
from django_sessrec.recsys.recommender import FloatArray

MEMORIES, CANDIDATES, FEATURES, ITEM_FEATURES = 3, 100, 41, 5  # as in the enums of candidate_features.c

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
}
LIMITS = ("n_rows", "size", "sessions_of_last", "sessions_of_others")


class _Evidence(ctypes.Structure):
    """`Evidence` of candidate_features.c."""

    _fields_ = [
        ("memories", ctypes.c_void_p * MEMORIES),
        *((name, ctypes.c_void_p) for name in ARRAYS),
        *((name, ctypes.c_int32) for name in LIMITS),
    ]


_evidence = library.sessrec_evidence
_evidence.restype = ctypes.c_int64
_evidence.argtypes = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_float),
    *(ctypes.c_void_p,) * 5,
)


class EvidenceKernel:
    """What speaks for an item in a session. The arrays, whose contents C trusts, are kept alive here."""

    def __init__(
        self, memories: Sequence[NeighboursKernel], arrays: Mapping[str, NDArray[Any]], **limits: int
    ) -> None:
        """arrays and limits: the members of `Evidence` in candidate_features.c, by name."""
        if len(memories) != MEMORIES:
            raise ValueError(f"the kernel asks {MEMORIES} memories, {len(memories)} were given")
        for name, dtype in ARRAYS.items():
            if arrays[name].dtype != dtype or not arrays[name].flags.c_contiguous:
                raise ValueError(f"{name} is {arrays[name].dtype}, not contiguous {np.dtype(dtype)}")
        self._kept_alive = list(memories), dict(arrays)
        self._evidence = _Evidence(
            (ctypes.c_void_p * MEMORIES)(*(memory.address for memory in memories)),
            *(arrays[name].ctypes.data for name in ARRAYS),
            *(limits[name] for name in LIMITS),
        )
        self._address = ctypes.addressof(self._evidence)
        self._n_rows = limits["n_rows"]
        self._of_thread = threading.local()

    def candidates(self, session: Rows, net: FloatArray) -> tuple[Rows, FloatArray]:
        """The candidates, most promising first, (n,) rows, and their (n, FEATURES) features.

        session: at least one row. net: (n_rows,) the net's scores, -inf for what may not be ranked.
        """
        session = np.ascontiguousarray(session, np.int32)
        net = np.ascontiguousarray(net, np.float32)
        if not len(session) or session.min() < 1 or session.max() >= self._n_rows:
            raise ValueError(f"a session of rows 1 to {self._n_rows - 1} is needed, not {session[-20:]}")
        if net.shape != (self._n_rows,):
            raise ValueError(f"{self._n_rows} scores of the net are needed, not {net.shape}")
        scratch = self._scratch()
        n = _evidence(
            self._address,
            session.ctypes.data,
            len(session),
            net.ctypes.data,
            _log_sum_exp(net),
            *scratch.addresses,
        )
        raise_error(n, session)
        return scratch.rows[:n].copy(), scratch.features[:n].copy()

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
        self.features = np.zeros((CANDIDATES, FEATURES), np.float32)
        self._kept_alive = (
            np.zeros((MEMORIES, n_rows), np.float32),  # scores
            np.zeros((MEMORIES, n_rows), np.int32),  # touched
            np.zeros(n_rows, np.int32),  # slot
            self.rows,
            self.features,
        )
        self.addresses = tuple(array.ctypes.data for array in self._kept_alive)


def _log_sum_exp(scores: FloatArray) -> float:
    highest = scores.max()
    if not np.isfinite(highest):
        raise ValueError(f"the net's best score is {highest}; it ranks nothing")
    return float(np.log(np.exp(scores - highest).sum()) + highest)
