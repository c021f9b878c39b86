"""Admin list of quarantined sessions, with their release."""

from __future__ import annotations

from hashlib import sha256

from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_sessrec import database
from django_sessrec.admin.acts import Act, Question, asked, may
from django_sessrec.admin.sessions import SessionsList
from django_sessrec.admin.timeline import end_of
from django_sessrec.models import Quarantine
from django_sessrec.operations.quarantine import release


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("held", gettext("in quarantine")), ("released", gettext("released"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        held = {"held": True, "released": False}.get(self.value() or "")
        return queryset if held is None else queryset.filter(released_at__isnull=held)


@admin.register(Quarantine)
class QuarantineAdmin(SessionsList):
    """Quarantined sessions, counted by reason; who may change one may release it."""

    actions = ("release",)
    list_display = ("found_at", "reason", "clicks", "session", "released_at", "released_by")
    list_filter = ("reason", StateFilter)
    show_facets = admin.ShowFacets.ALWAYS
    list_display_links = None  # the row's key is the session's id
    ordering = ("-found_at",)
    search_fields = ("session_id__endswith",)
    search_help_text = _("A session's id or cookie, or the end of its id.")
    list_per_page = 50
    named_by_end = True

    def get_urls(self) -> list[URLPattern]:
        return super().get_urls()[:1]  # without a page for each

    @admin.display(description=_("session"))
    def session(self, row: Quarantine) -> str:
        """The end of the session's id, leading to its events: a button of the template's form."""
        button = '<button class="sessrec-link" form="sessrec-session" name="{}" value="{}">{}</button>'
        return format_html(button, SEARCH_VAR, row.session_id, end_of(row.session_id))

    @admin.action(description=_("Release the selected sessions: they count again"), permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> HttpResponse | None:
        with database.values_apart():
            chosen = list(queryset.values_list("pk", flat=True))
        question = Question(
            title=_("Release sessions from quarantine?"),
            button=ngettext("Release %d session", "Release %d sessions", len(chosen)) % len(chosen),
            back=request.get_full_path(),
            sentences=[_("They count again in reports, and the next training run learns from them.")],
            about=sha256("".join(sorted(map(str, chosen))).encode()).hexdigest(),
        )
        answer = asked(request, Act.QUARANTINE, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        released = release(chosen, request.user.get_username(), answer["reason"])
        said = ngettext("%d session counts again.", "%d sessions count again.", released) % released
        self.message_user(request, said, messages.SUCCESS)
        return None

    def has_release_permission(self, request: HttpRequest) -> bool:
        return may(request, Act.QUARANTINE)
