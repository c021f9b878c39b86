"""The events database's connection, and how long anything that is asked of it may take.

A page's statement has TIMEOUT_SECONDS, what stands inside patient() has its own time, and all that stands
inside within() has one deadline together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, pq
from psycopg.abc import PQGen

from django_sessrec import database
from django_sessrec.capture import libpq
from django_sessrec.capture.breaker import Breaker, patience_left, waited_in_vain

TIMEOUT_SECONDS: Final = 1.2  # of a page: the server itself ends a statement after one, unless it hangs
SERVER_MARGIN: Final = 0.2  # seconds that the server's own limit is shorter
LEAST: Final = 0.3  # seconds of a statement, so that the server's own limit is one
CONNECT_SECONDS: Final = 2  # of each of the host's addresses; whole, and psycopg raises less to two
POOL_SECONDS: Final = 1.0  # for a pool that has no connection to give
AT_ONCE: Final = 0.1  # seconds: a server that refuses a connection so soon costs the next page nothing either
PAUSE: Final = 5.0  # seconds in which no page asks a database that has failed to answer

RESTS: Final = f"the events database did not answer within the last {PAUSE:.0f} seconds"
LATE: Final = "the events database did not answer in time"

database_breaker = Breaker(PAUSE)
_limit: ContextVar[float | None] = ContextVar("sessrec_limit", default=None)  # None: a page's
_until: ContextVar[float | None] = ContextVar("sessrec_until", default=None)  # None: no deadline for all
_lends: ContextVar[float | None] = ContextVar("sessrec_lends", default=None)  # a pool; None: as the shop says


class UnansweredError(OperationalError):
    """The events database did not answer in time, or did not lately and rests.

    `in_doubt`: whether the statement may have been carried out all the same.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """For workers and commands: statements inside wait so long, and ask a database that rests as well."""
    before = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(before)


@contextmanager
def before_deadline(connection: BaseDatabaseWrapper, until: float) -> Iterator[None]:
    """Whatever is waited for on the connection, its opening included, ends by `until` of time.monotonic().

    At the deadline the connection is lost, as it is where the server is. Raises django.db.OperationalError.
    """
    outer = _until.get()
    token = _until.set(until if outer is None else min(until, outer))
    try:
        with _opens_in_time(connection):
            _watch(connection)
            yield
    finally:
        _until.reset(token)
        if outer is None and connection.connection is not None:
            vars(connection.connection).pop("wait", None)


def connected() -> tuple[BaseDatabaseWrapper, float, float]:
    """The connection, how many seconds a statement may take, and until when its answer is waited for.

    Raises UnansweredError, OperationalError, and UnsupportedError where the database is no PostgreSQL.
    """
    connection, limit, until = database.postgres(), _limit.get(), _until.get()
    seconds = TIMEOUT_SECONDS if limit is None else limit
    left = patience_left() if limit is None else limit
    if limit is None and (database_breaker.resting or not left):
        raise UnansweredError(RESTS)
    now = time.monotonic()
    if until is not None:
        if now >= until:
            raise UnansweredError(LATE)
        left = min(left, until - now)
    if left < seconds:
        if left < LEAST and connection.in_atomic_block:  # the client would give up first, and end it
            raise UnansweredError(LATE)
        seconds = max(LEAST, math.floor(10 * left) / 10)  # few values: statements are cached
    return connection, seconds, _connect(connection, now + min(seconds, left))


def block_deadline() -> float:
    """Until when all queries of one block may take, a time of time.monotonic()."""
    limit = _limit.get()
    return time.monotonic() + (patience_left() if limit is None else limit)


def gave_up(seconds: float, *, rest: bool = True) -> None:
    """Let the next pages not ask; a worker's own patience says nothing about theirs."""
    if _limit.get() is None:
        if rest:
            database_breaker.rest()
        waited_in_vain(seconds)


