"""All that is kept of a session, for the visitor's own eyes (GDPR 15 and 20).

A session may have very many rows, and its visitor may ask for them again and again. So each statement reads a
bounded number of rows, and one that is too slow fails by itself: other pages go on asking the database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django_sessrec.capture.fast_query import execute_with_deadline

TIMES: Final = frozenset(
    {"occurred_at", "received_at", "shown_at", "withdrawn_at", "found_at", "released_at"}
)
PAGE: Final = 1_000  # rows of one statement, which takes some milliseconds

Row = dict[str, Any]


class Table(NamedTuple):
    """A table of sessions' rows, and the key by which they are ordered."""

    name: str
    time: str
    id: str
    id_type: str


EVENTS: Final = Table("event", "occurred_at", "event_id", "uuid")
IMPRESSIONS: Final = Table("impression", "shown_at", "impression_id", "uuid")
FAILED_EVENTS: Final = Table("failedevent", "received_at", "id", "int8")


@dataclass(frozen=True, slots=True)
class KeptData:
    """A session's rows of each table, the oldest first."""

    session_id: UUID | None
    events: list[Row]
    impressions: list[Row]
    failed_events: list[Row]
    quarantine: Row | None
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class LatestData:
    """A session's latest rows, the newest first, and how many it has."""

    session_id: UUID | None
    events: list[Row]
    impressions: list[Row]
    event_count: int
    impression_count: int
    failed_count: int
    quarantine: Row | None
    withdrawn_at: datetime | None


def kept_data(session_id: UUID | None) -> KeptData:
    """What is kept of the session, which is nothing for None.

    Raises django.db.Error where the database does not answer in time.
    """
    return KeptData(
        session_id,
        quarantine=_row("quarantine", session_id),
        withdrawn_at=_withdrawn_at(session_id),
        events=list(_all(EVENTS, session_id)),
        impressions=list(_all(IMPRESSIONS, session_id)),
        failed_events=list(_all(FAILED_EVENTS, session_id)),
    )


def latest_data(session_id: UUID | None, *, events: int, impressions: int) -> LatestData:
    """As kept_data(), of the session's latest rows: at most so many events and impressions."""
    event_count, impression_count, failed_count = _counts(session_id, EVENTS, IMPRESSIONS, FAILED_EVENTS)
    return LatestData(
        session_id,
        quarantine=_row("quarantine", session_id),
        withdrawn_at=_withdrawn_at(session_id),
        events=_latest(EVENTS, session_id, events),
        impressions=_latest(IMPRESSIONS, session_id, impressions),
        event_count=event_count,
        impression_count=impression_count,
        failed_count=failed_count,
    )


def _withdrawn_at(session_id: UUID | None) -> datetime | None:
    withdrawn = _row("withdrawal", session_id)
    return withdrawn["withdrawn_at"] if withdrawn else None


def _row(table: str, session_id: UUID | None) -> Row | None:
    """The session's only row of a table, or None."""
    if session_id is None:
        return None
    rows = execute_with_deadline(_select(table), str(session_id))
    return _read(json.loads(str(rows[0][0]))) if rows else None


def _all(table: Table, session_id: UUID | None) -> Iterator[Row]:
    """The session's rows of a table, the oldest first."""
    if session_id is None:
        return
    key = f"({table.time}, {table.id})"
    after = f"($2::timestamptz IS NULL OR {key} > ($2::timestamptz, $3::{table.id_type}))"
    sql = f"{_select(table.name)} AND {after} ORDER BY {table.time}, {table.id} LIMIT $4::int"
    at, last = None, None
    while True:
        rows = _rows(sql, str(session_id), at, last, str(PAGE))
        yield from map(_read, rows)
        if len(rows) < PAGE:
            return
        at, last = rows[-1][table.time], str(rows[-1][table.id])


def _latest(table: Table, session_id: UUID | None, number: int) -> list[Row]:
    if session_id is None:
        return []
    sql = f"{_select(table.name)} ORDER BY {table.time} DESC, {table.id} DESC LIMIT $2::int"
    return [_read(row) for row in _rows(sql, str(session_id), str(number))]


def _counts(session_id: UUID | None, *tables: Table) -> list[int]:
    """How many rows of each table are the session's."""
    if session_id is None:
        return [0] * len(tables)
    of_session = "(SELECT count(*) FROM sessrec_{} WHERE session_id = $1::uuid)"
    sql = "SELECT " + ", ".join(of_session.format(each.name) for each in tables)
    [numbers] = execute_with_deadline(sql, str(session_id), expensive=True)
    return [int(str(number)) for number in numbers]


def _select(table: str) -> str:
    """Not by the ORM: its statements name the session in Postgres's log."""
    kept = f"SELECT to_jsonb(kept) FROM sessrec_{table} AS kept"  # noqa: S608, the names are of this module
    return f"{kept} WHERE session_id = $1::uuid"


def _rows(sql: str, *values: str | None) -> list[Row]:
    """The statement's rows, with times as text, which carry all digits of the key."""
    rows = execute_with_deadline(sql, *values, expensive=True)
    return [json.loads(str(row), parse_float=Decimal) for [row] in rows]


def _read(row: Row) -> Row:
    return {
        key: datetime.fromisoformat(value) if value and key in TIMES else value for key, value in row.items()
    }
