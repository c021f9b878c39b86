"""Placements: what each shows and why, its rules as a draft beside what is live, and their history."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from django_sessrec.admin import draft_edits
from django_sessrec.admin.acts import Act, Question, asked, may, require
from django_sessrec.admin.placement_drafts import DraftPages, settled_or_404
from django_sessrec.admin.placement_figures import placement_figures
from django_sessrec.admin.placement_lists import (
    ListForm,
    live_lists,
    placement_rows,
    settings_table,
    settled_as,
)
from django_sessrec.admin.rule_forms import FORMS
from django_sessrec.admin.rule_lines import example_lists, in_order, most_named, rule_line
from django_sessrec.admin.rule_warnings import warnings
from django_sessrec.admin.rule_words import Words
from django_sessrec.admin.words import placement_name
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.serving import merchant_rules
from django_sessrec.serving.merchant_rules import Merchandising
from django_sessrec.serving.placements import variants_of
from django_sessrec.serving.preview import SESSIONS, compare, recent_visits
from django_sessrec.serving.rule_sets import (
    RuleSetError,
    discard,
    has_effect,
    live_set,
    overtaken,
    publish,
    restore,
    restore_none,
)

VERSIONS: Final = 10  # of the history at once


@admin.register(RuleSet)
class PlacementAdmin(DraftPages):
    """The list of placements, and a page for each."""

    class Media:
        css = {"all": ["sessrec/admin-charts.css", "sessrec/admin-rules.css"]}
        js = [Script("sessrec/admin-rules.js", type="module")]

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        views: list[tuple[str, Any, str]] = [
            ("suggest/", require_GET(self.suggest), "suggest"),
            ("<str:name>/", require_GET(self.page), "page"),
            ("<str:name>/preview/", require_GET(self.preview), "preview"),
            ("<str:name>/settings/", self.settings, "settings"),
            ("<str:name>/add/<str:kind>/", self.add_rule, "add"),
            ("<str:name>/rule/<int:pk>/", self.change_rule, "rule"),
            ("<str:name>/remove/<int:pk>/", require_POST(self.remove_rule), "remove"),
            ("<str:name>/quick/", require_POST(self.quick), "quick"),
            ("<str:name>/publish/", require_POST(self.publish), "publish"),
            ("<str:name>/discard/", require_POST(self.discard), "discard"),
            ("<str:name>/restore/<int:pk>/", require_POST(self.restore), "restore"),
            ("<str:name>/restore/none/", require_POST(self.restore_none), "restore_none"),
        ]
        changelist = super().get_urls()[0]
        return [
            changelist,
            *(path(route, own(view), name=f"sessrec_placement_{name}") for route, view, name in views),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._refuse_unless_seen(request)
        sets = [*RuleSet.objects.live().prefetch_related("rules"), *RuleSet.objects.filter(published_at=None)]
        placements = [{**row, "url": self._url("page", row["name"])} for row in placement_rows(sets)]
        unknown = sorted({each.placement for each in sets} - {*sessrec_settings.PLACEMENTS})
        context = {"title": _("Placements"), "placements": placements, "unknown": unknown}
        return self._answer(request, "placements.html", context)

    def page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Its list for a product or a session, its rules, settings and history."""
        self._refuse_unless_seen(request)
        settled = settled_or_404(name)
        live, draft = live_set(name), RuleSet.objects.draft(name)
        shown = draft or live
        rows = list(shown.rules.all()) if shown else []
        catalogue = get_catalogue()
        everything = rows + (list(live.rules.all()) if draft and live else [])
        words = Words(catalogue, everything)
        as_shown = [settled, *(each.placement for each in variants_of(name))]
        form = ListForm(request.GET or None, everything, as_shown)
        lists = live_lists(name, form, draft, words)
        drafted = settled_as(name, draft)
        return self._answer(
            request,
            "placement.html",
            {
                "title": placement_name(name),
                "name": name,
                "draft": draft,
                "overtaken": _overtaken(newer) if (newer := overtaken(draft)) else "",
                "live": live,
                "rules": [rule_line(rule, words) for rule in in_order(rows)],
                "warnings": warnings(rows, drafted or settled, words),
                "kinds": [(kind, PlacementRule.Kind(kind).label) for kind in FORMS],
                "form": form,
                **lists,
                **placement_figures(name, settled.limit),
                "settings": settings_table(name, drafted or settled, shown, changed_by=draft is not None),
                "history": Paginator(RuleSet.objects.history(name), VERSIONS).get_page(
                    request.GET.get("history")
                ),
                "before_rules": has_effect(live),
                "may_change": may(request, Act.RULES),
            },
        )

    def preview(self, request: HttpRequest, name: str) -> HttpResponse:
        """Both lists for recent sessions: under the rules that are live, and under the draft's."""
        self._refuse_unless_seen(request)
        settled_or_404(name)
        draft = RuleSet.objects.draft(name)
        shown = draft or live_set(name)
        rows = list(shown.rules.all()) if shown else []
        after = Merchandising.of(rows, shown.changes if shown else {})
        # Without a draft, what is live is held against the placement without any rule.
        before = merchant_rules.live(name) if draft else merchant_rules.NONE
        compared = compare(name, recent_visits(name), before, after)
        words = Words(get_catalogue(), rows)
        words.offered |= compared.items
        lines = [rule_line(rule, words, compared.touched, compared.sessions) for rule in in_order(rows)]
        return self._answer(
            request,
            "placement_preview.html",
            {
                "title": _("Preview: %(placement)s") % {"placement": placement_name(name)},
                "name": name,
                "placement": placement_name(name),
                "draft": draft,
                "compared": compared,
                "share": round(100 * compared.changed / compared.sessions) if compared.sessions else 0,
                "wanted": SESSIONS,
                "rules": lines,
                "gone": most_named(compared.gone, words),
                "new": most_named(compared.new, words),
                "examples": [example_lists(each, words) for each in compared.examples],
                "may_change": may(request, Act.RULES),
            },
        )

    def publish(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, and let the placement's lists follow the draft."""
        require(request, Act.RULES)
        settled = settled_or_404(name)
        draft = RuleSet.objects.draft(name)
        if draft is None:
            return self._without_draft(request, name)
        rules = in_order(list(draft.rules.all()))
        number = len(rules)
        question = Question(
            title=_("Go live with the draft of %(placement)s?") % {"placement": placement_name(name)},
            button=_("Go live"),
            back=self._url("page", name),
            page=placement_name(name),
            sentences=[
                ngettext(
                    "%(number)d rule becomes live; web processes follow within %(seconds)d seconds.",
                    "%(number)d rules become live; web processes follow within %(seconds)d seconds.",
                    number,
                )
                % {"number": number, "seconds": merchant_rules.CHECK_SECONDS},
                *([_overtaken(newer)] if (newer := overtaken(draft)) else []),
                *warnings(rules, settled_as(name, draft) or settled, Words(get_catalogue(), rules)),
                _("You can undo it in the history at any time."),
            ],
            about=_as_it_stands(draft),
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        by = request.user.get_username()
        try:
            publish(draft, by, answer["reason"])
        except RuleSetError as error:
            self.message_user(request, str(error), messages.ERROR)
            return self._to_page(name)
        draft_edits.note(by, answer["reason"], name, "published", rules=draft.rules.count())
        self.message_user(request, _("The rules are live."), messages.SUCCESS)
        return self._to_page(name)

    def discard(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, and delete the draft."""
        require(request, Act.RULES)
        settled_or_404(name)
        draft = RuleSet.objects.draft(name)
        if draft is None:
            return self._without_draft(request, name)
        question = Question(
            title=_("Discard the draft of %(placement)s?") % {"placement": placement_name(name)},
            button=_("Discard"),
            back=self._url("page", name),
            page=placement_name(name),
            sentences=[_("The draft's changes are deleted. What is live stays live.")],
            about=_as_it_stands(draft),
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        try:
            discard(draft)
        except RuleSetError as error:
            self.message_user(request, str(error), messages.ERROR)
            return self._to_page(name)
        draft_edits.note(request.user.get_username(), answer["reason"], name, "discarded")
        self.message_user(request, _("The draft is discarded."), messages.SUCCESS)
        return self._to_page(name)

    def restore(self, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """Ask, and publish the rules of an earlier version again."""
        require(request, Act.RULES)
        settled_or_404(name)
        earlier = get_object_or_404(RuleSet.objects.history(name), pk=pk)
        rules = in_order(list(earlier.rules.all()))
        words = Words(get_catalogue(), rules)
        question = Question(
            title=_("Bring this version of %(placement)s back?") % {"placement": placement_name(name)},
            about=str(live.pk if (live := live_set(name)) else ""),
            button=_("Bring back"),
            back=self._url("page", name),
            page=placement_name(name),
            facts=[
                (_("Live since"), earlier.published_at),
                (_("By"), earlier.published_by),
                (_("Reason"), earlier.reason),
                (_("Rules"), len(rules)),
            ],
            sentences=[words.sentence(rule) for rule in rules],
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        by = request.user.get_username()
        restore(earlier, by, answer["reason"])
        draft_edits.note(by, answer["reason"], name, "restored", rules=len(rules), version=earlier.pk)
        self.message_user(request, _("The earlier rules are live again."), messages.SUCCESS)
        return self._to_page(name)

    def restore_none(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, and let the placement go without rules, as before its first version."""
        require(request, Act.RULES)
        settled_or_404(name)
        live = live_set(name)
        if live is None or not has_effect(live):
            self.message_user(request, _("No rules are live here."), messages.WARNING)
            return self._to_page(name)
        number = live.rules.count()
        question = Question(
            title=_("Bring back “no rules” for %(placement)s?") % {"placement": placement_name(name)},
            about=str(live.pk),
            button=_("Bring back"),
            back=self._url("page", name),
            page=placement_name(name),
            sentences=[
                ngettext(
                    "%(number)d rule and all changed settings stop being live; web processes follow within"
                    " %(seconds)d seconds.",
                    "%(number)d rules and all changed settings stop being live; web processes follow within"
                    " %(seconds)d seconds.",
                    number,
                )
                % {"number": number, "seconds": merchant_rules.CHECK_SECONDS},
                _("The list is then as without any rules; what an experiment changes or has left stays."),
                _("You can undo it in the history at any time."),
            ],
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        by = request.user.get_username()
        restore_none(name, by, answer["reason"])
        draft_edits.note(by, answer["reason"], name, "restored", rules=0)
        self.message_user(request, _("No rules are live any more."), messages.SUCCESS)
        return self._to_page(name)

    def _without_draft(self, request: HttpRequest, name: str) -> HttpResponse:
        """Say that there is nothing to publish or discard, as after a second click."""
        said = _("There is no draft: it is published or discarded already.")
        self.message_user(request, said, messages.WARNING)
        return self._to_page(name)


def _as_it_stands(draft: RuleSet) -> str:
    """What changes with every change of the draft, for questions about it."""
    return f"{draft.pk} {draft.changed_at.isoformat()}"


def _overtaken(newer: RuleSet) -> str:
    """That going live with a draft replaces what was brought back since the draft was begun."""
    at = date_format(localtime(newer.published_at), "SHORT_DATETIME_FORMAT")
    return _(
        "Since this draft was begun, %(by)s brought an earlier version back (%(at)s)."
        " Going live with the draft replaces it."
    ) % {"by": newer.published_by, "at": at}
