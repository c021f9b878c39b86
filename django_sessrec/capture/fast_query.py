"""Statements for the events database that are answered within a deadline or given up.

The time limit, the statement and what tells a crash travel in one round trip. Values travel as parameters: a
statement that Postgres cancels is logged with its text, and the text names no session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from threading import local
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg import IsolationLevel, errors, pq

from django_sessrec import database
from django_sessrec.capture import libpq, prepared
from django_sessrec.capture.deadlines import (
    SERVER_MARGIN,
    TIMEOUT_SECONDS,
    UnansweredError,
    before_deadline,
    block_deadline,
    connected,
    database_breaker,
    gave_up,
    hang_up,
    patient,
)
from django_sessrec.capture.libpq import Message, Preparation, Prepared, Row, Statement, Values

__all__ = [
    "TIMEOUT_SECONDS",
    "UnansweredError",
    "bounded",
    "call_with_deadline",
    "database_breaker",
    "execute_with_deadline",
    "patient",
    "server_epoch",
    "within",
]

SAVEPOINT: Final = "sessrec"
# Somebody's transaction has time limits of its own, kept in settings while one statement is carried out.
KEEP: Final = (
    "SELECT set_config('sessrec.time_limit', current_setting('statement_timeout'), true), "
    "set_config('sessrec.lock_limit', current_setting('lock_timeout'), true)"
)
GIVE_BACK: Final = (
    "SELECT set_config('statement_timeout', current_setting('sessrec.time_limit'), true), "
    "set_config('lock_timeout', current_setting('sessrec.lock_limit'), true)"
)
# Postgres resets its statistics when it recovers from a crash, and at no clean restart: the time of that
# names what a commit that did not wait for the disk has survived. A crash of one server process is one, too,
# and leaves pg_postmaster_start_time() as it was.
EPOCH: Final = "pg_stat_get_bgwriter_stat_reset_time()"

CANCELLED: Final = (errors.QueryCanceled, errors.LockNotAvailable)  # by its own limit; the server answers

_answered = local()


def execute_with_deadline(
    sql: str, *values: str | None, durable: bool = False, expensive: bool = False
) -> list[Row]:
    """The rows that the statement answers, as text; `values` stand for $1, $2, .. in it.

    A transaction of its own that does not wait for the disk; inside somebody's transaction, a savepoint of
    that. Raises django.db.Error, at the latest after TIMEOUT_SECONDS, or where it connects after
    CONNECT_SECONDS for each address of the host.

    durable: wait for the disk
    expensive: it may take longer than a page waits though the server is well, as one that reads all rows of a
        session may: that it was given up lets nobody else wait, unless it waited for a lock
    """
    connection, limit, deadline = connected()
    started = time.monotonic()
    with connection.wrap_database_errors:
        if _in_transaction(connection):
            rows = _execute_inside(connection, sql, values, limit, deadline, expensive=expensive)
        else:
            statements = [Statement(_settings(limit, durable, expensive)), Statement(sql, values)]
            rows = libpq.rows(_exchange(connection, statements, deadline, rest=not expensive)[-1])
    _log(connection, sql, values, started)
    return rows


def call_with_deadline(function: str, *values: str | None, durable: bool = False) -> str | None:
    """The value of the function's call, as execute_with_deadline() and for less: one statement, no pipeline.

    The server's own limit is then one for each lock, which it takes while it carries out the function.
    """
    connection, limit, deadline = connected()
    started = time.monotonic()
    with connection.wrap_database_errors:
        if _in_transaction(connection):
            _answered.epoch = None
            [(answer,)] = _execute_inside(connection, f"SELECT {function}", values, limit, deadline)
        else:
            result = _answer(connection, _call(function, limit, durable), values, deadline)
            _answered.epoch, answer = (libpq.text(result.get_value(0, result.nfields - n)) for n in (2, 1))
    _log(connection, f"SELECT {function}", values, started)
    return answer


def server_epoch() -> str | None:
    """What changes when the server crashes, as this thread's last call told it; None inside a transaction."""
    return getattr(_answered, "epoch", None)


