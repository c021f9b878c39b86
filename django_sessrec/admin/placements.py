"""Placements: what each shows and why, its rules as a draft beside what is live, and their history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from django_sessrec.admin import draft_edits
from django_sessrec.admin.acts import Act, Question, asked, may, require
from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.placement_figures import placement_figures
from django_sessrec.admin.placement_lists import (
    ListForm,
    live_lists,
    place_of,
    placement_rows,
    settings_table,
    settled_as,
)
from django_sessrec.admin.products import shown_products
from django_sessrec.admin.rule_fields import suggestions
from django_sessrec.admin.rule_forms import FORMS, ChangesForm, RuleForm
from django_sessrec.admin.rule_lines import example_lists, in_order, most_named, rule_line
from django_sessrec.admin.rule_warnings import warnings
from django_sessrec.admin.rule_words import Words
from django_sessrec.admin.words import placement_name
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.serving import merchant_rules
from django_sessrec.serving.merchant_rules import ITEM, Merchandising
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.preview import SESSIONS, compare, recent_visits
from django_sessrec.serving.rule_sets import (
    RuleSetError,
    discard,
    live_set,
    overtaken,
    publish,
    restore,
)

VERSIONS: Final = 10  # of the history on the page


@admin.register(RuleSet)
class PlacementAdmin(ReadOnlyAdmin):
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
        settled = _settled(name)
        live, draft = live_set(name), RuleSet.objects.draft(name)
        shown = draft or live
        rows = list(shown.rules.all()) if shown else []
        catalogue = get_catalogue()
        everything = rows + (list(live.rules.all()) if draft and live else [])
        words = Words(catalogue, everything)
        form = ListForm(request.GET or None, everything)
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
                "history": RuleSet.objects.history(name)[:VERSIONS],
                "may_change": may(request, Act.RULES),
            },
        )

    def preview(self, request: HttpRequest, name: str) -> HttpResponse:
        """Both lists for recent sessions: under the rules that are live, and under the draft's."""
        self._refuse_unless_seen(request)
        _settled(name)
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

    def settings(self, request: HttpRequest, name: str) -> HttpResponse:
        """The settings that the draft changes."""
        require(request, Act.RULES)
        _settled(name)
        shown = RuleSet.objects.draft(name) or live_set(name)
        given = {key: str(value) for key, value in (shown.changes if shown else {}).items()}
        form = ChangesForm(request.POST or None, initial=given)
        if request.method == "POST" and form.is_valid():
            draft_edits.change_settings(name, request.user.get_username(), form)
            return self._to_page(name)
        return self._form(
            request, name, _("Settings: %(placement)s") % {"placement": placement_name(name)}, form
        )

    def add_rule(self, request: HttpRequest, name: str, kind: str) -> HttpResponse:
        """A new rule of the draft, which begins where there is none."""
        require(request, Act.RULES)
        _settled(name)
        if kind not in FORMS:
            raise Http404(kind)
        return self._edit(request, name, FORMS[kind], None)

    def change_rule(self, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """A rule of the draft; of what is live, the same rule of a new draft."""
        require(request, Act.RULES)
        _settled(name)
        rule = get_object_or_404(PlacementRule.objects.filter(rule_set__placement=name), pk=pk)
        if rule.kind not in FORMS:
            raise Http404(rule.kind)
        return self._edit(request, name, FORMS[rule.kind], rule)

    def _edit(
        self, request: HttpRequest, name: str, kind: type[RuleForm], rule: PlacementRule | None
    ) -> HttpResponse:
        form = kind(name, request.POST or None, rule=rule)
        if request.method == "POST" and form.is_valid():
            draft_edits.save_rule(name, request.user.get_username(), form, rule)
            self.message_user(request, _("Saved in the draft. No visitor sees it yet."), messages.SUCCESS)
            return self._to_page(name)
        return self._form(request, name, str(kind.kind.label), form)

    def remove_rule(self, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """Ask, and take a rule out of the draft; one that is live stays live until the draft is published."""
        require(request, Act.RULES)
        _settled(name)
        rule = get_object_or_404(PlacementRule.objects.filter(rule_set__placement=name), pk=pk)
        question = Question(
            title=_("Remove this rule from the draft of %(placement)s?")
            % {"placement": placement_name(name)},
            button=_("Remove"),
            back=self._url("page", name),
            page=placement_name(name),
            sentences=[rule_line(rule, Words(get_catalogue(), [rule])).sentence],
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        draft_edits.remove_rule(name, request.user.get_username(), rule, answer["reason"])
        said = _("Removed in the draft. What is live stays live until you go live.")
        self.message_user(request, said, messages.SUCCESS)
        return self._to_page(name)

    def quick(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, and pin or hide one product of the list on the page, in the draft."""
        require(request, Act.RULES)
        _settled(name)
        item_id, back = request.POST.get("item", ""), request.POST.get("back", "")
        product = shown_products([item_id])[item_id]
        if not product.offered:
            raise Http404(item_id)
        words = {
            "product": product.title,
            "place": place_of(request.POST.get("position", "")),
        }
        if request.POST.get("act") == PlacementRule.Kind.PIN:
            title, button = _("Pin %(product)s to place %(place)d in the draft?"), _("Pin")
            kind, given = PlacementRule.Kind.PIN, {"item": item_id, "position": words["place"]}
        else:
            title, button = _("Hide %(product)s in the draft?"), _("Hide")
            kind, given = PlacementRule.Kind.HIDE, {"attribute": ITEM, "values": [item_id]}
        question = Question(
            title=title % words,
            button=button,
            back=self._url("page", name) + (f"?{back}" if back else ""),
            page=placement_name(name),
            sentences=[_("No visitor sees it before the draft goes live.")],
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        rule = PlacementRule(kind=kind, parameters=given)
        draft_edits.add_rule(name, request.user.get_username(), rule, answer["reason"])
        self.message_user(request, _("Saved in the draft. No visitor sees it yet."), messages.SUCCESS)
        return self._to_page(name, back)

    def publish(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, and let the placement's lists follow the draft."""
        require(request, Act.RULES)
        _settled(name)
        draft = RuleSet.objects.draft(name)
        if draft is None:
            return self._without_draft(request, name)
        number = draft.rules.count()
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
                _("You can undo it in the history at any time."),
            ],
            about=f"{draft.pk} {draft.changed_at.isoformat()}",
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
        _settled(name)
        draft = RuleSet.objects.draft(name)
        if draft is None:
            return self._without_draft(request, name)
        question = Question(
            title=_("Discard the draft of %(placement)s?") % {"placement": placement_name(name)},
            button=_("Discard"),
            back=self._url("page", name),
            page=placement_name(name),
            sentences=[_("The draft's changes are deleted. What is live stays live.")],
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
        _settled(name)
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

    def suggest(self, request: HttpRequest) -> HttpResponse:
        """Products by name, or values of an attribute, for the fields of the forms."""
        self._refuse_unless_seen(request)
        found = suggestions(request.GET.get("attribute", ITEM), request.GET.get("q", "").strip())
        return JsonResponse({"options": [{"value": value, "label": label} for value, label in found]})

    def _without_draft(self, request: HttpRequest, name: str) -> HttpResponse:
        """Say that there is nothing to publish or discard, as after a second click."""
        said = _("There is no draft: it is published or discarded already.")
        self.message_user(request, said, messages.WARNING)
        return self._to_page(name)

    def _form(self, request: HttpRequest, name: str, title: str, form: Any) -> HttpResponse:
        context = {
            "title": title,
            "name": name,
            "placement": placement_name(name),
            "form": form,
            "back": self._url("page", name),
        }
        return self._answer(request, "rule_form.html", context)

    def _answer(self, request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
        base = self.admin_site.each_context(request) | {"opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"admin/sessrec/{template}", base | dict(context))

    def _refuse_unless_seen(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _url(self, view: str, *args: Any) -> str:
        return reverse(f"{self.admin_site.name}:sessrec_placement_{view}", args=args)

    def _to_page(self, name: str, query: str = "") -> HttpResponse:
        return HttpResponseRedirect(self._url("page", name) + (f"?{query}" if query else ""))


def _settled(name: str) -> Placement:
    """The placement without an experiment; Http404 where the settings have none of this name."""
    settled = settled_as(name)
    if settled is None:
        raise Http404(name)
    return settled


def _overtaken(newer: RuleSet) -> str:
    """That going live with a draft replaces what was brought back since the draft was begun."""
    at = date_format(localtime(newer.published_at), "SHORT_DATETIME_FORMAT")
    return _(
        "Since this draft was begun, %(by)s brought an earlier version back (%(at)s)."
        " Going live with the draft replaces it."
    ) % {"by": newer.published_by, "at": at}
