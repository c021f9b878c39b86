"""The audit trail: who did what, when and why."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from django_sessrec.admin.formatting import colon
from django_sessrec.admin.sessions import SessionsList
from django_sessrec.admin.words import person_name, placement_name
from django_sessrec.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(SessionsList):
    list_display = fields = ("happened_at", "action", "by", "reason", "details")
    readonly_fields = ("by", "details")
    list_filter = ("action",)
    search_fields = ("done_by", "reason", "detail__session")
    search_help_text = _("A person, a word of the reason, or a session's id, cookie or end of its id.")
    named_by_end = True

    @admin.display(description=_("by"))
    def by(self, entry: AuditEntry) -> str:
        return person_name(entry.done_by)

    @admin.display(description=_("detail"))
    def details(self, entry: AuditEntry) -> str:
        lines = (colon(name.replace("_", " "), _plain(name, value)) for name, value in entry.detail.items())
        return ", ".join(lines)


def _plain(name: str, value: Any) -> str:
    if name == "placement":
        return placement_name(str(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