@contextmanager
def bounded(*, expensive: bool = False, savepoint: bool = True) -> Iterator[None]:
    """Queries of the ORM on a page's way: each ends within a second, and none asks a database that rests.

    A transaction, or a savepoint of somebody's; inside patient(), all of them together have that time. Raises
    django.db.Error.

    expensive: a query that may take longer than a page waits though the server is well: that it was cancelled
        lets nobody else wait
    savepoint: to go back to in somebody's transaction; without one a failure is the whole transaction's
    """
    started = time.monotonic()
    connection, limit, deadline = connected()
    settings = f"SELECT current_setting('statement_timeout'), {_time_limit(limit)}"
    outer = _in_transaction(connection)
    try:
        with before_deadline(connection, max(deadline, block_deadline())):
            if outer:
                answers = _exchange(connection, [*map(Statement, [*_begun(connection), settings])], deadline)
                [(before, _)] = libpq.rows(answers[-1])
            try:
                with nullcontext() if outer and not savepoint else database.atomic():
                    if not outer:
                        _exchange(connection, [Statement(_begin(connection)), Statement(settings)], deadline)
                    yield
            finally:
                if outer and not connection.closed_in_transaction and not _has_failed(connection):
                    give_back = Statement("SELECT set_config('statement_timeout', $1, true)", [before])
                    _exchange(connection, [give_back], time.monotonic() + TIMEOUT_SECONDS)
    except OperationalError as problem:
        only_slow = expensive and isinstance(problem.__cause__, CANCELLED)
        gave_up(time.monotonic() - started, rest=not only_slow)
        raise


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """One deadline for all that is asked of the events database inside: for staff's pages and the doctor.

    Each statement of the ORM is bounded() by itself, so that transactions are what they would be without, and
    the server ends it, too. Nested, the nearer deadline holds. Raises django.db.OperationalError, and
    UnsupportedError where the database is no PostgreSQL.
    """
    connection = database.postgres()
    until = time.monotonic() + seconds
    with before_deadline(connection, until), patient(seconds), connection.execute_wrapper(_Bounded()):
        yield


class _Bounded:
    """A wrapper of Django's for statements, which holds bounded() around each."""

    def __init__(self) -> None:
        self._inside = False

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if self._inside or _has_failed(context["connection"]):  # a savepoint's end, which sets no limit
            return execute(sql, params, many, context)
        self._inside = True
        try:
            with bounded(savepoint=False):
                return execute(sql, params, many, context)
        finally:
            self._inside = False


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether the statement is to be part of somebody's transaction; raises where it can't be."""
    status = connection.connection.pgconn.transaction_status
    if status == pq.TransactionStatus.ACTIVE:
        raise UnansweredError("the connection is busy with another statement")
    if status == pq.TransactionStatus.INERROR:
        raise TransactionManagementError("the transaction has failed and takes no statement")
    connection.validate_no_broken_transaction()
    return connection.in_atomic_block or status == pq.TransactionStatus.INTRANS


def _has_failed(connection: BaseDatabaseWrapper) -> bool:
    """Whether the transaction takes no statement but the end of itself, or of a savepoint."""
    return bool(connection.connection.pgconn.transaction_status == pq.TransactionStatus.INERROR)


def _execute_inside(
    connection: BaseDatabaseWrapper,
    sql: str,
    values: Values,
    limit: float,
    deadline: float,
    *,
    expensive: bool = False,
) -> list[Row]:
    before = [*_begun(connection), f"SAVEPOINT {SAVEPOINT}", f"{KEEP}, {_time_limit(limit, expensive)}"]
    after = [GIVE_BACK, f"RELEASE SAVEPOINT {SAVEPOINT}"]
    statements = [*map(Statement, before), Statement(sql, values), *map(Statement, after)]
    try:
        return libpq.rows(_exchange(connection, statements, deadline, rest=not expensive)[len(before)])
    except errors.Error:
        undo = [f"ROLLBACK TO SAVEPOINT {SAVEPOINT}", f"RELEASE SAVEPOINT {SAVEPOINT}"]
        _exchange(connection, [*map(Statement, undo)], time.monotonic() + TIMEOUT_SECONDS)
        raise


def _begun(connection: BaseDatabaseWrapper) -> list[str]:
    """What begins somebody's transaction if no statement of theirs has yet."""
    status = connection.connection.pgconn.transaction_status
    return [] if status == pq.TransactionStatus.INTRANS else [_begin(connection)]


