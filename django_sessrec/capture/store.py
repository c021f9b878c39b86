"""The event store: rows into Postgres, once each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial, reduce
from itertools import islice
from operator import add, attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DataError, IntegrityError, OperationalError

from django_sessrec import database
from django_sessrec.capture import partitions, stream
from django_sessrec.capture.event import encodable, to_payload
from django_sessrec.capture.fast_query import UnansweredError, ask, database_breaker
from django_sessrec.models import Event, FailedEvent, Impression, Quarantine, Withdrawal

NO_PARTITION = "23514"  # check_violation: no partition takes the row
COPY_ROWS = 50_000  # rows of a transaction: bounded memory and locks, 0.2 s of work
COLUMNS = [field.column for field in Event._meta.concrete_fields]
TYPES = "uuid timestamptz uuid text text uuid int2 int4 numeric text text bool".split()  # noqa: SIM905
OCCURRED_AT = COLUMNS.index("occurred_at")
VALUES = attrgetter(*[field.attname for field in Event._meta.concrete_fields])

# Each of them one value, which Postgres plans much sooner than a row of three from a function.
STORE = "SELECT sessrec_store({}::jsonb, {}::jsonb, {}::boolean)::text"
STORE_EVENT = f"SELECT sessrec_store_event({', '.join('{}::' + each for each in [*TYPES, 'bool'])})"
STORE_ONCE = """
WITH first AS (
    INSERT INTO sessrec_receipt (name, messages, received_at) VALUES ({}::text, ARRAY[]::text[], now())
    ON CONFLICT DO NOTHING RETURNING name
)
SELECT count(sessrec_store({}::jsonb, {}::jsonb, {}::boolean)) FROM first
"""
# In the order in which writers take them; the partitions need no lock, for all rows go through these.
WAIT_FOR_WRITERS = """
LOCK TABLE ONLY sessrec_impression, ONLY sessrec_event, sessrec_failedevent IN SHARE ROW EXCLUSIVE MODE
"""
BEGIN_TO_KEEP = "LOCK TABLE sessrec_failedevent IN ROW EXCLUSIVE MODE"
TALLY = "SELECT sessrec_tally(%s, %s, %s, %s, %s, %s)"


class Written(NamedTuple):
    """What became of the rows that were sent: each is in exactly one of the four counts."""

    stored: int = 0
    duplicate: int = 0
    failed: int = 0  # kept as failed events
    withdrawn: int = 0  # of a session whose consent was withdrawn: dropped

    def __add__(self, other: tuple[int, ...]) -> Written:
        return Written(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


def write(events: Sequence[Event], impressions: Sequence[Impression] = (), *, again: bool = False) -> Written:
    """Store the rows, each id once, and count them in the ledger: one transaction and one round trip.

    A row that Postgres refuses becomes a failed event and costs no other row.
    Raises django.db.Error where the database can't be reached or the tables are not there.

    again: the rows were sent before and may have arrived; those that have are not counted once more
    """
    rows = [*impressions, *events]
    try:
        return insert(rows, again=again)
    except (DataError, IntegrityError) as problem:
        return _one_by_one(rows, problem, again=again)


def insert(rows: Sequence[Event | Impression], *, again: bool = False) -> Written:
    """Store all rows or none, and make the partitions that they need.

    Raises what `write` does, and DataError or IntegrityError for a row that Postgres refuses.
    """
    try:
        return _insert(rows, again=again)
    except IntegrityError as problem:
        if not lacks_partition(problem):
            raise
    partitions.ensure_days({_time(row).date() for row in rows})
    return _insert(rows, again=again)


def lacks_partition(problem: IntegrityError) -> bool:
    """Whether a row's day has no partition yet."""
    return getattr(problem.__cause__, "sqlstate", None) == NO_PARTITION


def write_json(impressions: str, events: str, *, again: bool = False) -> Written:
    """Store rows that are JSON already, two arrays of what to_payload makes; all of them or none."""
    counts = _answer(STORE, impressions, events, str(again))
    stored, duplicate, withdrawn = map(int, counts.strip("()").split(","))
    return Written(stored, duplicate, withdrawn=withdrawn)


def write_once(receipt: str, rows: Sequence[Event | Impression], *, again: bool) -> None:
    """Store all rows or none, and nothing where the receipt is known. Raises as `insert`."""
    _answer(STORE_ONCE, receipt, *_as_json(rows), str(again))


def copy_events(rows: Iterable[tuple[Any, ...]]) -> int:
    """Store many rows in the order of COLUMNS, each id once; return how many were new.

    For imports and histories: streams, makes the partitions that the rows need, and commits every
    COPY_ROWS rows, so that a broken import keeps what it had and may simply run again.
    """
    return sum(_copy(chunk) for chunk in _chunks(rows, COPY_ROWS))


def keep(payloads: Iterable[Mapping[str, Any]], code: str, detail: str = "", *, failed: bool = False) -> int:
    """Keep what is not stored, with the reason, unless its session was withdrawn; return how many were kept.

    failed: the rows are good and the database did not take them; else they are wrong input, refused
    """
    return keep_each([(each, code, detail) for each in payloads], failed=failed)


