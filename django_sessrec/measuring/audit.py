"""The audit trail: who took figures out of the house, or changed what counts."""

from __future__ import annotations

from typing import Any

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import AuditEntry


def note(action: AuditEntry.Action, by: str, **detail: Any) -> AuditEntry:
    """Add a line; `detail` is JSON-able. by: a staff user's name, or "command"."""
    trail = AuditEntry.objects.using(sessrec_settings.DATABASE)
    return trail.create(action=action, done_by=by, detail=detail)
