"""The event store: rows into Postgres, once each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add
from typing import Any, Final, NamedTuple, TypeVar

from django.db import DataError, IntegrityError, OperationalError

from django_sessrec import database
from django_sessrec.capture import partitions
from django_sessrec.capture.event import to_payload
from django_sessrec.capture.failed_events import store_failed
from django_sessrec.capture.fast_query import (
    UnansweredError,
    bounded,
    call_with_deadline,
    database_breaker,
)
from django_sessrec.capture.rows import (
    OF_BOTH,
    OF_LIST,
    OF_VIEW,
    SQL_TYPES,
    Rows,
    as_json,
    as_list_parameters,
    as_parameters,
    of_one_page,
    time_of_row,
)
from django_sessrec.models import Event, EventName, Impression

NO_PARTITION: Final = "23514"  # check_violation: no partition takes the row
# What the shop earns waits for the disk; a view that a crash takes back is sent again.
DURABLE: Final = frozenset({EventName.PURCHASE, EventName.REFUND})


def _parameters(*types: str) -> str:
    """The placeholders of values of these types."""
    return ", ".join(f"${number}::{each}" for number, each in enumerate(types, 1))


# Each of them one value, which Postgres plans much sooner than a row of three from a function.
STORE: Final = "sessrec_store($1::jsonb, $2::jsonb, $3::boolean)::text"
STORE_EVENT: Final = f"sessrec_store_event({_parameters(*SQL_TYPES.values(), 'bool')})"
STORE_LIST: Final = "sessrec_store_list({})".format(
    _parameters(*OF_BOTH.values(), *OF_LIST.values(), *OF_VIEW.values(), "bool")
)
STORE_MESSAGES: Final = "sessrec_store_messages($1::jsonb)"
TALLY: Final = "sessrec_tally(0, 0, 0, $1::int8, 0, 0)"
# Work that commits late counts in lines of its own: for that of a page, others would wait until its commit.
TALLY_BULK: Final = """
INSERT INTO sessrec_ledger AS so_far (day, slot, stored, duplicate, failed, refused, withdrawn, replayed)
VALUES ((now() AT TIME ZONE 'UTC')::date, 32 + pg_backend_pid() %% 32, %s, %s, 0, 0, %s, %s)
ON CONFLICT (day, slot) DO UPDATE SET
    stored = so_far.stored + excluded.stored,
    duplicate = so_far.duplicate + excluded.duplicate,
    withdrawn = so_far.withdrawn + excluded.withdrawn,
    replayed = so_far.replayed + excluded.replayed
"""
Answer = TypeVar("Answer")


class WriteResult(NamedTuple):
    """Rows sent, by outcome: each is in exactly one of the counts."""

    stored: int = 0
    duplicate: int = 0
    failed: int = 0  # kept as failed events
    withdrawn: int = 0  # of a session whose consent was withdrawn: dropped
    lost: int = 0  # neither database nor broker answers, and memory has no room

    def __add__(self, other: tuple[int, ...]) -> WriteResult:  # type: ignore[override]
        return WriteResult(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


class Message(NamedTuple):
    """Rows that are stored together and once, by this process, a task or the stream's consumer."""

    receipt: str  # its name; the task's id
    rows: Rows
    resend: bool = False


def write(
    events: Sequence[Event], impressions: Sequence[Impression] = (), *, resend: bool = False
) -> WriteResult:
    """Store the rows, each id once, and count them in the ledger: one transaction and one round trip.

    A row that Postgres refuses becomes a failed event and costs no other row.
    Raises django.db.Error where the database can't be reached or the tables are not there.

    resend: the rows were sent before and may have arrived; those that have are not counted once more
    """
    rows: list[Event | Impression] = [*impressions, *events]
    try:
        return insert(rows, resend=resend)
    except (DataError, IntegrityError) as problem:
        return _one_by_one(rows, problem, resend=resend)


def insert(rows: Rows, *, resend: bool = False) -> WriteResult:
    """Store all rows or none, and make the partitions that they need.

    Raises what `write` does, and DataError or IntegrityError for a row that Postgres refuses.
    """
    send = partial(_insert, _sending(rows), resend=resend)
    return _with_partitions(send, rows)


def insert_uncounted(rows: Rows) -> WriteResult:
    """As `insert`, for work that counts with tally_bulk() before it commits."""
    return _with_partitions(partial(write_json, *as_json(rows), resend=None), rows)