def hang_up(connection: BaseDatabaseWrapper) -> None:
    """The answer still to come would be taken for that to the shop's next query."""
    connection.connection.close()  # itself, because a pool would take it back and ask it
    connection.close()


def _connect(connection: BaseDatabaseWrapper, deadline: float) -> float:
    """Have a connection; return until when its answer is waited for."""
    if connection.connection is not None and not _is_dead(connection):
        return deadline
    started = time.monotonic()
    try:
        with _opens_in_time(connection):
            connection.ensure_connection()
    except OperationalError:
        if time.monotonic() - started > AT_ONCE:
            gave_up(time.monotonic() - started)
        raise
    return max(deadline, started + CONNECT_SECONDS)


@contextmanager
def _opens_in_time(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Whoever opens the connection meanwhile, Django's cursors included, waits a bounded time for it."""
    if "connect" in vars(connection):
        yield
        return
    connection.connect = partial(_open, connection)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del connection.connect


def _open(connection: BaseDatabaseWrapper) -> None:
    until = _until.get()
    if until is not None and time.monotonic() >= until:
        raise UnansweredError(LATE)
    before = connection.settings_dict
    options = before.get("OPTIONS", {})
    try:
        if pool := getattr(connection, "pool", None):  # it would wait for as long as the shop lets it
            _bound(pool)
        elif "connect_timeout" not in options:
            connection.settings_dict = {**before, "OPTIONS": {**options, "connect_timeout": CONNECT_SECONDS}}
        lends = _lends.set(POOL_SECONDS)
        try:
            type(connection).connect(connection)
        finally:
            _lends.reset(lends)
    finally:
        connection.settings_dict = before
    if until is not None:
        _watch(connection)


def _watch(connection: BaseDatabaseWrapper) -> None:
    """Have psycopg's waits on the connection end at the deadline, those of cursors and transactions alike."""
    link = connection.connection
    if link is None or "wait" in vars(link):
        return

    def wait(steps: PQGen[Any], *args: Any, **kwargs: Any) -> Any:
        return type(link).wait(link, _in_time(connection, steps), *args, **kwargs)

    link.wait = wait


def _in_time(connection: BaseDatabaseWrapper, steps: PQGen[Any]) -> PQGen[Any]:
    """psycopg's steps, between which it tells every tenth of a second that the server is silent."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            until = _until.get()
            if not ready and until is not None and time.monotonic() >= until:
                hang_up(connection)
                raise errors.OperationalError(LATE)
            wanted = steps.send(ready)
    except StopIteration as done:
        return done.value


def _bound(pool: Any) -> None:
    """Have the pool give up in time: a connection that it can't lend, and one that does not answer its check.

    Django names no time as it takes a connection, and to try for one before gives it to whoever waits next.
    """
    if "getconn" not in vars(pool):
        pool.getconn = partial(_getconn, pool)
    if getattr(pool, "_check", None) is type(pool).check_connection:  # which waits for ever
        pool._check = _check


def _getconn(pool: Any, timeout: float | None = None) -> Any:
    return type(pool).getconn(pool, _lends.get() if timeout is None else timeout)


def _check(connection: Any) -> None:
    try:
        libpq.check(connection.pgconn, time.monotonic() + POOL_SECONDS / 2)
    except TimeoutError as problem:
        connection.close()
        raise errors.OperationalError(str(problem)) from problem


def _is_dead(connection: BaseDatabaseWrapper) -> bool:
    """Whether the server has ended this idle connection; it is closed then, and nothing is in doubt."""
    link = connection.connection.pgconn
    if connection.in_atomic_block:
        return False
    if link.status == pq.ConnStatus.BAD:  # an earlier statement found out
        hang_up(connection)
        return True
    if link.transaction_status != pq.TransactionStatus.IDLE:
        return False
    if link.status == pq.ConnStatus.OK and not libpq.ready(link.socket, 0.0):
        return False
    try:
        link.consume_input()
    except errors.OperationalError:
        hang_up(connection)
        return True
    return False
