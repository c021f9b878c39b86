"""Pages that change a placement's draft: its rules, one by one, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_sessrec.admin import draft_edits
from django_sessrec.admin.acts import ABOUT, Act, Question, ReasonForm, asked, require
from django_sessrec.admin.base import GoneError, ReadOnlyAdmin
from django_sessrec.admin.placement_lists import place_of, settled_as
from django_sessrec.admin.products import shown_products
from django_sessrec.admin.rule_fields import suggestions
from django_sessrec.admin.rule_forms import FORMS, ChangesForm, RuleForm
from django_sessrec.admin.rule_lines import rule_line
from django_sessrec.admin.rule_words import Words
from django_sessrec.admin.words import placement_name
from django_sessrec.catalogue import get_catalogue
from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving.merchant_rules import ITEM
from django_sessrec.serving.placements import Placement

CHANGED: Final = gettext_lazy(
    "Somebody has changed this since you opened the form. Look at the draft first, or save again to save"
    " yours."
)


GONE: Final = gettext_lazy(
    "This rule is no longer in the draft: somebody has changed or removed it, or the draft is discarded."
)


class DraftPages(ReadOnlyAdmin):
    """What a merchant changes in a draft; no visitor sees any of it before it goes live."""

    def settings(self, request: HttpRequest, name: str) -> HttpResponse:
        """The settings that the draft changes."""
        require(request, Act.RULES)
        settled_or_404(name)
        changes = draft_edits.settings_of(name)
        given = {key: str(value) for key, value in changes.items()}
        form, stood = ChangesForm(request.POST or None, initial=given), request.POST.get(ABOUT, "")
        if request.method == "POST" and form.is_valid():
            try:
                draft_edits.change_settings(name, request.user.get_username(), form, stood)
            except draft_edits.ChangedMeanwhileError:
                form.add_error(None, CHANGED)
                stood = ""
            else:
                return self._to_page(name)
        title = _("Settings: %(placement)s") % {"placement": placement_name(name)}
        return self._form(request, name, title, form, stood or draft_edits.stands(changes))

    def add_rule(self, request: HttpRequest, name: str, kind: str) -> HttpResponse:
        """A new rule of the draft, which begins where there is none."""
        require(request, Act.RULES)
        settled_or_404(name)
        if kind not in FORMS:
            raise Http404(kind)
        return self._edit(request, name, FORMS[kind], None)

    def change_rule(self, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """A rule of the draft; of what is live, the same rule of a new draft."""
        require(request, Act.RULES)
        settled_or_404(name)
        rule = self._rule(name, pk)
        if rule.kind not in FORMS:
            raise Http404(rule.kind)
        return self._edit(request, name, FORMS[rule.kind], rule)

    def _edit(
        self, request: HttpRequest, name: str, kind: type[RuleForm], rule: PlacementRule | None
    ) -> HttpResponse:
        held = draft_edits.drafted(name, rule) if rule else None
        if rule and held is None and request.method != "POST":
            raise self._gone(name)
        form, stood = kind(name, request.POST or None, rule=held or rule), request.POST.get(ABOUT, "")
        if request.method == "POST" and form.is_valid():
            try:
                draft_edits.save_rule(name, request.user.get_username(), form, rule, stood)
            except draft_edits.ChangedMeanwhileError:
                form.add_error(None, CHANGED)
                stood = ""
            except draft_edits.RuleGoneError:
                form.add_error(None, GONE)
            else:
                self.message_user(request, _("Saved in the draft. No visitor sees it yet."), messages.SUCCESS)
                return self._to_page(name)
        if held and not stood:
            stood = draft_edits.stands(held)
        return self._form(request, name, str(kind.kind.label), form, stood)

    def remove_rule(self, request: HttpRequest, name: str, pk: int) -> HttpResponse:
        """Ask, and take a rule out of the draft; one that is live stays live until the draft is published."""
        require(request, Act.RULES)
        settled_or_404(name)
        rule = self._rule(name, pk)
        held = draft_edits.drafted(name, rule)
        if held is None:
            raise self._gone(name)
        question = Question(
            title=_("Remove this rule from the draft of %(placement)s?")
            % {"placement": placement_name(name)},
            button=_("Remove"),
            back=self._url("page", name),
            page=placement_name(name),
            sentences=[rule_line(held, Words(get_catalogue(), [held])).sentence],
            about=draft_edits.stands(held),
        )
        answer = asked(request, Act.RULES, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        try:
            draft_edits.remove_rule(name, request.user.get_username(), rule, answer["reason"])
        except draft_edits.RuleGoneError:
            raise self._gone(name) from None
        said = _("Removed in the draft. What is live stays live until you go live.")
        self.message_user(request, said, messages.SUCCESS)
        return self._to_page(name)

    def _rule(self, name: str, pk: int) -> PlacementRule:
        rules = PlacementRule.objects.filter(rule_set__placement=name)
        rule: PlacementRule | None = rules.filter(pk=pk).first()
        if rule is None:
            raise self._gone(name)
        return rule

    def _gone(self, name: str) -> GoneError:
        """That the draft does not hold the rule any more, as after a second click."""
        return GoneError(GONE, self._url("page", name))

    def quick(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, and pin or hide one product of the list on the page, in the draft."""
        require(request, Act.RULES)
        settled_or_404(name)
        item_id, back = request.POST.get("item", ""), request.POST.get("back", "")
        product = shown_products([item_id])[item_id]
        if not product.offered:
            raise GoneError(_("The catalogue does not offer this product now."), self._url("page", name))
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

    def suggest(self, request: HttpRequest) -> HttpResponse:
        """Products by name, or values of an attribute, for the fields of the forms."""
        self._refuse_unless_seen(request)
        found = suggestions(request.GET.get("attribute", ITEM), request.GET.get("q", "").strip())
        return JsonResponse({"options": [{"value": value, "label": label} for value, label in found]})

    def _form(
        self, request: HttpRequest, name: str, title: str, form: ReasonForm, stood: str
    ) -> HttpResponse:
        """The page of a form; stood: what it starts from, which its answer brings back."""
        context = {
            "title": title,
            "name": name,
            "placement": placement_name(name),
            "form": form,
            "about": ABOUT,
            "stood": stood,
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


def settled_or_404(name: str) -> Placement:
    """The placement without an experiment; Http404 where the settings have none of this name."""
    settled = settled_as(name)
    if settled is None:
        raise Http404(name)
    return settled
