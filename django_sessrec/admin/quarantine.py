"""What programs did and who let it count again: quarantined visits by reason, and the audit trail."""

from __future__ import annotations

import json

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.capture.bot_rules import release
from django_sessrec.models import AuditEntry, Quarantine


class StandingFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("held", _("in quarantine")), ("released", _("released"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        held = {"held": True, "released": False}.get(self.value())
        return queryset if held is None else queryset.filter(released_at__isnull=held)


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    """Counted by reason beside the list; who may change one may release it."""

    actions = ("release",)
    list_display = ("found_at", "reason", "clicks", "visit", "released_at", "released_by")
    list_filter = ("reason", StandingFilter)
    show_facets = admin.ShowFacets.ALWAYS
    ordering = ("-found_at",)
    search_fields = ("session_id",)
    list_per_page = 50

    @admin.display(description=_("visit"))
    def visit(self, row: Quarantine) -> str:
        """The end of the session's id, leading to its events."""
        url = reverse(f"{self.admin_site.name}:sessrec_event_changelist")
        return format_html('<a href="{}?q={}">{}</a>', url, row.session_id, str(row.session_id)[-6:])

    @admin.action(description=_("Release the chosen visits: they count again"), permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> None:
        released = release(list(queryset.values_list("pk", flat=True)), request.user.get_username())
        said = ngettext("%d visit counts again.", "%d visits count again.", released) % released
        self.message_user(request, said, messages.SUCCESS)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sessrec.change_quarantine")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("happened_at", "action", "done_by", "details")
    list_filter = ("action",)

    @admin.display(description=_("detail"))
    def details(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {json.dumps(value)}" for name, value in entry.detail.items())