def _begin(connection: BaseDatabaseWrapper) -> str:
    """The start of the transaction that psycopg would begin with its next statement."""
    link = connection.connection
    words = ["BEGIN"]
    if link.isolation_level is not None:
        words.append(f"ISOLATION LEVEL {IsolationLevel(link.isolation_level).name.replace('_', ' ')}")
    if link.read_only is not None:
        words.append("READ ONLY" if link.read_only else "READ WRITE")
    if link.deferrable is not None:
        words.append("DEFERRABLE" if link.deferrable else "NOT DEFERRABLE")
    return " ".join(words)


@cache
def _settings(limit: float, durable: bool, expensive: bool) -> str:
    """The settings of a transaction of its own."""
    return f"SELECT {_commit(durable)}{_time_limit(limit, expensive)}"


@cache
def _call(function: str, limit: float, durable: bool) -> str:
    """The settings, the epoch and the call in one statement: the values are made from left to right.

    A limit for the statement that is running would come too late; one for its locks does not.
    """
    timeout = f"set_config('lock_timeout', '{_milliseconds(limit)}', true)"
    return f"SELECT {_commit(durable)}{timeout}, {EPOCH}, {function}"


def _commit(durable: bool) -> str:
    """A click that a crash takes back within 0.6 s is sent again; waiting for the disk costs 4 ms."""
    return "" if durable else "set_config('synchronous_commit', 'off', true), "


def _milliseconds(limit: float) -> int:
    return int((limit - SERVER_MARGIN) * 1000)


def _time_limit(limit: float, expensive: bool = False) -> str:
    """The limit; a shorter one for locks tells a statement that waits from one that has much to do."""
    statement = f"set_config('statement_timeout', '{_milliseconds(limit)}', true)"
    lock = f", set_config('lock_timeout', '{_milliseconds(limit) // 2}', true)"
    return statement + lock if expensive else statement


def _answer(connection: BaseDatabaseWrapper, sql: str, values: Values, deadline: float) -> pq.abc.PGresult:
    """The answer to one statement, prepared where the connection has been asked it before."""
    uses = prepared.uses(connection, sql)
    if uses >= prepared.USES:
        name = prepared.name_of(sql)
        try:
            if uses == prepared.USES:
                _exchange(connection, [Preparation(name, sql)], deadline)
            return _exchange(connection, [Prepared(name, values)], deadline)[0]
        except prepared.UNKNOWN as problem:
            [(server,)] = libpq.rows(_exchange(connection, [Statement(prepared.SERVER)], deadline)[0])
            prepared.lost(connection, problem, server)
    return _exchange(connection, [Statement(sql, values)], deadline)[0]


def _exchange(
    connection: BaseDatabaseWrapper, messages: Sequence[Message], deadline: float, *, rest: bool = True
) -> list[pq.abc.PGresult]:
    """The answer to each message; several are sent as one pipeline, one transaction where none is open.

    rest: without an answer in time, let the next pages not ask
    """
    link = connection.connection.pgconn
    started = time.monotonic()
    try:
        results = libpq.answers(link, messages, deadline)
    except (errors.OperationalError, TimeoutError) as problem:
        if isinstance(problem, TimeoutError):
            gave_up(time.monotonic() - started, rest=rest)
        hang_up(connection)
        message = f"the connection to the events database was lost: {problem}"
        raise UnansweredError(message, in_doubt=True) from problem
    except BaseException:
        hang_up(connection)
        raise
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _error(result, time.monotonic() - started, rest=rest)
    # The answer proves what Django would ask for once a request under CONN_HEALTH_CHECKS.
    connection.health_check_done = True  # type: ignore[attr-defined]
    return results


def _error(result: pq.abc.PGresult, seconds: float, *, rest: bool) -> errors.Error:
    problem = errors.error_from_result(result)
    if isinstance(problem, errors.OperationalError) and not isinstance(problem, errors.DeadlockDetected):
        # Out of time, disk or connections, or on its way down.
        gave_up(seconds, rest=rest or not isinstance(problem, errors.QueryCanceled))
    return problem


def _log(connection: BaseDatabaseWrapper, sql: str, values: Values, started: float) -> None:
    if connection.queries_logged:
        shown = libpq.with_literals(connection.connection.pgconn, sql, values)
        connection.queries_log.append({"sql": shown, "time": f"{time.monotonic() - started:.3f}"})
