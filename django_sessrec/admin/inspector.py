"""The inspector: a product's or a session's lists, why each item stands there, and who taught it.

A session's id is posted, never part of an address: logs and browser histories keep addresses.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from django_sessrec.admin.acts import Act, Question, asked, may, require
from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.inspected import lists_now, often_after, products_called, teachers
from django_sessrec.admin.products import product_facts, product_figures, shown_products
from django_sessrec.admin.sessions import session_in
from django_sessrec.admin.timeline import end_of, latest_sessions, state_of, timeline
from django_sessrec.models import AuditEntry, Inspector
from django_sessrec.operations.quarantine import NothingStoredError, is_stored, take_out
from django_sessrec.serving.visit import Visit, stored_visit

FOUND = 30  # products of a search


@admin.register(Inspector)
class InspectorAdmin(ReadOnlyAdmin):
    """One page for both; who may not inspect sessions inspects products."""

    class Media:
        css = {"all": ["sessrec/admin-charts.css"]}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.take_out_view))
        return [path("take-out/", view, name="sessrec_take_out"), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("session", "q"))  # error reports show neither
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else request.GET
        term = given.get("q", "").strip()
        session_id = session_in(request.POST.get("session", "") or term)
        context = self.admin_site.each_context(request) | {
            "title": _("Inspector"),
            "opts": self.opts,
            "media": self.media,
            "may_inspect": may(request, Act.INSPECT),
            "may_take_out": may(request, Act.QUARANTINE),
            "may_see_rules": request.user.has_perm("sessrec.view_ruleset"),
        }
        if session_id is not None:
            require(request, Act.INSPECT)
            found, visit = _of_session(request, session_id)
        else:
            found, visit = _of_product(term, given.get("item", ""))
        context |= found
        if visit.clicks:
            context |= lists_now(
                visit,
                given.get("placement", ""),
                given.get("other", "").strip(),
                may_see_rules=context["may_see_rules"],
            )
        if visit.clicks and context["may_inspect"]:
            first = next((each["product"].item_id for each in context.get("chosen", ())), "")
            context |= teachers(visit, given.get("why", first))
        if not visit.clicks and session_id is None and not term and context["may_inspect"]:
            context["latest"] = latest_sessions()
        return TemplateResponse(request, "admin/sessrec/inspector.html", context | (extra_context or {}))

    @method_decorator(sensitive_post_parameters("session"))
    def take_out_view(self, request: HttpRequest) -> HttpResponse:
        """Leave a session out of training and reports."""
        require(request, Act.QUARANTINE)
        session_id = session_in(request.POST.get("session", ""))
        if session_id is None:
            raise Http404
        page = reverse(f"{self.admin_site.name}:sessrec_inspector_changelist")
        words = {"session": end_of(session_id)}
        if not is_stored(session_id):
            return self._not_stored(request, page, words)
        question = Question(
            title=_("Take session %(session)s out of training?") % words,
            button=_("Take it out"),
            back=page,
            sentences=[
                _("Reports no longer count it, and the next training run does not learn from it."),
                _("Models that learnt from it serve until then. Quarantined sessions can be released."),
            ],
        )
        answer = asked(request, Act.QUARANTINE, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        try:
            taken_out = take_out(session_id, request.user.get_username(), answer["reason"])
        except NothingStoredError:
            return self._not_stored(request, page, words)
        if taken_out:
            said = _("Session %(session)s is left out from the next training run on.")
        else:
            said = _("Session %(session)s was left out already.")
        self.message_user(request, said % words, messages.SUCCESS)
        return HttpResponseRedirect(page)

    def _not_stored(self, request: HttpRequest, page: str, words: dict[str, str]) -> HttpResponse:
        """Say that there is nothing to take out, as after the visitor erased it."""
        said = _("Nothing is stored of session %(session)s any more, so nothing was taken out.")
        self.message_user(request, said % words, messages.WARNING)
        return HttpResponseRedirect(page)


def _of_session(request: HttpRequest, session_id: UUID) -> tuple[dict[str, Any], Visit]:
    """What is stored of a session, with a line in the audit trail that names only the end of its id."""
    AuditEntry.objects.note(
        AuditEntry.Action.INSPECT, request.user.get_username(), session=end_of(session_id)
    )
    entries, left_out = timeline(session_id)
    found = {
        "session": str(session_id),
        "end": end_of(session_id),
        "entries": entries,
        "left_out": left_out,
        "state": state_of(session_id, stored=bool(entries)),
    }
    return found, stored_visit(session_id) if entries else Visit()


def _of_product(term: str, item_id: str) -> tuple[dict[str, Any], Visit]:
    """The product that is called so, or those among which to choose."""
    if not term:
        if not item_id:
            return {}, Visit()
        figures, period = product_figures(item_id)
        found = {
            "product": shown_products([item_id])[item_id],
            "facts": product_facts(item_id),
            "figures": figures,
            "period": period,
        }
        return found | often_after(item_id), Visit(current=item_id)
    called = list(products_called(term, FOUND))
    if len(called) == 1:
        return _of_product("", called[0])
    return {"term": term, "matches": list(shown_products(called).values())}, Visit()
