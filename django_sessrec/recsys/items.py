"""Item ids (the shop's own, text) and rows (an item's place in a model)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
FloatArray = NDArray[np.float32]


class ItemIndex:
    """Bijection between item ids (text, the shop's own) and rows 1..n; row 0 is padding.

    >>> index = ItemIndex(["tea", "cup"])
    >>> index.rows(["cup", "unknown", "tea"]).tolist()
    [2, 1]
    """

    __slots__ = ("_row_of", "ids")

    def __init__(self, item_ids: Sequence[str]) -> None:
        self.ids: Sequence[str] = ("", *item_ids)
        self._row_of: Mapping[str, int] = {item_id: row for row, item_id in enumerate(self.ids) if row}
        if len(self._row_of) != len(item_ids):
            raise ValueError("item ids must be unique; a duplicate was given")
        if "" in self._row_of:
            raise ValueError("an item id must not be empty: row 0, the padding, owns that name")

    def __len__(self) -> int:
        """Number of rows, padding included: the width of every score matrix."""
        return len(self.ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._row_of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ItemIndex) and self.ids == other.ids

    def __hash__(self) -> int:
        return hash(self.ids)

    def row(self, item_id: str) -> int:
        """The row of one id; KeyError when the model never saw it."""
        return self._row_of[item_id]

    def rows(self, item_ids: Iterable[str]) -> Rows:
        """The rows of the known ids, in order; ids the model never saw are left out. (n,)"""
        known = map(self._row_of.get, item_ids)
        return np.array([row for row in known if row is not None], np.int32)

    def rows_in(self, other: ItemIndex) -> Rows:
        """(len(self),) the row of each item in another index, 0 where that lacks it."""
        return np.fromiter((other._row_of.get(item_id, 0) for item_id in self.ids), np.int32, len(self))

    def item_ids(self, rows: Iterable[int]) -> list[str]:
        return [self.ids[row] for row in rows]
