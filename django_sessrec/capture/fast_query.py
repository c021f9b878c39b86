"""Statements for the events database that are answered within a deadline or given up.

By libpq itself and not by a cursor: it costs a third, it can stop waiting for a server that hangs, and the
time limit, the statement and what tells a crash travel in one round trip, as a pipeline. Values travel as
parameters: a statement that Postgres cancels is logged with its text, and the text names no session.
"""

from __future__ import annotations

import select
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
from django_sessrec.capture.breaker import Breaker, patience_left, waited_in_vain

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

RESTS: Final = f"the events database did not answer within the last {PAUSE:.0f} seconds"

database_breaker = Breaker(PAUSE)
Row = tuple[str | None, ...]
Values = Sequence[str | None]
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
    connection = database.connection()
    limit = _limit.get()
    if limit is None and (database_breaker.resting or not patience_left()):
        raise UnansweredError(RESTS)
    deadline = time.monotonic() + (min(TIMEOUT_SECONDS, patience_left()) if limit is None else limit)
    deadline = _connect(connection, deadline)
    timeout = int(((limit or TIMEOUT_SECONDS) - SERVER_MARGIN) * 1000)
    started = time.monotonic()
    with connection.wrap_database_errors:
        if _in_transaction(connection):
            rows = _execute_inside(connection, sql, values, timeout, deadline)
        else:
            statements = [(_settings(timeout, durable), ()), (sql, values)]
            [settings], rows = _exchange(connection, statements, deadline)
            _answered.epoch = settings[-1]
    if connection.queries_logged:
        shown = _with_literals(connection.connection.pgconn, sql, values)
        connection.queries_log.append({"sql": shown, "time": f"{time.monotonic() - started:.3f}"})
    return rows


def server_epoch() -> str | None:
    """What changes when the server crashes, as this thread's last answer told it."""
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
def bounded() -> Iterator[None]:
    """Queries of the ORM on a page's way: each ends within a second, and none asks a database that rests.

    A transaction, or a savepoint of somebody's; inside patient(), each has that time. Raises django.db.Error.
    """
    connection = database.connection()
    limit = _limit.get()
    if limit is None and (database_breaker.resting or not patience_left()):
        raise UnansweredError(RESTS)
    started = time.monotonic()
    deadline = _connect(connection, started + (limit or TIMEOUT_SECONDS))
    settings = _settings_inside(int(((limit or TIMEOUT_SECONDS) - SERVER_MARGIN) * 1000), KEPT_BY_BLOCK)
    outer = _in_transaction(connection)
    try:
        # The first exchange is also the question whether it answers: the ORM's queries have no deadline here.
        if outer:
            _exchange(connection, [(settings, ())], deadline)
        try:
            with database.atomic():
                if not outer:
                    _exchange(connection, [(_begin(connection), ()), (settings, ())], deadline)
                yield
        finally:
            if outer and not connection.closed_in_transaction:
                before = _settings_of_before(KEPT_BY_BLOCK)
                _exchange(connection, [(before, ())], time.monotonic() + TIMEOUT_SECONDS)
    except OperationalError:
        _gave_up(time.monotonic() - started)
        raise


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
    link, deadline = connection.pgconn, time.monotonic() + POOL_SECONDS / 2
    try:
        link.send_query(b"")
        while link.is_busy():
            _wait(link, deadline)
        while link.get_result() is not None:
            pass
    except TimeoutError as problem:
        connection.close()
        raise errors.OperationalError(str(problem)) from problem