def keep_each(reasoned: Iterable[tuple[Mapping[str, Any], str, str]], *, failed: bool = False) -> int:
    """The same of payloads that have a code and a detail each, in one transaction."""
    rows = [
        FailedEvent(
            code=code,
            detail=_storable(detail[:500]),
            session_id=_uuid(payload.get("session_id")),
            payload=_storable(dict(payload)),
        )
        for payload, code, detail in reasoned
    ]
    with database.atomic():
        with database.connection().cursor() as cursor:
            cursor.execute(BEGIN_TO_KEEP)  # an erasure waits from here on, and what it withdrew is seen
        gone = _gone(rows)
        kept = [each for each in rows if each.session_id not in gone]
        FailedEvent.objects.bulk_create(kept)
        tally(withdrawn=len(rows) - len(kept), **{"failed" if failed else "refused": len(kept)})
    return len(kept)


def tally(
    *,
    stored: int = 0,
    duplicate: int = 0,
    failed: int = 0,
    refused: int = 0,
    withdrawn: int = 0,
    replayed: int = 0,
) -> None:
    """Count in the ledger, in the transaction that is open."""
    counts = [stored, duplicate, failed, refused, withdrawn, replayed]
    if any(counts):
        with database.connection().cursor() as cursor:
            cursor.execute(TALLY, counts)


def forget(session_ids: Sequence[UUID]) -> dict[str, int]:
    """Delete these sessions' rows from every table and drop what still arrives; return counts by table."""
    ids = list(session_ids)
    # Committed first: a write that starts from now on sees it, one before is waited for and deleted below.
    Withdrawal.objects.bulk_create([Withdrawal(pk=each) for each in ids], ignore_conflicts=True)
    tables = [model._meta.db_table for model in (Event, Impression, FailedEvent, Quarantine)]
    with database.atomic(), database.connection().cursor() as cursor:
        cursor.execute(WAIT_FOR_WRITERS)
        counts = {}
        for table in tables:
            cursor.execute(f"DELETE FROM {table} WHERE session_id = ANY (%s)", [ids])  # noqa: S608
            counts[table] = cursor.rowcount
    stream.forget(ids)  # what waits in it is dropped when it reaches the tables
    return counts


def _insert(rows: Sequence[Event | Impression], *, again: bool) -> Written:
    """All rows or none. A connection that was lost is opened anew once: a restarted server costs no row."""
    send = _sending(rows)
    try:
        return send(again=again)
    except UnansweredError as problem:
        if database_breaker.resting or not problem.in_doubt:
            raise
    try:
        return send(again=True)
    except OperationalError as problem:
        raise UnansweredError(str(problem), in_doubt=True) from problem


def _sending(rows: Sequence[Event | Impression]) -> Callable[..., Written]:
    """The rows made ready for the database: what is left to say is `again`."""
    if len(rows) == 1 and isinstance(rows[0], Event):
        return partial(_write_event, [None if each is None else str(each) for each in VALUES(rows[0])])
    return partial(write_json, *_as_json(rows))


def _as_json(rows: Sequence[Event | Impression]) -> list[str]:
    """Impressions and events, by their ids: two writers of the same rows never wait for each other."""
    ordered = sorted(rows, key=attrgetter("pk"))
    return [
        json.dumps([to_payload(row) for row in ordered if isinstance(row, model)])
        for model in (Impression, Event)
    ]


def _write_event(values: Sequence[str | None], *, again: bool) -> Written:
    if not encodable("".join(filter(None, values))):
        raise DataError("Postgres keeps no text with NUL or half of a surrogate pair")
    return Written(**{_answer(STORE_EVENT, *values, str(again)): 1})


def _answer(sql: str, *values: str | None) -> str:
    """The one value that a function answers; somebody's transaction survives a row that it refuses."""
    inside = database.connection().in_atomic_block
    with database.atomic() if inside else nullcontext():
        [(answer,)] = ask(sql, *values)
    return str(answer)


def _gone(rows: Iterable[FailedEvent]) -> set[UUID]:
    """Those of the rows' sessions that were withdrawn."""
    sessions = {row.session_id for row in rows if row.session_id}
    found = Withdrawal.objects.filter(pk__in=sessions)
    return set(found.values_list("pk", flat=True))


def _one_by_one(rows: Sequence[Event | Impression], problem: Exception, *, again: bool) -> Written:
    """Store what can be stored of rows one of which Postgres refused."""
    if len(rows) > 1:
        return reduce(add, (write([row], again=again) for row in rows), Written())
    keep([to_payload(rows[0])], "database", str(problem), failed=True)
    return Written(failed=1)


def _copy(rows: Sequence[tuple[Any, ...]]) -> int:
    partitions.ensure_days({row[OCCURRED_AT].astimezone(UTC).date() for row in rows})
    columns = ", ".join(COLUMNS)
    with database.atomic(), database.connection().cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE arriving (LIKE sessrec_event)")
        with cursor.copy(f"COPY arriving ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(TYPES)
            for row in rows:
                copy.write_row(row)
        cursor.execute("DELETE FROM arriving WHERE session_id IN (SELECT session_id FROM sessrec_withdrawal)")
        withdrawn = cursor.rowcount
        cursor.execute(
            f"INSERT INTO sessrec_event ({columns}) SELECT {columns} FROM arriving ON CONFLICT DO NOTHING"  # noqa: S608
        )
        stored = cursor.rowcount
        cursor.execute("DROP TABLE arriving")  # the caller's own transaction may copy more
        tally(stored=stored, duplicate=len(rows) - stored - withdrawn, withdrawn=withdrawn)
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
