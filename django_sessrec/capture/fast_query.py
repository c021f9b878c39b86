"""Statements for the events database that are answered within a deadline or given up.

The time limit, the statement and what tells a crash travel in one round trip. Values travel as parameters: a
statement that Postgres cancels is logged with its text, and the text names no session.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from threading import local
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg import IsolationLevel, errors, pq

from django_sessrec import database
from django_sessrec.capture import libpq, prepared
from django_sessrec.capture.breaker import Breaker, patience_left, waited_in_vain
from django_sessrec.capture.libpq import Message, Preparation, Prepared, Row, Statement, Values

TIMEOUT_SECONDS: Final = 1.2  # of a page: the server itself ends a statement after one, unless it hangs
SERVER_MARGIN: Final = 0.2  # seconds that the server's own limit is shorter
CONNECT_SECONDS: Final = 2  # whole seconds, and psycopg raises less to two
POOL_SECONDS: Final = 1.0  # for a pool that has no connection to give
AT_ONCE: Final = 0.1  # seconds: a server that refuses a connection so soon costs the next page nothing either
PAUSE: Final = 5.0  # seconds in which no page asks a database that has failed to answer

SAVEPOINT: Final = "sessrec"
# The settings in which a transaction's own time limit is kept, by one statement and by bounded().
KEPT: Final = "sessrec.statement_timeout"
KEPT_BY_BLOCK: Final = "sessrec.block_statement_timeout"
# Postgres resets its statistics when it recovers from a crash, and at no clean restart: the time of that
# names what a commit that did not wait for the disk has survived. A crash of one server process is one, too,
# and leaves pg_postmaster_start_time() as it was.
EPOCH: Final = "pg_stat_get_bgwriter_stat_reset_time()"

CANCELLED: Final = (errors.QueryCanceled, errors.LockNotAvailable)  # by its own limit; the server answers
RESTS: Final = f"the events database did not answer within the last {PAUSE:.0f} seconds"

database_breaker = Breaker(PAUSE)
_limit: ContextVar[float | None] = ContextVar("sessrec_limit", default=None)  # None: a page's
_answered = local()


class UnansweredError(OperationalError):
    """The events database did not answer in time, or did not lately and rests.

    `in_doubt`: whether the statement may have been carried out all the same.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


def execute_with_deadline(sql: str, *values: str | None, durable: bool = False) -> list[Row]:
    """The rows that the statement answers, as text; `values` stand for $1, $2, .. in it.

    A transaction of its own that does not wait for the disk; inside somebody's transaction, a savepoint of
    that. Raises django.db.Error, at the latest after TIMEOUT_SECONDS, or CONNECT_SECONDS where it connects.

    durable: wait for the disk
    """
    connection, limit, deadline = _connected()
    started = time.monotonic()
    with connection.wrap_database_errors:
        if _in_transaction(connection):
            rows = _execute_inside(connection, sql, values, limit, deadline)
        else:
            statements = [Statement(_settings(limit, durable)), Statement(sql, values)]
            rows = libpq.rows(_exchange(connection, statements, deadline)[-1])
    _log(connection, sql, values, started)
    return rows


def call_with_deadline(function: str, *values: str | None, durable: bool = False) -> str | None:
    """The value of the function's call, as execute_with_deadline() and for less: one statement, no pipeline.

    The server's own limit is then one for each lock, which it takes while it carries out the function.
    """
    connection, limit, deadline = _connected()
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
def patient(seconds: float) -> Iterator[None]:
    """For workers and commands: statements inside wait so long, and ask a database that rests as well."""
    before = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(before)


@contextmanager
def bounded(*, expensive: bool = False) -> Iterator[None]:
    """Queries of the ORM on a page's way: each ends within a second, and none asks a database that rests.

    A transaction, or a savepoint of somebody's; inside patient(), each has that time. Raises django.db.Error.

    expensive: a query that may take longer than a page waits though the server is well: that it was cancelled
        lets nobody else wait
    """
    started = time.monotonic()
    connection, limit, deadline = _connected()
    settings = _settings_inside(limit, KEPT_BY_BLOCK)
    outer = _in_transaction(connection)
    try:
        # The first exchange is also the question whether it answers: the ORM's queries have no deadline here.
        if outer:
            _exchange(connection, [*map(Statement, [*_begun(connection), settings])], deadline)
        try:
            with database.atomic():
                if not outer:
                    _exchange(connection, [Statement(_begin(connection)), Statement(settings)], deadline)
                yield
        finally:
            if outer and not connection.closed_in_transaction:
                before = _settings_of_before(KEPT_BY_BLOCK)
                _exchange(connection, [Statement(before)], time.monotonic() + TIMEOUT_SECONDS)
    except OperationalError as problem:
        only_slow = expensive and isinstance(problem.__cause__, CANCELLED)
        _gave_up(time.monotonic() - started, rest=not only_slow)
        raise


def _connected() -> tuple[BaseDatabaseWrapper, float, float]:
    """The connection, how many seconds a statement may take, and until when its answer is waited for."""
    connection, limit = database.connection(), _limit.get()
    seconds = TIMEOUT_SECONDS if limit is None else limit
    left = patience_left() if limit is None else limit
    if limit is None and (database_breaker.resting or not left):
        raise UnansweredError(RESTS)
    return connection, seconds, _connect(connection, time.monotonic() + min(seconds, left))


