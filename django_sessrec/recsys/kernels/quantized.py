"""ctypes binding of quantized.c: the rows nearest to a query, and the sum over all, from any thread."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.kernels import library

LARGEST_CODE = 127
TOO_MANY = -1  # as in quantized.c
ROOM = 16_384  # for rows that may be among the best so far: mostly some hundreds


class _Table(ctypes.Structure):
    """`Table` of quantized.c."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("vectors", ctypes.c_void_p),
        ("n_rows", ctypes.c_int32),
        ("size", ctypes.c_int32),
    )


class _Query(ctypes.Structure):
    """`Query` of quantized.c."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("vector", ctypes.c_void_p),
        ("unit", ctypes.c_float),
        ("error", ctypes.c_float),
    )


_nearest = library.sessrec_nearest
_nearest.restype = ctypes.c_int64
_nearest.argtypes = (
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p),
    *(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
)


class NearestKernel:
    """Products of a table's rows with a query. The arrays, whose contents C trusts, are kept alive here."""

    def __init__(
        self, codes: NDArray[np.int8], scale: FloatArray, vectors: FloatArray, *, residual: float
    ) -> None:
        """vectors: (n, D); codes: (n, D); scale: (n,), such that of a row's vector no more than residual *
        scale is left when scale * codes is taken away."""
        n_rows, size = vectors.shape
        kinds = ((codes, np.int8, vectors.shape), (scale, np.float32, (n_rows,)))
        for array, dtype, shape in (*kinds, (vectors, np.float32, vectors.shape)):
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(f"{array.dtype} {array.shape} is not {np.dtype(dtype)} {shape}")
        self._arrays = tuple(np.ascontiguousarray(array) for array in (codes, scale, vectors))
        self._table = _Table(*(array.ctypes.data for array in self._arrays), n_rows, size)
        self._address = ctypes.addressof(self._table)
        self._longest = LARGEST_CODE * size**0.5  # of a row of codes
        self._off = residual + self._longest * size * 2.0**-23  # and what float32 sums may be off by
        self._largest = min(2**15 - 1, (2**31 - 1) // (LARGEST_CODE * size))  # so that sums are int32

    def contenders(
        self, vector: FloatArray, k: int, listed: NDArray[np.bool_]
    ) -> tuple[Rows, FloatArray] | None:
        """Rows, ascending, among which are those of the k largest products with `vector`, and their products.

        listed: (n,) rows that may be found. None where too many are too much alike for bytes to tell apart.
        """
        return self._search(vector, k, listed, None)

    def contenders_and_partition(
        self, vector: FloatArray, k: int, listed: NDArray[np.bool_]
    ) -> tuple[Rows, FloatArray, float] | None:
        """As `contenders`, with log(sum(exp(product))) over all listed rows; -inf where no row is listed.

        The contenders' products are exact in it; the others' errors, which have no sign, mostly cancel out.
        """
        log_partition = ctypes.c_float()
        found = self._search(vector, k, listed, ctypes.addressof(log_partition))
        return None if found is None else (*found, log_partition.value)

    def _search(
        self, vector: FloatArray, k: int, listed: NDArray[np.bool_], log_partition: int | None
    ) -> tuple[Rows, FloatArray] | None:
        vector = np.ascontiguousarray(vector, np.float32)
        if len(vector) != self._table.size or len(listed) != self._table.n_rows:
            raise ValueError(f"{vector.shape} and {listed.shape} do not fit {self._arrays[-1].shape}")
        unit = np.float32(max(float(np.abs(vector).max()) / self._largest, 1e-30))
        codes = np.rint(vector / unit).astype(np.int16)
        left = np.linalg.norm(vector - np.float64(unit) * codes)
        error = np.linalg.norm(vector) * self._off + left * self._longest
        query = _Query(codes.ctypes.data, vector.ctypes.data, unit, error)
        room = max(ROOM, 32 * k)
        rows, scores = np.empty(room, np.int32), np.empty(room, np.float32)
        least = np.full(k, -np.inf, np.float32)
        n = _nearest(
            self._address,
            ctypes.addressof(query),
            listed.ctypes.data,
            k,
            least.ctypes.data,
            room,
            rows.ctypes.data,
            scores.ctypes.data,
            log_partition,
        )
        return None if n == TOO_MANY else (rows[:n], scores[:n])
