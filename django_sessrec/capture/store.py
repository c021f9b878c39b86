"""The event store: rows into Postgres once each, and a session's items out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, reduce
from itertools import islice
from operator import add, attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DataError, IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from django_sessrec.capture import partitions
from django_sessrec.capture.cookie import CLOCK_SKEW, LONGEST_SESSION
from django_sessrec.capture.events import to_payload
from django_sessrec.capture.ids import time_of
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, EventName, FailedEvent, Impression, Quarantine, Withdrawal

# A click that a crash of the server loses within 0.2 s costs nothing; waiting for the disk costs every page
# 4 ms. A locked table costs the page a second at most.
FAST_AND_BOUNDED = "SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = 1000"
NO_PARTITION = "23514"  # check_violation: no partition takes the row
COPY_ROWS = 50_000  # rows of a transaction: bounded memory and locks, 0.2 s of work

TYPES = {
    Event: "uuid timestamptz uuid text text uuid int2 int4 numeric text text bool".split(),  # noqa: SIM905
    Impression: "uuid timestamptz uuid text text int8 text text text text[] text[] bool".split(),  # noqa: SIM905
}
COLUMNS = {model: [field.column for field in model._meta.concrete_fields] for model in TYPES}
VALUES = {model: attrgetter(*(field.attname for field in model._meta.concrete_fields)) for model in TYPES}
OCCURRED_AT = COLUMNS[Event].index("occurred_at")
Statement = tuple[str, list[Any]]
SESSION_ITEMS = """
SELECT item_id FROM sessrec_event
WHERE session_id = %s AND name = ANY (%s) AND NOT bot AND occurred_at BETWEEN %s AND %s
ORDER BY occurred_at DESC, event_id DESC LIMIT %s
"""


class Written(NamedTuple):
    """What became of the rows that were sent: each is in exactly one of the four counts."""

    stored: int = 0
    duplicate: int = 0
    failed: int = 0  # kept as failed events
    withdrawn: int = 0  # of a session whose consent was withdrawn: dropped

    def __add__(self, other: tuple[int, ...]) -> Written:
        return Written(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


def write(events: Sequence[Event], impressions: Sequence[Impression] = ()) -> Written:
    """Store the rows, each id once, in a transaction of their own and in one round trip.

    A missing partition is made. A row that Postgres refuses becomes a failed event and costs no other row.
    Raises django.db.Error where the database can't be reached or the tables are not there.
    """
    rows = [*impressions, *events]
    try:
        return _insert(rows)
    except IntegrityError as problem:
        if getattr(problem.__cause__, "sqlstate", None) != NO_PARTITION:
            return _one_by_one(rows, problem)
    except DataError as problem:
        return _one_by_one(rows, problem)
    partitions.ensure_days({_time(row).date() for row in rows})
    return _insert(rows)


def copy_events(rows: Iterable[tuple[Any, ...]]) -> int:
    """Store many rows in the order of COLUMNS[Event], each id once; return how many were new.

    For imports and histories: streams, makes the partitions that the rows need, and commits every
    COPY_ROWS rows, so that a broken import keeps what it had and may simply run again.
    """
    return sum(_copy(chunk) for chunk in _chunks(rows, COPY_ROWS))


def session_items(session_id: UUID, limit: int = 50) -> list[str]:
    """The session's last viewed and basketed item ids, oldest first; no bot's."""
    start = time_of(session_id)  # so that Postgres opens the days of the visit, two at most, and no others
    end = start + LONGEST_SESSION - CLOCK_SKEW
    names = [EventName.VIEW_ITEM.value, EventName.ADD_TO_CART.value]
    with connections[sessrec_settings.DATABASE].cursor() as cursor:
        cursor.execute(SESSION_ITEMS, [session_id, names, start - CLOCK_SKEW, end, limit])
        return [item_id for (item_id,) in reversed(cursor.fetchall())]


def keep(payloads: Iterable[Mapping[str, Any]], code: str, detail: str = "") -> int:
    """Keep what could not be stored, with the reason, unless its session was withdrawn."""
    alias = sessrec_settings.DATABASE
    failed = [
        FailedEvent(
            code=code,
            detail=_storable(detail[:500]),
            session_id=_uuid(each.get("session_id")),
            payload=_storable(dict(each)),
        )
        for each in payloads
    ]
    gone = _gone(failed)
    with transaction.atomic(using=alias):
        kept = FailedEvent.objects.using(alias).bulk_create(
            each for each in failed if each.session_id not in gone
        )
    return len(kept)


def forget(session_ids: Sequence[UUID]) -> dict[str, int]:
    """Delete these sessions' rows from every table and drop what still arrives; return counts by table."""
    alias = sessrec_settings.DATABASE
    ids = list(session_ids)
    # Committed first: a write that starts from now on sees it, one before is deleted below.
    Withdrawal.objects.using(alias).bulk_create([Withdrawal(pk=each) for each in ids], ignore_conflicts=True)
    tables = [model._meta.db_table for model in (Event, Impression, FailedEvent, Quarantine)]
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        counts = {}
        for table in tables:
            cursor.execute(f"DELETE FROM {table} WHERE session_id = ANY (%s)", [ids])  # noqa: S608
            counts[table] = cursor.rowcount
    return counts


