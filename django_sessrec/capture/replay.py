"""Retries of failed events: one that the database now accepts is deleted in the same transaction."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError
from django.db.models import QuerySet

from django_sessrec import database
from django_sessrec.capture import store
from django_sessrec.capture.event import event_from, impression_from
from django_sessrec.capture.fast_query import patient
from django_sessrec.capture.store import WriteResult
from django_sessrec.models import Event, FailedEvent, Impression

CODES: Final = ("database", "unwritable")  # good rows; all other reasons are wrong input, and stay wrong
BATCH: Final = 500
TIMEOUT_SECONDS: Final = 10.0  # for each row


class Replayed(NamedTuple):
    """Retried events by outcome."""

    stored: int = 0
    known: int = 0  # stored meanwhile, or their visit was withdrawn
    failed: int = 0  # still


def replayable() -> QuerySet[FailedEvent]:
    """The failed events that are whole rows."""
    return FailedEvent.objects.filter(code__in=CODES)


def replay(
    failed_events: QuerySet[FailedEvent],
    *,
    seconds: float | None = None,
    note: Callable[[int], object] | None = None,
) -> Replayed:
    """Store what can be stored of these, each id once; the others stay with their new reason.

    Two replays at once share the work. Raises django.db.Error where the database can't be reached.

    seconds: begin no row after these, but for the first; by default there is no limit
    note: called with the number stored so far, in the transaction that stores them
    """
    total, last = Replayed(), 0
    end = math.inf if seconds is None else time.monotonic() + seconds
    while not any(total) or time.monotonic() < end:
        with database.atomic(), patient(TIMEOUT_SECONDS):
            some = failed_events.filter(pk__gt=last, code__in=CODES).order_by("pk")
            batch = list(some.select_for_update(skip_locked=True)[:BATCH])
            if not batch:
                break
            written = WriteResult()
            for failed in batch:
                if any((*total, *written)) and time.monotonic() >= end:
                    break
                last = failed.pk
                written += _replay(failed)
            known = written.duplicate + written.withdrawn
            store.tally_bulk(written, replayed=written.stored + known)
            total = Replayed(
                total.stored + written.stored, total.known + known, total.failed + written.failed
            )
            if note:
                note(total.stored)
    return total


def _replay(failed: FailedEvent) -> WriteResult:
    try:
        written = store.insert_uncounted([_row(failed)])
    except (DataError, IntegrityError, KeyError, ValueError, TypeError, ValidationError) as problem:
        failed.detail = str(problem)[:500]
        failed.save(update_fields=["detail"])
        return WriteResult(failed=1)
    failed.delete()
    return written


def _row(failed: FailedEvent) -> Event | Impression:
    return (event_from if "event_id" in failed.payload else impression_from)(failed.payload)
