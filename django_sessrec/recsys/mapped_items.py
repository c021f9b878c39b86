"""Item ids of a large catalogue in mapped files: a million as Python's text take 143 MB in each process.

A row's id is a stretch of bytes; an id's row is found by a 64-bit hash among all hashes, which are sorted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import ItemIndex

TEXT, STARTS, HASHES, ROWS = "id_text.npy", "id_starts.npy", "id_hashes.npy", "id_rows.npy"
MAPPED_FROM = 100_000  # items; fewer take a few megabytes, and are found sooner in a dict


class MappedItemIndex(ItemIndex):
    """An ItemIndex that `save_mapped` has written, opened without reading it."""

    __slots__ = ()

    def __init__(self, ids: MappedIds, row_of: MappedRows) -> None:
        self.ids = ids
        self._row_of = row_of

    @classmethod
    def load(cls, folder: Path) -> Self:
        """ValueError for arrays that do not belong together."""
        text, starts, hashes, rows = (
            np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (TEXT, STARTS, HASHES, ROWS)
        )
        n_rows = len(starts) - 1
        kinds = ((text, np.uint8), (starts, np.int64), (hashes, np.uint64), (rows, np.int32))
        if any(array.dtype != dtype for array, dtype in kinds) or not len(hashes) == len(rows) == n_rows - 1:
            raise ValueError("the arrays of the item ids do not fit each other")
        if starts[0] != 0 or starts[-1] != len(text) or (np.diff(starts) < 0).any():
            raise ValueError("the item ids do not rise from 0 to the end of their text")
        if n_rows > 1 and not 1 <= rows.min() <= rows.max() < n_rows:
            raise ValueError(f"the item ids name rows outside 1 to {n_rows - 1}")
        ids = MappedIds(text, starts)
        return cls(ids, MappedRows(ids, hashes, rows))


class MappedIds(Sequence[str]):
    """The ids by row, as a tuple would hold them."""

    __slots__ = ("_starts", "_text")

    def __init__(self, text: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        """text: UTF-8, one id after the other; starts: (n + 1,) where each begins."""
        self._text, self._starts = text.data, starts.data

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[str, ...]: ...
    def __getitem__(self, row: int | slice) -> str | tuple[str, ...]:
        if isinstance(row, slice):
            return tuple(map(self.__getitem__, range(*row.indices(len(self)))))
        row = range(len(self))[row]
        return str(self._text[self._starts[row] : self._starts[row + 1]], "utf-8")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MappedIds):
            return self._starts == other._starts and self._text == other._text
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))


class MappedRows(Mapping[str, int]):
    """The row of each id."""

    __slots__ = ("_hashes", "_ids", "_rows")

    def __init__(self, ids: MappedIds, hashes: NDArray[np.uint64], rows: NDArray[np.int32]) -> None:
        """hashes: (n,) ascending; rows: (n,) of each."""
        self._ids, self._hashes, self._rows = ids, hashes.data, rows.data

    def __getitem__(self, item_id: str) -> int:
        wanted = _hash(item_id)
        place = bisect_left(self._hashes, wanted)
        if place < len(self._hashes) and self._hashes[place] == wanted:
            row: int = self._rows[place]
            if self._ids[row] == item_id:
                return row
        raise KeyError(item_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids[1:])

    def __len__(self) -> int:
        return len(self._rows)


def save_mapped(index: ItemIndex, folder: Path) -> None:
    """Write what MappedItemIndex.load opens; nothing where two ids share a hash."""
    encoded = [item_id.encode() for item_id in index.ids]
    hashes = np.fromiter(map(_hash, index.ids[1:]), np.uint64, len(index) - 1)
    order = np.argsort(hashes)
    if (np.diff(hashes[order]) == 0).any():  # one in thirty million catalogues of a million
        return
    arrays: dict[str, NDArray[Any]] = {
        TEXT: np.frombuffer(b"".join(encoded), np.uint8),
        STARTS: np.concatenate(([0], np.cumsum([len(each) for each in encoded]))).astype(np.int64),
        HASHES: hashes[order],
        ROWS: (order + 1).astype(np.int32),
    }
    for name, array in arrays.items():
        np.save(folder / name, array, allow_pickle=False)


def _hash(item_id: str) -> int:
    text = item_id.encode("utf-8", "surrogatepass")  # an id that no catalogue has is unknown, and no error
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
