"""The events of a session so far, from Postgres and, where configured, from the stream's server too."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django_sessrec.capture import stream
from django_sessrec.capture.cookie import CLOCK_SKEW, LONGEST_SESSION
from django_sessrec.capture.event import SESSION_EVENTS
from django_sessrec.capture.fast_query import execute_with_deadline
from django_sessrec.ids import time_of

MAX_SESSION_EVENTS: Final = 100  # newest ones read: bounds what a page pays for an endless session
READ = """
SELECT event_id, name, quantity, item_id FROM sessrec_event
WHERE session_id = $1::uuid AND name = ANY ($2::text[]) AND NOT bot
  AND occurred_at BETWEEN $3::timestamptz AND $4::timestamptz
ORDER BY occurred_at DESC, event_id DESC LIMIT $5::int
"""


class SessionEvent(NamedTuple):
    """One event of a session, as the lists of its later pages need it."""

    event_id: str  # a UUIDv7: sorts by time
    name: str
    item_id: str
    quantity: int = 1

    @property
    def at(self) -> datetime:
        return time_of(UUID(self.event_id))


def session_events(session_id: UUID, limit: int = MAX_SESSION_EVENTS) -> list[SessionEvent]:
    """The session's newest SESSION_EVENTS, oldest first, those still in the stream included; no bot's.

    One query. Raises django.db.Error where the database does not answer in time.
    """
    start = time_of(session_id)  # so that Postgres opens the session's days, two at most, and no others
    end = start + LONGEST_SESSION - CLOCK_SKEW
    names = "{" + ",".join(sorted(SESSION_EVENTS)) + "}"
    values = str(session_id), names, str(start - CLOCK_SKEW), str(end), str(limit)
    found = execute_with_deadline(READ, *values)
    stored = {
        str(event_id): SessionEvent(str(event_id), str(name), str(item_id), int(quantity or 1))
        for event_id, name, quantity, item_id in found
    }
    waiting = {each[0]: SessionEvent(*each) for each in stream.events_of(session_id)}
    return sorted((stored | waiting).values())[-limit:]
