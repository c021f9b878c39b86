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
# Withdrawn sessions are left out by the statement that takes the lock for which sessrec_erase looks: it takes
# that before it sees which they are. A subquery that gives a value is asked row by row: NOT EXISTS may become
# a hash join, which shuffles the rows, and then not the first of two with one id would win.
INSERT: Final = """
INSERT INTO sessrec_event ({columns})
SELECT {columns} FROM arriving
WHERE (SELECT true FROM sessrec_withdrawal gone WHERE gone.session_id = arriving.session_id) IS NULL
ON CONFLICT DO NOTHING
"""
COUNT_WITHDRAWN: Final = "SELECT count(*) FROM arriving JOIN sessrec_withdrawal USING (session_id)"
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
            cursor.execute(INSERT.format(columns=columns))
            stored = int(cursor.rowcount)
            cursor.execute(COUNT_WITHDRAWN)
            # At most the rest: of a session that is withdrawn in between, rows may be among the stored ones.
            withdrawn = min(cursor.fetchone()[0], len(rows) - stored)
            cursor.execute("DROP TABLE arriving")  # the caller's own transaction may copy more
        store.tally_bulk(store.WriteResult(stored, len(rows) - stored - withdrawn, withdrawn=withdrawn))
        return stored


def _chunks(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    remaining = iter(things)
    while chunk := list(islice(remaining, size)):
        yield chunk
