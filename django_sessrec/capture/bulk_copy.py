"""Bulk inserts by COPY for imports and histories, each id once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from itertools import islice
from typing import Final, TypeVar

from django_sessrec import database
from django_sessrec.capture import partitions, store
from django_sessrec.capture.rows import SQL_TYPES, EventRow

COPY_ROWS: Final = 50_000  # rows of a transaction at most: bounded memory, 0.2 s of work
Thing = TypeVar("Thing")


def copy_events(rows: Iterable[EventRow]) -> int:
    """Store many rows, each id once; return how many were new.

    Streams, makes the partitions that the rows need, and commits every COPY_ROWS rows, so that a broken
    import keeps what it had and may simply run again.
    """
    return sum(_copy(part) for chunk in _chunks(rows, COPY_ROWS) for part in _by_days(chunk))


def _by_days(rows: Sequence[EventRow]) -> Iterator[list[EventRow]]:
    """The rows in parts of few days each: a transaction holds locks on the partition of every day."""
    by_day = defaultdict(list)
    for row in rows:
        by_day[row.occurred_at.astimezone(UTC).date()].append(row)
    for days in _chunks(sorted(by_day), partitions.DAYS_AT_ONCE):
        yield [row for day in days for row in by_day[day]]


def _copy(rows: Sequence[EventRow]) -> int:
    partitions.ensure_days({row.occurred_at.astimezone(UTC).date() for row in rows})
    columns = ", ".join(SQL_TYPES)
    with database.atomic():
        with database.connection().cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE arriving (LIKE sessrec_event)")
            with cursor.copy(f"COPY arriving ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(list(SQL_TYPES.values()))
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                "DELETE FROM arriving WHERE session_id IN (SELECT session_id FROM sessrec_withdrawal)"
            )
            withdrawn = cursor.rowcount
            cursor.execute(
                f"INSERT INTO sessrec_event ({columns}) SELECT {columns} FROM arriving ON CONFLICT DO NOTHING"  # noqa: S608
            )
            stored = int(cursor.rowcount)
            cursor.execute("DROP TABLE arriving")  # the caller's own transaction may copy more
        store.tally(stored=stored, duplicate=len(rows) - stored - withdrawn, withdrawn=withdrawn)
        return stored


def _chunks(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    remaining = iter(things)
    while chunk := list(islice(remaining, size)):
        yield chunk
