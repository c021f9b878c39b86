"""Release from quarantine: staff's decision, so it stands in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from django_sessrec import database
from django_sessrec.models import AuditEntry, Quarantine


def release(session_ids: Sequence[UUID], by: str, reason: str = "") -> int:
    """Let sessions count again, with a line in the audit trail; returns how many were in quarantine."""
    with database.atomic():
        held = Quarantine.objects.filter(pk__in=session_ids, released_at=None)
        released = held.update(released_at=timezone.now(), released_by=by)
        if released:
            AuditEntry.objects.note(AuditEntry.Action.RELEASE, by, reason=reason, visits=released)
    return released
