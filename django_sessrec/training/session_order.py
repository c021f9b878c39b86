"""Many days' clicks in order of session, on disk where they are many: a training run's memory hardly grows
with them.

The files have no name, so that nobody else opens them, and they end with the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from django_sessrec.conf import sessrec_settings

PARTS: Final = (
    64  # by the first bits of the sessions' hashes: 100 million clicks are sorted 1.6 million at a time
)
IN_MEMORY: Final = 2**26  # bytes of an array, or of all clicks, that stay there


class SessionOrder:
    """A context: blocks of clicks are added in order of time, and given back in order of session and id."""

    def __init__(self, click: np.dtype[Any]) -> None:
        """click: a record with the fields session (int64, a hash) and id_high."""
        self._click = click
        self._counts: list[NDArray[np.int64]] = []  # of each block, the clicks of each part
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=_folder())  # noqa: SIM115, closed in __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(sum(counts.sum() for counts in self._counts))

    def add(self, clicks: NDArray[Any]) -> None:
        part = ((clicks["session"] >> 58) + PARTS // 2).astype(np.uint8)
        self._file.write(clicks[np.argsort(part, kind="stable")].tobytes())
        self._counts.append(np.bincount(part, minlength=PARTS))

    def parts(self) -> Iterator[NDArray[Any]]:
        """All clicks, some whole sessions at a time; the order of equal ones is that in which they came."""
        counts = np.array(self._counts, np.int64).reshape(-1, PARTS)  # (blocks, PARTS)
        starts = (np.cumsum(counts) - counts.ravel()).reshape(-1, PARTS)
        for part in range(PARTS):
            pieces = []
            for start, count in zip(starts[:, part].tolist(), counts[:, part].tolist(), strict=True):
                self._file.seek(start * self._click.itemsize)
                pieces.append(self._file.read(count * self._click.itemsize))
            clicks = np.frombuffer(b"".join(pieces), self._click)
            yield clicks[np.lexsort((clicks["id_high"], clicks["session"]))]


def room(n: int, dtype: DTypeLike) -> NDArray[Any]:
    """(n,) zeros; many are mapped from a file, so that the system can take the memory back."""
    size = n * np.dtype(dtype).itemsize
    if size <= IN_MEMORY or not hasattr(os, "posix_fallocate"):
        return np.zeros(n, dtype)
    with tempfile.TemporaryFile(dir=_folder()) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # else a full disk would kill the process, much later
        except OSError:
            return np.zeros(n, dtype)
        return np.asarray(np.memmap(file, dtype, "r+", shape=(n,)))


def keep(kept: NDArray[np.bool_], *arrays: NDArray[Any], at_once: int = 1_000_000) -> list[NDArray[Any]]:
    """The arrays' kept values, moved to their beginnings."""
    if kept.all():
        return [array[: len(kept)] for array in arrays]
    n = 0
    for start in range(0, len(kept), at_once):
        here = kept[start : start + at_once]
        stop = n + int(np.count_nonzero(here))
        for array in arrays:
            array[n:stop] = array[start : start + len(here)][here]
        n = stop
    return [array[:n] for array in arrays]


def _folder() -> str | None:
    """Beside the artifacts, on a disk; /tmp may be memory."""
    artifacts = str(sessrec_settings.artifacts)
    return artifacts if os.access(artifacts, os.W_OK) else None