def _insert(rows: Sequence[Event | Impression]) -> Written:
    """All rows or none."""
    stored = sum(_execute([_insertion(model, some) for model, some in _by_model(rows) if some]))
    if stored == len(rows):
        return Written(stored=stored)
    gone = _gone(rows)
    withdrawn = sum(row.session_id in gone for row in rows)
    return Written(stored=stored, duplicate=len(rows) - stored - withdrawn, withdrawn=withdrawn)


def _by_model(rows: Sequence[Event | Impression]) -> Iterator[tuple[type[Model], list[Event | Impression]]]:
    """In the order of their ids, so that two writers of the same rows never wait for each other."""
    ordered = sorted(rows, key=attrgetter("pk")) if len(rows) > 1 else rows
    for model in TYPES:
        yield model, [row for row in ordered if isinstance(row, model)]


def _insertion(model: type[Model], rows: Sequence[Event | Impression]) -> Statement:
    values = VALUES[model]
    return _insertion_sql(model, len(rows)), [value for row in rows for value in values(row)]


@cache
def _insertion_sql(model: type[Model], rows: int) -> str:
    columns = ", ".join(COLUMNS[model])
    # Types are told once: the first row's are the columns'.
    typed = ", ".join(f"%s::{kind}" for kind in TYPES[model])
    plain = ", ".join(["%s"] * len(TYPES[model]))
    values = "), (".join([typed, *[plain] * (rows - 1)])
    return (
        f"INSERT INTO {model._meta.db_table} ({columns})"  # noqa: S608
        f" SELECT * FROM (VALUES ({values})) AS given ({columns})"
        " WHERE NOT EXISTS (SELECT FROM sessrec_withdrawal gone WHERE gone.session_id = given.session_id)"
        " ON CONFLICT DO NOTHING"
    )


def _execute(statements: Sequence[Statement]) -> list[int]:
    """Run the statements in one transaction; return how many rows each has touched."""
    connection = connections[sessrec_settings.DATABASE]
    if connection.in_atomic_block or connection.settings_dict["OPTIONS"].get("server_side_binding"):
        return _execute_in_savepoint(connection, statements)
    # Several statements in one simple query are one transaction, without the round trips of BEGIN and COMMIT.
    with connection.cursor() as cursor:
        cursor.execute(
            "; ".join([FAST_AND_BOUNDED, *(sql for sql, _ in statements)]),
            [value for _, values in statements for value in values],
        )
        touched = [cursor.rowcount]
        while cursor.nextset():
            touched.append(cursor.rowcount)
        return touched[-len(statements) :]


def _execute_in_savepoint(connection: BaseDatabaseWrapper, statements: Sequence[Statement]) -> list[int]:
    """The same where somebody's transaction is open, which keeps its settings, or SQL can't be joined."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        touched = []
        for sql, values in statements:
            cursor.execute(sql, values)
            touched.append(cursor.rowcount)
        return touched


def _gone(rows: Iterable[Event | Impression | FailedEvent]) -> set[UUID]:
    """Those of the rows' sessions that were withdrawn."""
    sessions = {row.session_id for row in rows if row.session_id}
    found = Withdrawal.objects.using(sessrec_settings.DATABASE).filter(pk__in=sessions)
    return set(found.values_list("pk", flat=True))


def _one_by_one(rows: Sequence[Event | Impression], problem: Exception) -> Written:
    """Store what can be stored of rows one of which Postgres refused."""
    if len(rows) > 1:
        return reduce(add, (write([row]) for row in rows), Written())
    keep([to_payload(rows[0])], "refused", str(problem))
    return Written(failed=1)


def _copy(rows: Sequence[tuple[Any, ...]]) -> int:
    alias = sessrec_settings.DATABASE
    partitions.ensure_days({row[OCCURRED_AT].astimezone(UTC).date() for row in rows})
    columns = ", ".join(COLUMNS[Event])
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE arriving (LIKE sessrec_event)")
        with cursor.copy(f"COPY arriving ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(TYPES[Event])
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            f"INSERT INTO sessrec_event ({columns}) SELECT {columns} FROM arriving"  # noqa: S608
            " WHERE session_id NOT IN (SELECT session_id FROM sessrec_withdrawal)"
            " ON CONFLICT DO NOTHING"
        )
        stored = cursor.rowcount
        cursor.execute("DROP TABLE arriving")  # the caller's own transaction may copy more
        return stored


def _chunks(rows: Iterable[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _time(row: Event | Impression) -> datetime:
    return row.occurred_at if isinstance(row, Event) else row.shown_at


def _uuid(value: Any) -> UUID | None:
    return UUID(str(value)) if value else None


def _storable(value: Any) -> Any:
    """The value with what Postgres can't keep in text, NUL and lone surrogates, replaced."""
    if isinstance(value, str):
        return value.replace("\x00", "?").encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_storable(str(key)): _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list | tuple) else value
