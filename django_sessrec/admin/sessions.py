"""A session's rows in the admin's lists, and no address that names the session.

Addresses stay in logs and browsers' histories, also after an erasure. What is typed into the search is
posted; the address that follows names one of the session's rows, which leads nowhere once it is erased.
Whoever sees single rows sees no whole session by that: it takes Act.INSPECT, and each look is audited.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from django_sessrec.admin.acts import Act, may, require
from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.timeline import end_of
from django_sessrec.capture.fast_query import execute_with_deadline
from django_sessrec.models import AuditEntry

SESSION_OF: Final = "session_of"


def session_in(text: str) -> UUID | None:
    """The id in a session's id or cookie."""
    try:
        return UUID(text.strip().partition(".")[0])
    except ValueError:
        return None


class SessionOf(admin.SimpleListFilter):
    """A filter by session, which a row of the session's stands for; there only where it is chosen."""

    title = gettext_lazy("session")
    parameter_name = SESSION_OF

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name)
        if chosen is None:
            return []
        rows = model_admin.get_queryset(request).filter(pk=_uuid(chosen))
        session_id = rows.values_list("session_id", flat=True).first()
        return [(chosen, end_of(session_id) if session_id else _("no longer stored"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        row = _uuid(self.value() or "")
        if row is None:
            raise IncorrectLookupParameters
        named = queryset.model._default_manager.filter(pk=row).values("session_id")
        return queryset.filter(session_id=Subquery(named))


class SessionsList(ReadOnlyAdmin):
    """Base of lists whose search takes a session's id or cookie: it is posted, and leads to an address."""

    named_by_end = False  # whether the list's search finds a session by the end of its id

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        instead = {} if may(request, Act.INSPECT) else {"session": "session_end"}
        return [instead.get(str(column), column) for column in super().get_list_display(request)]

    @admin.display(description=gettext_lazy("session"))
    def session_end(self, row: Any) -> str:
        """The end of the session's id, which leads nowhere."""
        return end_of(row.session_id)

    @method_decorator(sensitive_post_parameters(SEARCH_VAR))  # error reports don't show it
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        given = request.POST if request.method == "POST" else request.GET
        term = given.get(SEARCH_VAR, "").strip()
        session_id = session_in(term)
        # By GET it is an old link, or typed into the address.
        if session_id is None and (request.method != "POST" or SEARCH_VAR not in given):
            if SESSION_OF in request.GET and self.has_view_permission(request):
                self._note_look(request)
            return super().changelist_view(request, extra_context)
        if not self.has_view_permission(request):
            raise PermissionDenied
        if session_id is not None and not self.named_by_end:
            require(request, Act.INSPECT)
        address = request.GET.copy()
        for name in (SEARCH_VAR, PAGE_VAR, ERROR_FLAG, SESSION_OF):
            address.pop(name, None)
        if session_id is None:
            address[SEARCH_VAR] = term
        elif not self.lead_to(session_id, address):
            self.message_user(request, _("Nothing is stored here of this session."), messages.WARNING)
        return HttpResponseRedirect(f"{request.path}?{address.urlencode()}")

    def _note_look(self, request: HttpRequest) -> None:
        """Note in the audit trail whose rows the list shows, by the end of the id; PermissionDenied first."""
        require(request, Act.INSPECT)
        named = self.model._default_manager.filter(pk=_uuid(request.GET[SESSION_OF]))
        for session_id in named.values_list("session_id", flat=True):
            by = request.user.get_username()
            AuditEntry.objects.note(AuditEntry.Action.INSPECT, by, session=end_of(session_id))

    def lead_to(self, session_id: UUID, address: QueryDict) -> bool:
        """Put into the address what finds the session's rows; False where there are none."""
        if self.named_by_end:
            address[SEARCH_VAR] = end_of(session_id)
            return True
        table, key = self.model._meta.db_table, self.model._meta.pk.column
        found = f"SELECT {key} FROM {table} WHERE session_id = $1::uuid LIMIT 1"  # noqa: S608
        for (row,) in execute_with_deadline(found, str(session_id)):
            address[SESSION_OF] = str(row)
            return True
        return False


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
