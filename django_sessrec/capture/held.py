"""What neither the database nor the broker would take: kept by this process until one of them does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django_sessrec.models import Event, Impression

Rows = Sequence[Event | Impression]

MOST: Final = 10_000  # rows: some megabytes of a web process's memory


class Held:
    """One for each process. Threads may meet in it: what is taken is taken by one of them."""

    def __init__(self) -> None:
        self._rows: list[Event | Impression] = []
        self._erasures: set[UUID] = set()

    def keep(self, rows: Rows) -> bool:
        """Whether there was room for the rows."""
        if len(self._rows) + len(rows) > MOST:
            return False
        self._rows += rows
        return True

    def keep_erasure(self, session_id: UUID) -> None:
        """A visit that withdrew its consent: none of its rows is kept on."""
        self._erasures.add(session_id)
        self._rows = [row for row in self._rows if row.session_id != session_id]

    def take_rows(self) -> Rows:
        taken, self._rows = self._rows, []
        return taken

    def take_erasures(self) -> set[UUID]:
        taken, self._erasures = self._erasures, set()
        return taken
