"""Statements sent through libpq: the only way to stop waiting for a server that hangs.

A cursor costs three times as much, and psycopg's own generators have no pipeline with a deadline. Where
select.poll is missing, as after eventlet's patches, select.select waits.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import NamedTuple

from psycopg import errors, pq

Row = tuple[str | None, ...]
Values = Sequence[str | None]


class Statement(NamedTuple):
    """A statement with $1, $2, .. for its values."""

    sql: str
    values: Values = ()

    def send(self, link: pq.abc.PGconn) -> None:
        link.send_query_params(self.sql.encode(), _encoded(self.values))


class Preparation(NamedTuple):
    """A statement that the server is to parse, and to keep under a name as long as the connection lasts."""

    name: bytes
    sql: str

    def send(self, link: pq.abc.PGconn) -> None:
        link.send_prepare(self.name, self.sql.encode())


class Prepared(NamedTuple):
    """A statement that the server keeps."""

    name: bytes
    values: Values

    def send(self, link: pq.abc.PGconn) -> None:
        link.send_query_prepared(self.name, _encoded(self.values))


Message = Statement | Preparation | Prepared


def answers(link: pq.abc.PGconn, messages: Sequence[Message], deadline: float) -> list[pq.abc.PGresult]:
    """What the server answers to each; several are a pipeline, one transaction where none is open.

    Raises TimeoutError at the deadline, a time of time.monotonic(), and psycopg's OperationalError where the
    connection is lost. After either the connection must be closed.
    """
    pipeline = len(messages) > 1
    if pipeline:
        link.enter_pipeline_mode()
    for each in messages:
        each.send(link)
    if pipeline:
        link.pipeline_sync()
    while link.flush():  # more than the socket takes at once; the server may want to be heard first
        wait(link, deadline, writing=True)
    results: list[pq.abc.PGresult] = []
    while True:
        result = _next(link, deadline)
        if result is None and not pipeline:
            return results
        if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
            link.exit_pipeline_mode()
            return results
        if result is not None:
            results.append(result)


def check(link: pq.abc.PGconn, deadline: float) -> None:
    """Ask whether the connection lives; raises as answers()."""
    link.send_query(b"")
    while _next(link, deadline) is not None:
        pass


def wait(link: pq.abc.PGconn, deadline: float, *, writing: bool = False) -> None:
    """Until the socket can be read, or written; TimeoutError at the deadline."""
    if not ready(link.socket, deadline - time.monotonic(), writing=writing):
        raise TimeoutError("no answer in time")
    link.consume_input()


def ready(socket: int, seconds: float, *, writing: bool = False) -> bool:
    """Whether the socket can be read, or written, within so many seconds."""
    seconds = max(0.0, seconds)
    if not hasattr(select, "poll"):
        return any(select.select([socket], [socket] if writing else [], [], seconds))
    waiting = select.poll()
    waiting.register(socket, select.POLLIN | (select.POLLOUT if writing else 0))
    return bool(waiting.poll(seconds * 1000))


def rows(result: pq.abc.PGresult) -> list[Row]:
    """The rows of an answer, as text."""
    columns = range(result.nfields)
    return [tuple(text(result.get_value(row, column)) for column in columns) for row in range(result.ntuples)]


def text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def with_literals(link: pq.abc.PGconn, sql: str, values: Values) -> str:
    """The statement as a log of queries shows it."""
    quote = pq.Escaping(link).escape_literal
    for number in range(len(values), 0, -1):
        value = values[number - 1]
        sql = sql.replace(f"${number}", "NULL" if value is None else quote(value.encode()).decode())
    return sql


def _encoded(values: Values) -> list[bytes | None]:
    return [None if each is None else each.encode() for each in values]


def _next(link: pq.abc.PGconn, deadline: float) -> pq.abc.PGresult | None:
    """The next answer; None at the end of a statement's."""
    while link.is_busy():
        wait(link, deadline)
    result = link.get_result()
    if result is None and link.status == pq.ConnStatus.BAD:
        raise errors.OperationalError("the server closed the connection")
    return result