def write_json(
    impressions: str, events: str, *, resend: bool | None = False, durable: bool = True
) -> WriteResult:
    """Store rows that are JSON already, two arrays of what to_payload makes; all of them or none.

    resend: as for `write`; None leaves the counting to the caller
    """
    told = None if resend is None else str(resend)
    counts = call_with_deadline(STORE, impressions, events, told, durable=durable)
    stored, duplicate, withdrawn = map(int, str(counts).strip("()").split(","))
    return WriteResult(stored, duplicate, withdrawn=withdrawn)


def write_messages(messages: Sequence[Message]) -> int:
    """Store the messages whose receipts are not known yet, all of them or none; return how many those were.

    Raises as `insert`.
    """
    payload = json.dumps([_message_payload(each) for each in messages])
    rows = [row for message in messages for row in message.rows]

    def send() -> int:
        taken = call_with_deadline(STORE_MESSAGES, payload, durable=_durable(rows))
        return int(str(taken))

    return _with_partitions(send, rows)


def tally(*, refused: int) -> None:
    """Count rows that are kept nowhere, in the transaction that is open if one is."""
    if refused:
        call_with_deadline(TALLY, str(refused))


def tally_bulk(written: WriteResult, *, replayed: int = 0) -> None:
    """Count rows of a transaction that may last, in it."""
    counts = [written.stored, written.duplicate, written.withdrawn, replayed]
    if any(counts):
        with database.connection().cursor() as cursor:
            cursor.execute(TALLY_BULK, counts)


def lacks_partition(problem: IntegrityError) -> bool:
    """Whether a row's day has no partition yet."""
    return getattr(problem.__cause__, "sqlstate", None) == NO_PARTITION


def _with_partitions(send: Callable[[], Answer], rows: Rows) -> Answer:
    """What `send` answers, once more where a day of the rows had no partition."""
    try:
        return send()
    except IntegrityError as problem:
        if not lacks_partition(problem):
            raise
    with bounded():
        partitions.ensure_days({time_of_row(row).date() for row in rows})
    return send()


def _insert(send: Callable[..., WriteResult], *, resend: bool) -> WriteResult:
    """All rows or none. A connection that was lost is opened anew once: a restarted server costs no row."""
    try:
        return send(resend=resend)
    except UnansweredError as problem:
        if database_breaker.resting or not problem.in_doubt:
            raise
    try:
        return send(resend=True)
    except OperationalError as problem:
        raise UnansweredError(str(problem), in_doubt=True) from problem


def _sending(rows: Rows) -> Callable[..., WriteResult]:
    """The rows made ready for the database: what is left to say is `resend`."""
    match rows:
        case [Event() as alone]:
            return partial(_write_event, as_parameters(alone), durable=_durable(rows))
        case [Impression() as shown]:
            return partial(_write_list, as_list_parameters(shown), durable=False)
        case [Impression() as shown, Event() as view] if of_one_page(shown, view):
            return partial(_write_list, as_list_parameters(shown, view), durable=_durable(rows))
    return partial(write_json, *as_json(rows), durable=_durable(rows))


def _write_event(values: Sequence[str | None], *, resend: bool, durable: bool) -> WriteResult:
    outcome = call_with_deadline(STORE_EVENT, *values, str(resend), durable=durable)
    return WriteResult(**{str(outcome): 1})


def _write_list(values: Sequence[str | None], *, resend: bool, durable: bool) -> WriteResult:
    counts = call_with_deadline(STORE_LIST, *values, str(resend), durable=durable)
    stored, duplicate, withdrawn = map(int, str(counts).split(","))
    return WriteResult(stored, duplicate, withdrawn=withdrawn)


def _durable(rows: Rows) -> bool:
    return any(isinstance(row, Event) and row.name in DURABLE for row in rows)


def _message_payload(message: Message) -> dict[str, Any]:
    impressions, events = map(json.loads, as_json(message.rows))
    return {
        "receipt": message.receipt,
        "impressions": impressions,
        "events": events,
        "resend": message.resend,
    }


def _one_by_one(rows: Rows, problem: Exception, *, resend: bool) -> WriteResult:
    """Store what can be stored of rows one of which Postgres refused."""
    if len(rows) > 1:
        return reduce(add, (write([row], resend=resend) for row in rows), WriteResult())  # type: ignore[list-item]
    store_failed([to_payload(rows[0])], "database", str(problem), failed=True)
    return WriteResult(failed=1)
