"""Base of the admin's lists: read-only, and millions of rows are not counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.text import capfirst

COUNTED_EXACTLY = 20_000  # up to here a count costs a few milliseconds


class ReadOnlyAdmin(admin.ModelAdmin):
    """Base of read-only lists of rows that only the app writes."""

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


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
