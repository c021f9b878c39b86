"""The events of a session so far, from Postgres and, where configured, from the stream's server too."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.utils import timezone

from django_sessrec.capture import stream
from django_sessrec.capture.cookie import CLOCK_SKEW, LONGEST_SESSION
from django_sessrec.capture.event import SESSION_EVENTS
from django_sessrec.capture.fast_query import call_with_deadline
from django_sessrec.ids import time_of

MAX_SESSION_EVENTS: Final = 100  # newest ones read: bounds what a page pays for an endless session
READ: Final = "sessrec_session_events($1::uuid, $2::text[], $3::timestamptz, $4::timestamptz, $5::int)"
NAMES: Final = "{" + ",".join(sorted(SESSION_EVENTS)) + "}"


class SessionEvent(NamedTuple):
    """One event of a session, as the lists of its later pages need it."""

    event_id: str  # a UUIDv7: sorts by time
    name: str
    item_id: str
    quantity: int = 1

    @property
    def at(self) -> datetime:
        return time_of(UUID(self.event_id))


def session_events(
    session_id: UUID, limit: int = MAX_SESSION_EVENTS, *, until: datetime | None = None
) -> list[SessionEvent]:
    """The session's newest SESSION_EVENTS, oldest first, those still in the stream included; no bot's.

    until: aware; events after it are left out

    One query. Raises django.db.Error where the database does not answer in time.
    """
    since, last = _days_of(session_id)
    if until is not None:
        last = str(until)
    # Durable is what needs no setting: nothing is written.
    found = call_with_deadline(READ, str(session_id), NAMES, since, last, str(limit), durable=True)
    stored = [_event_of(text) for text in reversed(json.loads(found or "[]"))]
    waiting = [SessionEvent(*each) for each in stream.events_of(session_id)]
    if until is not None:
        waiting = [each for each in waiting if each.at <= until]
    if not waiting:
        return stored
    return sorted({each.event_id: each for each in (*stored, *waiting)}.values())[-limit:]


def _days_of(session_id: UUID) -> tuple[str, str]:
    """The bounds of the session's days so far, two at most and mostly one, so that Postgres opens no others.

    Of an imported session, whose id carries no time, nothing is known.
    """
    if session_id.version != 7:
        return "-infinity", "infinity"
    start = time_of(session_id)
    last = min(start + LONGEST_SESSION - CLOCK_SKEW, timezone.now() + CLOCK_SKEW)
    return str(start - CLOCK_SKEW), str(last)


def _event_of(text: str) -> SessionEvent:
    event_id, name, quantity, item_id = text.split(" ", 3)
    return SessionEvent(event_id, name, item_id, int(quantity))
