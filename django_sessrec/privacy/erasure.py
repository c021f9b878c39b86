"""Erasure of a session from every table; late events of it are dropped."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction

from django_sessrec import database
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.outbox import ERASE_TASK, outbox


def erase(session_id: UUID) -> dict[str, int]:
    """Delete the session's rows; return how many by table. Erasing twice is harmless.

    Raises django.db.Error where the database does not answer in time. A row of a write that had begun
    before, and outlasts the erasure, is deleted by a task, or by the next upkeep where the broker is away.
    """
    connection = database.connection()
    if connection.in_atomic_block:  # what is written until it commits is erased, too, and may need the task
        transaction.on_commit(partial(_erase, session_id), using=connection.alias, robust=True)
    return _erase(session_id)


def _erase(session_id: UUID) -> dict[str, int]:
    erased = erase_sessions([session_id])
    if erased.unfinished:
        outbox.publish(ERASE_TASK, session_id=str(session_id))
    return erased.rows
