"""Base of the admin's pages: read-only, answered in time, and millions of rows are not counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from http import HTTPStatus
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db import DataError, InterfaceError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import URLPattern
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from django_sessrec.capture.fast_query import within
from django_sessrec.safety import log

COUNTED_EXACTLY = 20_000  # up to here a count costs a few milliseconds
PAGE_SECONDS: Final = 15.0  # that a page may ask the events database; web servers give up after 30
NO_ANSWER: Final = (OperationalError, InterfaceError)

View = Callable[..., HttpResponseBase]


class GoneError(Exception):
    """An address names a row that was deleted, as by a click in another tab: told on the page at `back`."""

    def __init__(self, said: str | Promise, back: str) -> None:
        super().__init__(said)
        self.back = back


class ReadOnlyAdmin(admin.ModelAdmin):
    """Base of read-only lists of rows that only the app writes. Every page of it is answered in time.

    A page that raises GoneError leads to another one, which says so.
    """

    actions: Sequence[str] | None = None
    heading: str | Promise = ""  # of the list; by default what its rows are called
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per filter

    class Media:
        css = {"all": ["sessrec/admin.css", "sessrec/admin-tables.css", "sessrec/admin-pages.css"]}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = {"title": self.heading or capfirst(str(self.opts.verbose_name_plural))}
        answer: HttpResponse = super().changelist_view(request, title | (extra_context or {}))
        return answer

    @property
    def urls(self) -> list[URLPattern]:
        """Django's pages and a subclass's own, each with its deadline."""
        addresses = super().urls
        for each in addresses:
            each.callback = self._in_time(each.callback)
        return addresses

    def _in_time(self, view: View) -> View:
        @wraps(view)
        def bounded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                with within(PAGE_SECONDS):
                    answer = view(request, *args, **kwargs)
            except NO_ANSWER as problem:
                return self._given_up(request, problem)
            except GoneError as gone:
                self.message_user(request, str(gone), messages.WARNING)
                return HttpResponseRedirect(gone.back)
            except DataError as problem:  # what was asked for can't be in a column, as a NUL byte
                raise BadRequest(str(problem)) from problem
            if isinstance(answer, SimpleTemplateResponse):  # its template reads rows, too
                answer.render = self._rendered_in_time(request, answer)  # type: ignore[method-assign, assignment]
            return answer

        return bounded

    def _rendered_in_time(self, request: HttpRequest, answer: SimpleTemplateResponse) -> View:
        def render() -> HttpResponseBase:
            try:
                with within(PAGE_SECONDS):
                    return type(answer).render(answer)
            except NO_ANSWER as problem:
                return self._given_up(request, problem).render()
            except DataError as problem:
                raise BadRequest(str(problem)) from problem

        return render

    def _given_up(self, request: HttpRequest, problem: Exception) -> TemplateResponse:
        context = self.admin_site.each_context(request) | {
            "title": _("The events database did not answer"),
            "opts": self.opts,
            "media": self.media,
            "given_up": given_up(problem, posted=request.method == "POST"),
        }
        answer = TemplateResponse(request, "admin/sessrec/given_up.html", context)
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        answer["Retry-After"] = "60"
        return answer

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """No address narrows a list to a session by its id: SessionsList asks for a permission."""
        return not lookup.startswith("session_id") and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


def given_up(problem: Exception, *, posted: bool = False) -> dict[str, Any]:
    """What is said in place of a page that the events database did not answer; logged, too.

    posted: whether the page was to do something
    """
    log("a page of the admin was given up", problem)
    return {"seconds": round(PAGE_SECONDS), "problem": str(problem).partition("\n")[0], "posted": posted}


class EstimatingPaginator(Paginator):
    """A paginator that takes the planner's estimate for a long list, and counts a short one."""

    object_list: QuerySet

    @cached_property
    def count(self) -> int:
        estimate = estimated_rows(self.object_list)
        return estimate if estimate > COUNTED_EXACTLY else self.object_list.order_by().count()


def estimated_rows(queryset: QuerySet) -> int:
    """How many rows Postgres expects, without reading them."""
    plans = queryset.order_by().explain(format="json")  # empty where Django knows that nothing matches
    return json.loads(plans)[0]["Plan"]["Plan Rows"] if plans else 0
