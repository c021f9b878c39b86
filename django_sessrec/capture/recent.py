"""The rows of the last moments, written once more where Postgres has crashed since.

A commit that does not wait for the disk is lost with a server that is killed within 0.6 s, or more on a slow
disk. The process that sent the rows still has them, and ids make it harmless to send them again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from django_sessrec import database
from django_sessrec.models import Event, Impression

Rows = Sequence[Event | Impression]

AT_RISK: Final = 2.0  # seconds: three times the longest delay that was seen, on a disk kept busy by others
MOST: Final = 2_000  # writes that are kept in mind
SERVERS: Final = 1_000  # server processes that are kept in mind


class Recent:
    """One for each process. Threads may meet in it: to send a row twice harms nothing."""

    def __init__(self) -> None:
        self._written: deque[tuple[float, Rows]] = deque(maxlen=MOST)
        self._servers: set[int] = set()

    def at_risk(self) -> list[Event | Impression]:
        """What may be lost, where the server process is a new one: handed out once.

        It may be new for other reasons than a crash, now and then. Where every request has a connection of
        its own nothing is told, because each would send the last moments' rows again.
        """
        connection = database.connection()
        server = connection.connection.pgconn.backend_pid
        if server in self._servers:
            return []
        if len(self._servers) >= SERVERS:
            self._servers.clear()
        self._servers.add(server)
        if connection.settings_dict["CONN_MAX_AGE"] == 0 and not connection.pool:
            return []
        risked = [row for _, rows in [*self._written] for row in rows]
        self._written.clear()
        return risked

    def forget(self) -> None:
        """Start anew."""
        self._written.clear()
        self._servers.clear()

    def remember(self, rows: Rows) -> None:
        """Keep in mind what was just written."""
        now = time.monotonic()
        self._written.append((now, rows))
        while self._written and self._written[0][0] < now - AT_RISK:
            self._written.popleft()
