"""Erasure: a visit leaves every table, and what arrives late for it is dropped."""

from __future__ import annotations

from uuid import UUID

from django_sessrec.capture import store


def erase(session_id: UUID) -> dict[str, int]:
    """Delete the session's rows; return how many by table. Erasing twice is harmless."""
    return store.forget([session_id])
