"""Quarantine by staff, and release from it: staff's decisions, so they stand in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from django_sessrec import database
from django_sessrec.capture.event import CLICK_EVENTS
from django_sessrec.models import AuditEntry, Event, Impression, Quarantine, Withdrawal

# An erasure waits for those who hold this lock, and deletes what they wrote.
AS_A_WRITER = "LOCK TABLE ONLY sessrec_event IN ROW EXCLUSIVE MODE"


class NothingStoredError(Exception):
    """A session without rows, or one that was erased: nothing of it may be written."""


def release(session_ids: Sequence[UUID], by: str, reason: str = "") -> int:
    """Let sessions count again, with a line in the audit trail; returns how many were in quarantine."""
    with database.atomic(), database.values_apart():
        held = Quarantine.objects.filter(pk__in=session_ids, released_at=None)
        released = held.update(released_at=timezone.now(), released_by=by)
        if released:
            AuditEntry.objects.note(AuditEntry.Action.RELEASE, by, reason=reason, visits=released)
    return released


def is_stored(session_id: UUID) -> bool:
    """Whether there are rows of the session, and its consent was not withdrawn."""
    with database.values_apart():
        rows = (model.objects.filter(session_id=session_id) for model in (Event, Impression))
        return not Withdrawal.objects.filter(pk=session_id).exists() and any(each.exists() for each in rows)


def take_out(session_id: UUID, by: str, reason: str) -> bool:
    """Leave a session out of training and reports, with a line in the audit trail; False where it was out.

    Models that learnt from it serve until their next training run. NothingStoredError unless is_stored().
    """
    with database.atomic(), database.values_apart():
        with database.connection().cursor() as cursor:
            cursor.execute(AS_A_WRITER)
        known = Quarantine.objects.select_for_update().filter(pk=session_id).first()
        if known is not None and known.released_at is None:
            return False
        if not is_stored(session_id):
            raise NothingStoredError
        if known is None:
            row = Quarantine(pk=session_id, reason=Quarantine.Reason.STAFF, clicks=_clicks(session_id))
            # Two at once: an error of Postgres's would name the session in its log.
            Quarantine.objects.bulk_create([row], ignore_conflicts=True)
        else:
            known.released_at, known.released_by, known.reason = None, "", Quarantine.Reason.STAFF
            known.found_at = timezone.now()  # by which roll-ups know that its days are to be made anew
            known.save()
        AuditEntry.objects.note(AuditEntry.Action.QUARANTINE, by, reason=reason, visits=1)
    return True


def _clicks(session_id: UUID) -> int:
    return Event.objects.filter(session_id=session_id, name__in=CLICK_EVENTS).count()
