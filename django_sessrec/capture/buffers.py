"""In-memory buffers for what neither Postgres nor the broker has confirmed, bounded in rows and in bytes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from django_sessrec.capture.rows import Rows
from django_sessrec.capture.store import Message
from django_sessrec.models import Event, Impression

MAX_ROWS: Final = 10_000  # of a buffer
MAX_BYTES: Final = 8 * 2**20  # of a buffer, as estimated below
EVENT_BYTES: Final = 700  # of an unsaved Event with its values, as tracemalloc sees it
IMPRESSION_BYTES: Final = 800
TEXT_BYTES: Final = 60  # of a short text beyond its characters

AT_RISK_SECONDS: Final = 2.0  # three times the longest delay that was seen, on a disk kept busy by others
MAX_EPOCHS: Final = 1_000  # crashes and servers that are kept in mind


class Rejected(NamedTuple):
    """Wrong input, to be kept as a failed event."""

    payload: Mapping[str, Any]  # with the item's id as text, by clean_item_id or readable_id
    code: str
    detail: str

    @property
    def item_id(self) -> str:
        return str(self.payload.get("item_id", ""))

    @property
    def session_id(self) -> UUID:
        return UUID(str(self.payload["session_id"]))


Kept = TypeVar("Kept", Message, Rejected)


class Buffer(Generic[Kept]):
    """Messages or rejected events, oldest first. Thread-safe: each is taken by one thread."""

    def __init__(self) -> None:
        self._kept: deque[Kept] = deque()
        self._lock = Lock()
        self.rows = self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, things: Iterable[Kept]) -> int:
        """Keep what there is room for; return how many rows there was none for."""
        left_over = 0
        with self._lock:
            for each in things:
                rows, size = _weight(each)
                if self.rows + rows > MAX_ROWS or self.bytes + size > MAX_BYTES:
                    left_over += rows
                else:
                    self._kept.append(each)
                    self._count(rows, size)
        return left_over

    def take(self, rows: int) -> list[Kept]:
        """Hand out the oldest ones, about `rows` rows of them."""
        taken: list[Kept] = []
        with self._lock:
            while self._kept and rows > 0:
                each = self._kept.popleft()
                weight = _weight(each)
                self._count(-weight[0], -weight[1])
                rows -= weight[0]
                taken.append(each)
        return taken

    def put_back(self, things: Sequence[Kept]) -> None:
        """Keep what was taken, in front of the others."""
        with self._lock:
            for each in reversed(things):
                self._kept.appendleft(each)
                self._count(*_weight(each))

    def drop(self, session_id: UUID) -> None:
        """Keep nothing of this session any longer."""
        with self._lock:
            kept = [left for each in self._kept if (left := _without(each, session_id)) is not None]
            self._kept = deque(kept)
            weights = [_weight(each) for each in kept]
            self.rows, self.bytes = (sum(column) for column in zip(*weights, (0, 0), strict=True))

    def _count(self, rows: int, size: int) -> None:
        self.rows += rows
        self.bytes += size


class RecentWrites:
    """The rows of the last moments, which a crash of Postgres may take back: their commits did not wait for
    the disk, and it writes its log 0.6 s later, or more on a slow one.

    The process that sent them still has them, and their ids make it harmless to send them again.
    """

    def __init__(self) -> None:
        self._written: deque[tuple[float, str | None, Rows]] = deque()
        self._lock = Lock()
        self._epochs: set[str | None] = set()
        self.rows = self.bytes = 0

    def remember(self, rows: Rows, epoch: str | None) -> None:
        """Keep in mind what was just written."""
        now = time.monotonic()
        with self._lock:
            self._written.append((now, epoch, rows))
            self._count(rows, 1)
            while self._written and (
                self._written[0][0] < now - AT_RISK_SECONDS or self.rows > MAX_ROWS or self.bytes > MAX_BYTES
            ):
                _, _, old = self._written.popleft()
                self._count(old, -1)

    def at_risk(self, epoch: str | None) -> list[Event | Impression]:
        """What may be lost where the server has crashed since, which its new epoch tells: handed out once."""
        if epoch in self._epochs:
            return []
        with self._lock:
            if len(self._epochs) >= MAX_EPOCHS:
                self._epochs.clear()
            self._epochs.add(epoch)
            risked = [row for _, written, rows in self._written if written != epoch for row in rows]
            self._written.clear()
            self.rows = self.bytes = 0
        return risked

    def __bool__(self) -> bool:
        return bool(self._written)

    @property
    def unasked(self) -> bool:
        """Whether some are kept in mind, and no later write has asked what became of them."""
        with self._lock:
            return bool(self._written) and self._written[-1][0] < time.monotonic() - AT_RISK_SECONDS

    def confirm(self, until: float) -> None:
        """Those until then, a time of time.monotonic(), are on the disk."""
        with self._lock:
            while self._written and self._written[0][0] <= until:
                _, _, old = self._written.popleft()
                self._count(old, -1)

    def drop(self, session_id: UUID) -> None:
        """Keep nothing of this session in mind."""
        with self._lock:
            for index, (at, epoch, rows) in enumerate(self._written):
                if gone := [row for row in rows if row.session_id == session_id]:
                    left = [row for row in rows if row.session_id != session_id]
                    self._written[index] = at, epoch, left
                    self._count(gone, -1)

    def _count(self, rows: Rows, sign: int) -> None:
        self.rows += sign * len(rows)
        self.bytes += sign * sum(map(_row_bytes, rows))


def _without(kept: Kept, session_id: UUID) -> Kept | None:
    """The same without rows of this session; None where nothing is left of it."""
    if isinstance(kept, Rejected):
        return None if kept.session_id == session_id else kept
    rows = [row for row in kept.rows if row.session_id != session_id]
    return kept._replace(rows=rows) if rows else None


def _weight(kept: Message | Rejected) -> tuple[int, int]:
    """Rows, and about how many bytes of memory they take."""
    if isinstance(kept, Message):
        return len(kept.rows), sum(map(_row_bytes, kept.rows))
    texts = (*kept.payload, *kept.payload.values(), kept.code, kept.detail)
    return 1, sum(TEXT_BYTES + len(str(each)) for each in texts)


def _row_bytes(row: Event | Impression) -> int:
    if isinstance(row, Event):
        return EVENT_BYTES + len(row.item_id)
    texts = len(row.item_ids) + len(row.reasons)
    return IMPRESSION_BYTES + TEXT_BYTES * texts + sum(map(len, row.item_ids)) + sum(map(len, row.reasons))
