"""A table of item vectors in bytes beside it: a quarter to read, to find those nearest to a session's vector.

The products of bytes are right but for an error whose bound is known. Rows that may be among the best are
multiplied in full, so that nothing is missed: of 765,000 random vectors some fifty, for the best twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.kernels.quantized import LARGEST_CODE, NearestKernel
from django_sessrec.recsys.recommender import FloatArray

CODES, SCALE = "codes.npy", "scale.npy"
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, eq=False)
class Bytes:
    """Vectors (n, D) as codes (n, D) times scale (n,), but for a rest not longer than residual * scale."""

    codes: NDArray[np.int8]
    scale: FloatArray
    residual: float

    @classmethod
    def of(cls, vectors: FloatArray) -> Self:
        scale = (np.abs(vectors).max(axis=1) / LARGEST_CODE).astype(np.float32)
        codes = np.empty(vectors.shape, np.int8)
        residual = 0.0
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            of_row = np.maximum(scale[rows, None], np.finfo(np.float32).tiny).astype(np.float64)
            codes[rows] = np.rint(vectors[rows] / of_row)
            left = np.linalg.norm(vectors[rows] / of_row - codes[rows], axis=1)
            residual = max(residual, float(left.max()))
        return cls(codes, scale, residual)

    def save(self, folder: Path) -> float:
        """Write the arrays; return the residual, which `load` is given back."""
        np.save(folder / CODES, self.codes, allow_pickle=False)
        np.save(folder / SCALE, self.scale, allow_pickle=False)
        return self.residual

    @classmethod
    def load(cls, folder: Path, residual: float) -> Self:
        codes, scale = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (CODES, SCALE))
        return cls(np.asarray(codes), np.asarray(scale), residual)

    def kernel(self, vectors: FloatArray) -> NearestKernel:
        """Searches `vectors`, which these are the bytes of."""
        return NearestKernel(self.codes, self.scale, vectors, residual=self.residual)
