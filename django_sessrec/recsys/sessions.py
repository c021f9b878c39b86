"""Session logs: finished sessions as three flat arrays, on which every model is fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows

SESSIONS_AT_ONCE = 200_000  # put in order together: what each click takes meanwhile is bounded by them


@dataclass(frozen=True, slots=True, eq=False)
class SessionLog:
    """Sessions in order of their first click, each a run of clicks in order of time.

    index:   the items; every row in `items` is one of its rows 1..n
    items:   (n_clicks,) int32, rows of the clicked items, session after session
    offsets: (n_sessions + 1,) int64, session s is items[offsets[s]:offsets[s + 1]]
    times:   (n_clicks,) int64, unix seconds of each click
    weights: (n_clicks,) float32, how much each click teaches beside the others; None where all do alike
    """

    index: ItemIndex
    items: Rows
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    weights: FloatArray | None = None

    def __post_init__(self) -> None:
        if len(self.items) != len(self.times) or self.offsets[-1] != len(self.items):
            raise ValueError("items, times and offsets must describe the same clicks")
        if self.weights is not None and len(self.weights) != len(self.items):
            raise ValueError(f"{len(self.weights)} weights do not fit {len(self.items)} clicks")

    @classmethod
    def from_clicks(
        cls,
        session_ids: ArrayLike,
        item_ids: Sequence[str] | NDArray[np.str_],
        times: ArrayLike,
        weights: ArrayLike | None = None,
    ) -> SessionLog:
        """Group loose clicks (n_clicks,) in any order into sessions; equal times keep their order."""
        ids, codes = np.unique(np.asarray(item_ids, dtype=np.str_), return_inverse=True)
        return cls.from_rows(session_ids, codes.astype(np.int32) + 1, times, ItemIndex(ids.tolist()), weights)

    @classmethod
    def from_rows(
        cls,
        session_ids: ArrayLike,
        rows: Rows,
        times: ArrayLike,
        index: ItemIndex,
        weights: ArrayLike | None = None,
    ) -> SessionLog:
        """As from_clicks, for clicks whose items are rows of `index` already."""
        times = np.asarray(times, np.int64)
        if not len(rows):
            return cls(index, np.zeros(0, np.int32), np.zeros(1, np.int64), times)
        _, session = np.unique(np.asarray(session_ids), return_inverse=True)
        started = np.full(session.max() + 1, np.iinfo(np.int64).max)
        np.minimum.at(started, session, times)
        order = np.lexsort((times, session, started[session]))
        boundaries = np.flatnonzero(np.diff(session[order])) + 1
        offsets = np.concatenate(([0], boundaries, [len(rows)])).astype(np.int64)
        ordered = None if weights is None else np.asarray(weights, np.float32)[order]
        return cls(index, np.asarray(rows, np.int32)[order], offsets, times[order], ordered)

    @classmethod
    def from_ordered(
        cls,
        session_ids: NDArray[np.signedinteger],
        rows: Rows,
        times: NDArray[np.int64],
        index: ItemIndex,
        weights: FloatArray | None = None,
        *,
        empty: Callable[[int, DTypeLike], NDArray[Any]] = np.empty,
    ) -> SessionLog:
        """As from_rows, for clicks (n_clicks,) that stand session after session, each in order of time.

        empty: makes the arrays that the clicks are copied to, in order of the sessions' first clicks.
        """
        first = np.concatenate(([0], np.flatnonzero(session_ids[1:] != session_ids[:-1]) + 1))
        first = first[: len(session_ids)]
        lengths = np.diff(first, append=len(rows))
        order = np.argsort(times[first], kind="stable")
        offsets = np.concatenate(([0], np.cumsum(lengths[order]))).astype(np.int64)
        items, at = empty(len(rows), np.int32), empty(len(rows), np.int64)
        ordered = None if weights is None else empty(len(rows), np.float32)
        for start in range(0, len(order), SESSIONS_AT_ONCE):
            part = order[start : start + SESSIONS_AT_ONCE]
            clicks = np.arange(offsets[start], offsets[start + len(part)])
            place = clicks + np.repeat(first[part] - offsets[start : start + len(part)], lengths[part])
            items[clicks[0] : clicks[-1] + 1] = rows[place]
            at[clicks[0] : clicks[-1] + 1] = times[place]
            if weights is not None and ordered is not None:
                ordered[clicks[0] : clicks[-1] + 1] = weights[place]
        return cls(index, items, offsets, at, ordered)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, session: int) -> Rows:
        """The clicks of one session, oldest first: a view, (length,)."""
        return self.items[self.offsets[session] : self.offsets[session + 1]]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Each array that it has, by name: with the index what makes the same log again."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "index"}
        return {name: array for name, array in arrays.items() if array is not None}

    @property
    def n_clicks(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Clicks per session, (n_sessions,)."""
        return np.diff(self.offsets)

    @property
    def started(self) -> NDArray[np.int64]:
        """Unix seconds of each session's first click, ascending, (n_sessions,)."""
        return self.times[self.offsets[:-1]]

    def slice(self, start: int, stop: int) -> SessionLog:
        """Sessions start..stop-1 over the same index, without copying clicks."""
        first, last = self.offsets[start], self.offsets[stop]
        offsets = self.offsets[start : stop + 1] - first
        weights = None if self.weights is None else self.weights[first:last]
        return SessionLog(self.index, self.items[first:last], offsets, self.times[first:last], weights)

    def split_last(self, fraction: float) -> tuple[SessionLog, SessionLog]:
        """All but the last `fraction` of the sessions, and those: a split by time."""
        cut = len(self) - round(len(self) * fraction)
        return self.slice(0, cut), self.slice(cut, len(self))

    def compacted(self) -> SessionLog:
        """The same sessions over an index of only the items that occur in them."""
        present = np.flatnonzero(np.bincount(self.items, minlength=len(self.index)))
        if len(present) == len(self.index) - 1:
            return self
        row_of = np.zeros(len(self.index), np.int32)
        row_of[present] = np.arange(1, len(present) + 1)
        index = ItemIndex(self.index.item_ids(present))
        return SessionLog(index, row_of[self.items], self.offsets, self.times, self.weights)

    def reindexed(self, index: ItemIndex) -> SessionLog:
        """The same sessions in the rows of another index; clicks on items it lacks are dropped."""
        rows = self.index.rows_in(index)[self.items]
        known = rows > 0
        kept = np.concatenate(([0], np.cumsum(known)))[self.offsets]
        alive = np.diff(kept) > 0
        offsets = np.concatenate((kept[:-1][alive], kept[-1:]))
        weights = None if self.weights is None else self.weights[known]
        return SessionLog(index, rows[known], offsets, self.times[known], weights)