def _connect(connection: BaseDatabaseWrapper, deadline: float) -> float:
    """Have a connection; return until when its answer is waited for."""
    if connection.connection is not None and not _is_dead(connection):
        return deadline
    started = time.monotonic()
    options = connection.settings_dict.get("OPTIONS", {})
    before = connection.settings_dict
    try:
        if pool := getattr(connection, "pool", None):
            with connection.wrap_database_errors:  # it would wait for as long as the shop lets it
                _bound_check(pool)
                pool.open()
                pool.putconn(pool.getconn(timeout=POOL_SECONDS))
        elif "connect_timeout" not in options:
            connection.settings_dict = {**before, "OPTIONS": {**options, "connect_timeout": CONNECT_SECONDS}}
        connection.ensure_connection()
    except OperationalError:
        if time.monotonic() - started > AT_ONCE:
            _gave_up(time.monotonic() - started)
        raise
    finally:
        connection.settings_dict = before
    return max(deadline, started + CONNECT_SECONDS)


def _bound_check(pool: Any) -> None:
    """Have the pool give up a connection that does not answer: by CONN_HEALTH_CHECKS it waits for ever."""
    if getattr(pool, "_check", None) is type(pool).check_connection:
        pool._check = _check


def _check(connection: Any) -> None:
    try:
        libpq.check(connection.pgconn, time.monotonic() + POOL_SECONDS / 2)
    except TimeoutError as problem:
        connection.close()
        raise errors.OperationalError(str(problem)) from problem


def _is_dead(connection: BaseDatabaseWrapper) -> bool:
    """Whether the server has ended this idle connection; it is closed then, and nothing is in doubt."""
    link = connection.connection.pgconn
    if connection.in_atomic_block or link.transaction_status != pq.TransactionStatus.IDLE:
        return False
    if link.status == pq.ConnStatus.OK and not libpq.ready(link.socket, 0.0):
        return False
    try:
        link.consume_input()
    except errors.OperationalError:
        _hang_up(connection)
        return True
    return False


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether the statement is to be part of somebody's transaction; raises where it can't be."""
    status = connection.connection.pgconn.transaction_status
    if status == pq.TransactionStatus.ACTIVE:
        raise UnansweredError("the connection is busy with another statement")
    if status == pq.TransactionStatus.INERROR:
        raise TransactionManagementError("the transaction has failed and takes no statement")
    connection.validate_no_broken_transaction()
    return connection.in_atomic_block or status == pq.TransactionStatus.INTRANS


def _execute_inside(
    connection: BaseDatabaseWrapper, sql: str, values: Values, limit: float, deadline: float
) -> list[Row]:
    before = [*_begun(connection), f"SAVEPOINT {SAVEPOINT}", _settings_inside(limit, KEPT)]
    after = [_settings_of_before(KEPT), f"RELEASE SAVEPOINT {SAVEPOINT}"]
    statements = [*map(Statement, before), Statement(sql, values), *map(Statement, after)]
    try:
        return libpq.rows(_exchange(connection, statements, deadline)[len(before)])
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
def _settings(limit: float, durable: bool) -> str:
    """The settings of a transaction of its own."""
    return f"SELECT {_commit(durable)}set_config('statement_timeout', '{_milliseconds(limit)}', true)"


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


def _settings_inside(limit: float, kept: str) -> str:
    """The time limit inside somebody's transaction, whose own one is kept in the setting `kept`."""
    keep = f"set_config('{kept}', current_setting('statement_timeout'), true)"
    return f"SELECT {keep}, set_config('statement_timeout', '{_milliseconds(limit)}', true)"


def _settings_of_before(kept: str) -> str:
    return f"SELECT set_config('statement_timeout', current_setting('{kept}'), true)"


def _answer(connection: BaseDatabaseWrapper, sql: str, values: Values, deadline: float) -> pq.abc.PGresult:
    """The answer to one statement, prepared where the connection has been asked it before."""
    uses = prepared.uses(connection, sql)
    if uses >= prepared.USES:
        name = prepared.name_of(sql)
        try:
            if uses == prepared.USES:
                _exchange(connection, [Preparation(name, sql)], deadline)
            return _exchange(connection, [Prepared(name, values)], deadline)[0]
        except prepared.UNKNOWN:
            prepared.forgo(connection)
    return _exchange(connection, [Statement(sql, values)], deadline)[0]


def _exchange(
    connection: BaseDatabaseWrapper, messages: Sequence[Message], deadline: float
) -> list[pq.abc.PGresult]:
    """The answer to each message; several are sent as one pipeline, one transaction where none is open."""
    link = connection.connection.pgconn
    started = time.monotonic()
    try:
        results = libpq.answers(link, messages, deadline)
    except (errors.OperationalError, TimeoutError) as problem:
        if isinstance(problem, TimeoutError):
            _gave_up(time.monotonic() - started)
        _hang_up(connection)
        message = f"the connection to the events database was lost: {problem}"
        raise UnansweredError(message, in_doubt=True) from problem
    except BaseException:
        _hang_up(connection)
        raise
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _error(result, time.monotonic() - started)
    return results


def _gave_up(seconds: float, *, rest: bool = True) -> None:
    """Let the next pages not ask; a worker's own patience says nothing about theirs."""
    if _limit.get() is None:
        if rest:
            database_breaker.rest()
        waited_in_vain(seconds)


def _hang_up(connection: BaseDatabaseWrapper) -> None:
    """The answer still to come would be taken for that to the shop's next query."""
    connection.connection.close()  # itself, because a pool would take it back and ask it
    connection.close()


def _error(result: pq.abc.PGresult, seconds: float) -> errors.Error:
    problem = errors.error_from_result(result)
    if isinstance(problem, errors.OperationalError) and not isinstance(problem, errors.DeadlockDetected):
        _gave_up(seconds)  # out of time, disk or connections, or on its way down
    return problem


def _log(connection: BaseDatabaseWrapper, sql: str, values: Values, started: float) -> None:
    if connection.queries_logged:
        shown = libpq.with_literals(connection.connection.pgconn, sql, values)
        connection.queries_log.append({"sql": shown, "time": f"{time.monotonic() - started:.3f}"})
