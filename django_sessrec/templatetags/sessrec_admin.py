"""{% load sessrec_admin %}: parts of the admin's own pages."""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.template import Context

from django_sessrec.capture.fast_query import within
from django_sessrec.safety import never_raises

STATUS_SECONDS: Final = 2.0  # the shop's own page does not wait long for one sentence

register = template.Library()


@register.filter
def sessrec_person(who: str) -> str:
    """Who trained or promoted: a name as it is, and words for the schedule and a command."""
    from django_sessrec.admin.words import person_name

    return person_name(who)


@register.filter
def sessrec_subject(subject: str) -> str:
    """What an examination looked at, in words."""
    from django_sessrec.admin.words import subject_name

    return subject_name(subject)


@register.inclusion_tag("admin/sessrec/includes/tabs.html", takes_context=True)
def sessrec_tabs(context: Context) -> dict[str, Any]:
    """The tab strip."""
    # Django imports the tags of every app with the first template, also where the admin is not installed.
    from django_sessrec.admin.tabs import strip

    request = context.get("request")
    pages, raw = strip(request) if request is not None else ([], [])
    return {"tabs": pages, "raw": raw, "raw_chosen": any(tab.chosen for tab in raw)}


@register.simple_tag(takes_context=True)
def sessrec_today(context: Context) -> dict[str, Any] | None:
    """Everything on Today, {% sessrec_today as today %}; None for whom the report is not."""
    from django_sessrec.admin.base import NO_ANSWER, PAGE_SECONDS, given_up
    from django_sessrec.admin.today import period_of, today_context

    request = context["request"]
    if not request.user.has_perm("sessrec.view_report"):
        return None
    try:
        with within(PAGE_SECONDS):
            return today_context(period_of(request.GET.get("days", "")), request.user)
    except NO_ANSWER as problem:
        return {"given_up": given_up(problem)}


@register.inclusion_tag("admin/sessrec/includes/status.html", takes_context=True)
def sessrec_status(context: Context) -> dict[str, Any]:
    """One sentence and a link to Today, for the shop's own index of the admin."""
    request = context.get("request")
    if request is None or not request.user.has_perm("sessrec.view_report"):
        return {}
    return {"sentence": _sentence(request.user)}


@never_raises("say how recommendations do", default="", savepoints=True)
def _sentence(user: Any) -> str:
    from django_sessrec.admin.today import status_sentence

    with within(STATUS_SECONDS):
        return status_sentence(user)
