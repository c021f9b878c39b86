"""Item vectors quantized to int8: a quarter of the bytes to read in a search for the nearest.

Int8 products differ from the full ones by at most a known bound. Rows that may be among the best are then
multiplied in full, so the answer is exact: of 765,000 random vectors about fifty are, for the best twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray
from django_sessrec.recsys.kernels.quantized import LARGEST_CODE, NearestKernel

CODES, SCALE = "codes.npy", "scale.npy"
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, eq=False)
class Int8Vectors:
    """Vectors (n, D) as int8 codes (n, D) times scale (n,); what is left of each is no longer than
    residual * scale."""

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
        """A search over `vectors`, which these were made of."""
        return NearestKernel(self.codes, self.scale, vectors, residual=self.residual)
