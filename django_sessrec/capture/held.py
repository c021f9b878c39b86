"""What this process keeps of its rows until a server surely has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from django_sessrec.capture.recent import Rows

MOST: Final = 10_000  # of each kind: some megabytes of a web process's memory


class OfVisit(Protocol):
    """Whatever belongs to one visit."""

    @property
    def session_id(self) -> UUID: ...


class Message(NamedTuple):
    """A page's rows that the broker took."""

    receipt: str  # the task's id
    rows: Rows
    again: bool

    @property
    def session_id(self) -> UUID:
        return self.rows[0].session_id


class Refused(NamedTuple):
    """Wrong input, to be kept as a failed event."""

    payload: Mapping[str, Any]
    code: str
    detail: str

    @property
    def session_id(self) -> UUID:
        return UUID(self.payload["session_id"])


Kept = TypeVar("Kept", bound=OfVisit)


class Held(Generic[Kept]):
    """Things of one kind, the oldest first. Threads may meet in it: each thing is taken by one of them."""

    def __init__(self) -> None:
        self._things: deque[Kept] = deque()
        self._lock = Lock()

    def keep(self, things: Sequence[Kept]) -> bool:
        """Whether there was room for them."""
        with self._lock:
            if len(self._things) + len(things) > MOST:
                return False
            self._things.extend(things)
            return True

    def take(self, most: int) -> list[Kept]:
        """Hand out the oldest ones, `most` of them at most."""
        with self._lock:
            return [self._things.popleft() for _ in range(min(most, len(self._things)))]

    def drop(self, session_id: UUID) -> None:
        """Keep nothing of this visit any longer."""
        with self._lock:
            self._things = deque(each for each in self._things if each.session_id != session_id)