def _is_dead(connection: BaseDatabaseWrapper) -> bool:
    """Whether the server has ended this idle connection; it is closed then, and nothing is in doubt."""
    link = connection.connection.pgconn
    if connection.in_atomic_block or link.transaction_status != pq.TransactionStatus.IDLE:
        return False
    if link.status == pq.ConnStatus.OK and not _ready(link.socket, 0.0):
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
    connection: BaseDatabaseWrapper, sql: str, values: Values, timeout: int, deadline: float
) -> list[Row]:
    link = connection.connection.pgconn
    begin = [] if link.transaction_status == pq.TransactionStatus.INTRANS else [_begin(connection)]
    before = [*begin, f"SAVEPOINT {SAVEPOINT}", _settings_inside(timeout, KEPT)]
    after = [_settings_of_before(KEPT), f"RELEASE SAVEPOINT {SAVEPOINT}"]
    statements = [*[(each, ()) for each in before], (sql, values), *[(each, ()) for each in after]]
    try:
        return _exchange(connection, statements, deadline)[len(before)]
    except errors.Error:
        undo = [f"ROLLBACK TO SAVEPOINT {SAVEPOINT}", f"RELEASE SAVEPOINT {SAVEPOINT}"]
        _exchange(connection, [(each, ()) for each in undo], time.monotonic() + TIMEOUT_SECONDS)
        raise


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
def _settings(timeout: int, durable: bool) -> str:
    """The settings of a transaction of its own, and the server's epoch.

    A click that a crash of the server loses within 0.6 s is sent again; waiting for the disk costs 4 ms.
    """
    commit = "" if durable else "set_config('synchronous_commit', 'off', true), "
    return f"SELECT {commit}set_config('statement_timeout', '{timeout}', true), {EPOCH}"


def _settings_inside(timeout: int, kept: str) -> str:
    """The time limit inside somebody's transaction, whose own one is kept in the setting `kept`."""
    keep = f"set_config('{kept}', current_setting('statement_timeout'), true)"
    return f"SELECT {keep}, set_config('statement_timeout', '{timeout}', true)"


def _settings_of_before(kept: str) -> str:
    return f"SELECT set_config('statement_timeout', current_setting('{kept}'), true)"


def _exchange(
    connection: BaseDatabaseWrapper, statements: Sequence[tuple[str, Values]], deadline: float
) -> list[list[Row]]:
    """The rows of each statement, sent as one pipeline, which is one transaction where none is open."""
    link = connection.connection.pgconn
    started = time.monotonic()
    try:
        results = _pipelined(link, statements, deadline)
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
    return [
        [
            tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]
        for result in results
    ]


def _pipelined(
    link: pq.abc.PGconn, statements: Sequence[tuple[str, Values]], deadline: float
) -> list[pq.abc.PGresult]:
    link.enter_pipeline_mode()
    for sql, values in statements:
        link.send_query_params(sql.encode(), [None if each is None else each.encode() for each in values])
    link.pipeline_sync()
    results: list[pq.abc.PGresult] = []
    while link.flush():  # more than the socket takes at once; the server may want to be heard first
        _wait(link, deadline, writing=True)
    while True:
        while link.is_busy():
            _wait(link, deadline)
        result = link.get_result()
        if result is None:  # the end of a statement's answer
            if link.status == pq.ConnStatus.BAD:
                raise errors.OperationalError("the server closed the connection")
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            link.exit_pipeline_mode()
            return results
        else:
            results.append(result)


def _wait(link: pq.abc.PGconn, deadline: float, *, writing: bool = False) -> None:
    """Until the socket can be read, or written; TimeoutError where the server hangs."""
    if not _ready(link.socket, deadline - time.monotonic(), writing=writing):
        raise TimeoutError("no answer in time")
    link.consume_input()


def _ready(socket: int, seconds: float, *, writing: bool = False) -> bool:
    if hasattr(select, "poll"):
        waiting = select.poll()
        waiting.register(socket, select.POLLIN | (select.POLLOUT if writing else 0))
        return bool(waiting.poll(max(0.0, seconds) * 1000))
    return any(select.select([socket], [socket] if writing else [], [], max(0.0, seconds)))


def _gave_up(seconds: float) -> None:
    """Let the next pages not ask; a worker's own patience says nothing about theirs."""
    if _limit.get() is None:
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


def _with_literals(link: pq.abc.PGconn, sql: str, values: Values) -> str:
    """The statement as the log of queries shows it, which Django keeps in DEBUG."""
    quote = pq.Escaping(link).escape_literal
    for number in range(len(values), 0, -1):
        value = values[number - 1]
        literal = "NULL" if value is None else quote(value.encode()).decode()
        sql = sql.replace(f"${number}", literal)
    return sql


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
