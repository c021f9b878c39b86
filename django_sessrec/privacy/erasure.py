"""Erasure: a session leaves every table, and what arrives late for it is dropped."""

from __future__ import annotations

from uuid import UUID

from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.fast_query import patient

WAIT_SECONDS = 5.0  # for writes that had begun
PATIENCE = 60.0  # seconds for the database


def erase(session_id: UUID) -> dict[str, int]:
    """Delete the session's rows; return how many by table. Erasing twice is harmless.

    For commands and workers, which have the time; pages go by the outbox.
    """
    with patient(PATIENCE):
        return erase_sessions([session_id], wait_seconds=WAIT_SECONDS).rows
