"""Rows of Postgres as bytes, thousands at a time: nothing in Python is done for each of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django_sessrec import database

HEADER: Final = 19  # bytes of a binary COPY, before the first row
COLUMN: Final = struct.Struct(">hi")  # columns of a row, bytes of the first


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
            if len(message) >= skipped + COLUMN.size:  # else the trailer, alone or after the header
                size = COLUMN.unpack_from(message, skipped)[1]
                start = skipped + COLUMN.size
                yield bytes(memoryview(message)[start : start + size])
            skipped = 0
