"""Statements that the server keeps, parsed and planned, for connections that are used again.

Behind a pooler that hands each transaction to any server process, a statement that one of them has prepared
is unknown to the next. Nothing was done then: the statement is sent as a whole, and the process prepares none
any more. Shops that tell Django of their pooler, by DISABLE_SERVER_SIDE_CURSORS or by
OPTIONS["prepare_threshold"] = None, never get there. Without a pooler a connection loses its statements where
somebody has them dropped, as psycopg does after a rollback (OPTIONS["prepare_threshold"] = 5): they are then
prepared anew.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors

USES: Final = 5  # of a statement on one connection, the last of which prepares it: as psycopg has it
# Prepared by nobody there, or by another client of the pooler: under the same name it is the same statement.
UNKNOWN: Final = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)
SERVER: Final = "SELECT pg_backend_pid()"

_uses: WeakKeyDictionary[Any, dict[str, int] | None] = WeakKeyDictionary()  # by psycopg's connection
_forgone: set[str] = set()  # databases in which this process prepares nothing


@cache
def name_of(sql: str) -> bytes:
    """The name under which the statement is prepared."""
    return b"sessrec_" + blake2b(sql.encode(), digest_size=8).hexdigest().encode()


def uses(connection: BaseDatabaseWrapper, sql: str) -> int:
    """How often the connection was asked the statement, this time included; 0 where it may prepare none."""
    link = connection.connection
    if link not in _uses:
        _uses[link] = {} if _keeps_statements(connection) else None
    counts = _uses[link]
    if counts is None or connection.alias in _forgone:
        return 0
    counts[sql] = found = counts.get(sql, 0) + 1
    return found


def lost(connection: BaseDatabaseWrapper, problem: errors.Error, server: str | None) -> None:
    """Prepare anew on this connection; behind a pooler, nothing in this database any more.

    server: what SERVER answers. A pooler tells its clients another number than the server process has
    """
    link = connection.connection
    if isinstance(problem, errors.DuplicatePreparedStatement) or server != str(link.pgconn.backend_pid):
        _forgone.add(connection.alias)
    _uses[link] = {}


def reset() -> None:
    """Prepare again: for tests."""
    _forgone.clear()


def _keeps_statements(connection: BaseDatabaseWrapper) -> bool:
    """Whether the shop's settings leave it to the connection to keep statements."""
    settings = connection.settings_dict
    threshold = settings.get("OPTIONS", {}).get("prepare_threshold", USES)
    return threshold is not None and not settings.get("DISABLE_SERVER_SIDE_CURSORS")
