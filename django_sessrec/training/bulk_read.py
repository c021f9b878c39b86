"""Rows of Postgres as bytes, thousands at a time: nothing in Python is done for each of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django_sessrec import database

HEADER: Final = 19  # bytes of a binary COPY, before the first row
COLUMN: Final = struct.Struct(">hi")  # number of columns and size of the first, before its value


def values(query: str, parameters: Sequence[Any]) -> Iterator[bytes]:
    """The values of a query's only column, a bytea, straight from the driver.

    Django's cursor knows no COPY with parameters, and the driver hands over a message for each row: let the
    query aggregate many of the rows that are wanted into one, by string_agg().
    """
    connection = database.connection()
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", parameters) as copy,
    ):
        skipped = HEADER
        for message in copy:
            start = skipped + COLUMN.size
            if len(message) > start:  # else a NULL, or the trailer, alone or after the header
                yield bytes(memoryview(message)[start:])
            skipped = 0
