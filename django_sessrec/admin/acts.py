"""Acts of staff: each has a permission, asks on one shared page, and wants a reason for the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

CONFIRMED = "confirmed"  # name of the button that answers the question
ABOUT = "about"  # name of the field that says which question was answered
LONGEST_REASON = 500  # characters


class Act(StrEnum):
    """What staff may do, by its permission. Looking is Django's own: one view permission for each page."""

    EXPORT = "sessrec.export_figures"
    TRAIN = "sessrec.train_models"
    PROMOTE = "sessrec.promote_models"
    EXPERIMENT = "sessrec.run_experiments"
    RULES = "sessrec.edit_rules"
    INSPECT = "sessrec.inspect_sessions"
    QUARANTINE = "sessrec.quarantine_sessions"
    REPLAY = "sessrec.replay_events"


def may(request: HttpRequest, act: Act) -> bool:
    return request.user.has_perm(act)


def require(request: HttpRequest, act: Act) -> None:
    """Raise PermissionDenied unless this person may do it."""
    if not may(request, act):
        raise PermissionDenied


class ReasonForm(forms.Form):
    """Form of the shared page. An act that needs more than a reason, which comes last, subclasses it."""

    template_name = "admin/sessrec/includes/fields.html"
    reason = forms.CharField(
        label=_("Why?"),
        max_length=LONGEST_REASON,
        help_text=_("Your reason stands in the audit trail, with your name and the time."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])


@dataclass(frozen=True, slots=True)
class Question:
    """What the shared page asks: `button` answers with yes, and the link to `back` leaves all as it is."""

    title: str | Promise
    button: str | Promise
    back: str  # an address
    page: str | Promise = ""  # the name of the page at `back`, where that is not the list
    sentences: Sequence[str | Promise] = ()  # what will happen
    facts: Sequence[tuple[str | Promise, Any]] = ()  # each with its label
    about: str = ""  # what the act is about as it is now: where that changes, an answer counts no more


def asked(
    request: HttpRequest,
    act: Act,
    model_admin: admin.ModelAdmin,
    question: Question,
    form: type[ReasonForm] = ReasonForm,
) -> dict[str, Any] | HttpResponse:
    """The answers, "reason" among them, or the page that asks for them; PermissionDenied first.

    Call it from a view that takes POST only. Whatever else was posted is posted again with the answer, so
    that a list's action finds the rows that were chosen. An answer to a question about something that has
    changed since, as by a second click, is asked for again.
    """
    require(request, act)
    confirmed = CONFIRMED in request.POST
    given = form(request.POST if confirmed else None)
    as_asked = request.POST.get(ABOUT, question.about) == question.about
    if confirmed and given.is_valid() and as_asked:
        return given.cleaned_data
    if confirmed and not as_asked:
        given.add_error(None, _("This has changed since you were asked: look at it again."))
    own = {"csrfmiddlewaretoken", CONFIRMED, ABOUT, *given.fields}
    posted = [(name, value) for name, values in request.POST.lists() for value in values if name not in own]
    context = model_admin.admin_site.each_context(request) | {
        "title": question.title,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "question": question,
        "list_name": getattr(model_admin, "heading", "")
        or capfirst(str(model_admin.opts.verbose_name_plural)),
        "form": given,
        "posted": posted,
        "confirmed": CONFIRMED,
        "about": ABOUT,
    }
    return TemplateResponse(request, "admin/sessrec/question.html", context)
