"""All that is kept of a session, for the visitor's own eyes (GDPR 15 and 20)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django_sessrec.capture.fast_query import execute_with_deadline

TIMES: Final = frozenset({"occurred_at", "received_at", "shown_at", "withdrawn_at"})

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeptData:
    """A session's rows of each table, the oldest first."""

    session_id: UUID | None
    events: list[Row]
    impressions: list[Row]
    failed_events: list[Row]
    quarantine: str | None  # the reason
    withdrawn_at: datetime | None


def kept_data(session_id: UUID | None) -> KeptData:
    """What is kept of the session, which is nothing for None.

    Raises django.db.Error where the database does not answer in time.
    """
    held = _rows("quarantine", session_id, "reason")
    withdrawn = _rows("withdrawal", session_id, "withdrawn_at")
    return KeptData(
        session_id,
        events=_rows("event", session_id, "event_id"),
        impressions=_rows("impression", session_id, "impression_id"),
        failed_events=_rows("failedevent", session_id, "id"),
        quarantine=held[0]["reason"] if held else None,
        withdrawn_at=withdrawn[0]["withdrawn_at"] if withdrawn else None,
    )


def _rows(table: str, session_id: UUID | None, order: str) -> list[Row]:
    """The session's rows of a table. Not by the ORM: its statements name the session in Postgres's log."""
    if session_id is None:
        return []
    kept = f"SELECT to_jsonb(kept) FROM sessrec_{table} AS kept"  # noqa: S608, both names are of this module
    rows = execute_with_deadline(f"{kept} WHERE session_id = $1::uuid ORDER BY {order}", str(session_id))
    return [_read(json.loads(str(row), parse_float=Decimal)) for [row] in rows]


def _read(row: Row) -> Row:
    return {key: datetime.fromisoformat(value) if key in TIMES else value for key, value in row.items()}
