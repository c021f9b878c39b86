"""ctypes binding of postings.c: posting lists of a log by a counting sort."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.kernels import library

POINTER, SIZE = ctypes.c_void_p, ctypes.c_int64
_count = library.sessrec_postings_count
_count.restype = None
_count.argtypes = (POINTER, POINTER, SIZE, POINTER, POINTER)
_fill = library.sessrec_postings_fill
_fill.restype = None
_fill.argtypes = (*_count.argtypes, POINTER)


def postings_of(
    items: Rows, offsets: NDArray[np.int64], n_rows: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(n, 2) session and position of each item's last click there, row after row, newest session first; and
    (n_rows + 1,) where each row's begin.

    items, offsets: clicks of session s are items[offsets[s]:offsets[s + 1]]. ValueError for rows or sessions
    that the kernel could not count.
    """
    items, offsets = np.ascontiguousarray(items, np.int32), np.ascontiguousarray(offsets, np.int64)
    n_sessions = len(offsets) - 1
    if len(items) and not 0 <= items.min() <= items.max() < n_rows:
        raise ValueError(f"the clicks are on rows {items.min()} to {items.max()}, not 0 to {n_rows - 1}")
    if offsets[0] != 0 or offsets[-1] != len(items) or (offsets[1:] < offsets[:-1]).any():
        raise ValueError("the sessions' offsets do not rise from 0 to the number of clicks")
    if n_sessions >= 2**31:
        raise ValueError(f"{n_sessions} sessions are more than an index can number")
    clicks = items.ctypes.data, offsets.ctypes.data, n_sessions
    ends = np.zeros(n_rows + 1, np.int64)
    latest = np.full(n_rows, -1, np.int32)
    _count(*clicks, latest.ctypes.data, ends.ctypes.data)
    np.cumsum(ends, out=ends)
    postings, following = np.empty((ends[-1], 2), np.int32), ends[:-1].copy()
    latest[:] = -1
    _fill(*clicks, latest.ctypes.data, following.ctypes.data, postings.ctypes.data)
    return postings, ends
