"""ctypes binding of neighbours.c: pointers prepared once, a call costs microseconds from any thread."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.kernels import library

MAX_CLICKS = 32  # bits of the kernel's mask of shared clicks
OUT_OF_MEMORY, BAD_ROW = -1, -2

ARRAYS = {
    "items": np.int32,
    "offsets": np.int64,
    "postings": np.int32,
    "posting_offsets": np.int64,
    "session_weight": np.float32,
    "click_weight": np.float32,
    "gap_weight": np.float32,
    "distance_weight": np.float32,
    "item_weight": np.float32,
    "weights": np.float32,
}
OPTIONAL = {"weights"}  # a null pointer where it is not given
LIMITS = ("n_rows", "window", "reach", "clicks", "sessions_per_item", "neighbours")


class _Model(ctypes.Structure):
    """`Model` of neighbours.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ARRAYS),
        *((name, ctypes.c_int32) for name in LIMITS),
    ]


POINTER, SIZE = ctypes.c_void_p, ctypes.c_int64
_score = library.sessrec_neighbours_score
_score.restype = SIZE
_score.argtypes = (POINTER, POINTER, SIZE, POINTER, POINTER)
_top = library.sessrec_neighbours_top
_top.restype = SIZE
_top.argtypes = (*_score.argtypes, POINTER, SIZE, SIZE, POINTER)
_explain = library.sessrec_neighbours_explain
_explain.restype = SIZE
_explain.argtypes = (POINTER, POINTER, SIZE, POINTER, SIZE, POINTER, POINTER, POINTER)


class NeighboursKernel:
    """The votes of past sessions for a session. The arrays, whose contents C trusts, are kept alive here."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], **limits: int) -> None:
        """arrays and limits: the members of `Model` in neighbours.c, by name; others are ignored."""
        given = {name: arrays[name] for name in ARRAYS if name in arrays or name not in OPTIONAL}
        for name, array in given.items():
            if array.dtype != ARRAYS[name] or not array.flags.c_contiguous:
                raise ValueError(f"{name} is {array.dtype}, not contiguous {np.dtype(ARRAYS[name])}")
        self._kept_alive = given
        self._model = _Model(
            **{name: array.ctypes.data for name, array in given.items()},
            **{name: limits[name] for name in LIMITS},
        )
        self.address = ctypes.addressof(self._model)
        self._n_rows = limits["n_rows"]
        self._of_thread = threading.local()

    def score(self, session: Rows) -> tuple[Rows, FloatArray]:
        """(n,) rows that got votes, in no order, and their scores; ValueError for rows out of range."""
        session = np.ascontiguousarray(session, np.int32)
        scores, touched, *addresses = self._scratch()
        n = _score(self.address, session.ctypes.data, len(session), *addresses)
        raise_error(n, session)
        rows = touched[:n].copy()
        values = scores[rows]
        scores[rows] = 0
        return rows, values

    def top(self, session: Rows, k: int, exclude: Sequence[int] = ()) -> tuple[Rows, FloatArray]:
        """The best k rows and their scores, best first, ties by lower row; without the excluded ones."""
        session = np.ascontiguousarray(session, np.int32)
        without = np.array(exclude, np.int32)
        _, touched, *addresses = self._scratch()
        best = np.empty(max(k, 1), np.float32)
        n = _top(
            self.address,
            session.ctypes.data,
            len(session),
            *addresses,
            without.ctypes.data,
            len(without),
            k,
            best.ctypes.data,
        )
        raise_error(n, session)
        return touched[:n].copy(), best[:n]

    def explain(self, session: Rows, rows: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """For each row, the distinct clicks that spoke for it, strongest first, and the neighbours that hold
        it and each of them."""
        session = np.ascontiguousarray(session, np.int32)
        wanted = np.array(rows, np.int32)
        found = np.zeros((3, len(wanted), MAX_CLICKS), np.int32)  # clicks, neighbours, and room for shares
        clicked, size = found.ctypes.data, found[0].nbytes
        n = _explain(
            self.address,
            session.ctypes.data,
            len(session),
            wanted.ctypes.data,
            len(wanted),
            clicked,
            clicked + size,
            clicked + 2 * size,
        )
        raise_error(n, session)
        clicks, neighbours = found[:2, :, : len(session)].tolist()
        spoke = [tuple(filter(None, of_row)) for of_row in clicks]  # zeros end them
        return [
            (of_row, tuple(counts[: len(of_row)])) for of_row, counts in zip(spoke, neighbours, strict=True)
        ]

    def _scratch(self) -> tuple[FloatArray, Rows, int, int]:
        """This thread's zeroed scores, room for touched rows, and the addresses of both."""
        mine: tuple[FloatArray, Rows, int, int] | None = getattr(self._of_thread, "scratch", None)
        if mine is None:
            scores, touched = np.zeros(self._n_rows, np.float32), np.zeros(self._n_rows, np.int32)
            mine = self._of_thread.scratch = scores, touched, scores.ctypes.data, touched.ctypes.data
        return mine


def raise_error(result: int, session: Rows) -> None:
    """What a kernel's negative result means."""
    if result == OUT_OF_MEMORY:
        raise MemoryError("no memory for the neighbours of a session")
    if result == BAD_ROW:
        raise ValueError(f"the session has rows from {session.min()} to {session.max()}, the model fewer")
