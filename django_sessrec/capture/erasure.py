"""The deletion of sessions from every table, and the withdrawals that keep out what comes late."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from django.db import transaction

from django_sessrec import database
from django_sessrec.capture import stream
from django_sessrec.capture.fast_query import execute_with_deadline
from django_sessrec.capture.libpq import Row

WITHDRAW: Final = """
INSERT INTO sessrec_withdrawal (session_id, withdrawn_at) SELECT each, now() FROM unnest($1::uuid[]) AS each
ON CONFLICT DO NOTHING
"""
ERASE: Final = "SELECT * FROM sessrec_erase($1::uuid[], $2::interval)"
TABLES: Final = ("sessrec_event", "sessrec_impression", "sessrec_failedevent", "sessrec_quarantine")
WAIT_SECONDS: Final = 0.4  # for writes that had begun


class Erased(NamedTuple):
    """Rows that an erasure deleted."""

    rows: dict[str, int]  # by table
    unfinished: bool  # a write that had begun before may still add a row: erase once more


def erase_sessions(session_ids: Sequence[UUID], *, wait_seconds: float = WAIT_SECONDS) -> Erased:
    """Delete these sessions' rows from every table and drop what still arrives. Twice is harmless.

    Raises django.db.Error where the database can't be reached.
    """
    ids = "{" + ",".join(map(str, session_ids)) + "}"
    connection = database.connection()
    if connection.in_atomic_block:
        # Others see the withdrawal with its commit: what they write until then goes, too.
        transaction.on_commit(partial(_erase, ids, 0.0), using=connection.alias, robust=True)
    # Committed first: a write that starts from now on sees it, one before is waited for.
    execute_with_deadline(WITHDRAW, ids, durable=True)
    *counts, unfinished = _erase(ids, wait_seconds)
    stream.erase(session_ids)  # what waits in it is dropped when it reaches the tables
    rows = dict(zip(TABLES, (int(str(each)) for each in counts), strict=True))
    return Erased(rows, unfinished == "t")


def _erase(ids: str, wait_seconds: float) -> Row:
    [row] = execute_with_deadline(ERASE, ids, f"{wait_seconds} seconds", durable=True, expensive=True)
    return row
