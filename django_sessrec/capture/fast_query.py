"""A question to the events database, answered within moments or given up: no page waits for a hung one."""

from __future__ import annotations

import select
import time

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, pq

from django_sessrec import database
from django_sessrec.capture.breaker import Breaker

# A click that a crash of the server loses within 0.2 s costs nothing; waiting for the disk costs every page
# 4 ms. A locked table costs the page a second at most.
FAST_AND_BOUNDED = "SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = 1000; "
PATIENCE = 1.5  # seconds: the server ends a statement after one, unless it hangs
AT_ONCE = 0.1  # seconds: a server that refuses a connection so soon costs the next page nothing either
PAUSE = 5.0  # seconds in which no page asks a database that has failed to answer

TAKEN = {pq.TransactionStatus.ACTIVE, pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}

database_breaker = Breaker(PAUSE)
Row = tuple[str | None, ...]


class UnansweredError(OperationalError):
    """The events database did not answer in time, or did not lately and rests.

    `in_doubt`: whether the statement may have been carried out all the same.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


def ask(sql: str, *values: str | None) -> list[Row]:
    """The rows of the last statement, as text; `values` stand for the {} in it, as quoted literals or NULL.

    A transaction of its own that does not wait for the disk; inside somebody's transaction, part of that.
    Raises django.db.Error, at the latest after PATIENCE seconds.
    """
    connection = database.connection()
    if connection.in_atomic_block:
        return _ask_in_transaction(connection, sql, values)
    if database_breaker.resting:
        raise UnansweredError(f"the events database did not answer within the last {PAUSE:.0f} seconds")
    started = time.monotonic()
    try:
        connection.ensure_connection()
    except OperationalError:
        if time.monotonic() - started > AT_ONCE:
            database_breaker.rest()
        raise
    if connection.connection.pgconn.transaction_status in TAKEN:
        return _ask_in_transaction(connection, sql, values)
    with connection.wrap_database_errors:
        return _ask_at_once(connection, sql, values)


def _ask_in_transaction(
    connection: BaseDatabaseWrapper, sql: str, values: tuple[str | None, ...]
) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql.format(*["%s::text" for _ in values]), values)
        return [tuple(None if each is None else str(each) for each in row) for row in cursor.fetchall()]


def _ask_at_once(connection: BaseDatabaseWrapper, sql: str, values: tuple[str | None, ...]) -> list[Row]:
    """By libpq itself: a third of what a cursor costs, and the one way to stop waiting for an answer."""
    link = connection.connection.pgconn
    quote = pq.Escaping(link).escape_literal
    query = sql.format(*["NULL" if value is None else quote(value.encode()).decode() for value in values])
    started = time.monotonic()
    try:
        link.send_query((FAST_AND_BOUNDED + query).encode())
        results = _results(link, started + PATIENCE)
    except (errors.OperationalError, TimeoutError) as problem:
        if isinstance(problem, TimeoutError):
            database_breaker.rest()
        _hang_up(connection)
        raise UnansweredError(
            f"the connection to the events database was lost: {problem}", in_doubt=True
        ) from problem
    except BaseException:
        _hang_up(connection)
        raise
    if connection.queries_logged:
        connection.queries_log.append({"sql": query, "time": f"{time.monotonic() - started:.3f}"})
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _error(result)
    last = results[-1]
    return [
        tuple(_text(last.get_value(row, column)) for column in range(last.nfields))
        for row in range(last.ntuples)
    ]


def _hang_up(connection: BaseDatabaseWrapper) -> None:
    """The answer still to come would be taken for that to the shop's next query."""
    connection.connection.close()  # itself, because a pool would take it back and ask it
    connection.close()


def _results(link: pq.abc.PGconn, deadline: float) -> list[pq.abc.PGresult]:
    """What the server answers to each statement; TimeoutError where it hangs."""
    answer = select.poll()
    answer.register(link.socket, select.POLLIN)
    results = []
    while True:
        while link.is_busy():
            if not answer.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError(f"no answer within {PATIENCE} seconds")
            link.consume_input()
        if (result := link.get_result()) is None:
            return results
        results.append(result)


def _error(result: pq.abc.PGresult) -> errors.Error:
    problem = errors.error_from_result(result)
    if isinstance(problem, errors.OperationalError) and not isinstance(problem, errors.DeadlockDetected):
        database_breaker.rest()  # out of time, disk or connections, or on its way down
    return problem


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
