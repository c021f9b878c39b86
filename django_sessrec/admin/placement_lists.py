"""A placement's list for one product or session, live and with the draft, each item with why it is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_sessrec.admin.formatting import NONE
from django_sessrec.admin.rule_fields import LONGEST_TITLE, ProductField, labels_of, values_of
from django_sessrec.admin.rule_words import Words
from django_sessrec.admin.words import placement_name, step_name, variant_words
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.conf import PLACEMENT_DEFAULTS, sessrec_settings
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.safety import isolated
from django_sessrec.serving import merchant_rules
from django_sessrec.serving.candidate import MODEL, SEARCH, USUAL_STEPS
from django_sessrec.serving.choose import REFILLED, Choice, choose
from django_sessrec.serving.experiments import kept
from django_sessrec.serving.merchant_rules import MERCHANT, Merchandising
from django_sessrec.serving.placements import MIXED, ROWS, Placement, placement_for, variants_of
from django_sessrec.serving.preview import RememberingCatalogue, recent_visits
from django_sessrec.serving.visit import MAX_QUERY, Visit

RECENT: Final = 8  # sessions that the page offers
LEFT_OUT: Final = 30  # products that the page explains
CLICKS: Final = 5
SETTINGS: Final[Mapping[str, str | Promise]] = {
    "MODELS": gettext_lazy("Models, in the order in which they are asked"),
    "STEPS": gettext_lazy("Steps, in the order in which they are asked"),
    "LIMIT": gettext_lazy("Products in the list"),
    "TITLE": gettext_lazy("Heading"),
    "FALLBACK_TITLE": gettext_lazy("Heading of a list that is the same for everybody"),
    "TEMPLATE": gettext_lazy("Template"),
    "PINNED": gettext_lazy("Pinned products"),
    "SPONSORED": gettext_lazy("Sponsored products"),
    "EXCLUDED": gettext_lazy("Products that are never shown"),
    "INTENTS": gettext_lazy("Earlier interests of a session"),
    "HIDE_VIEWED": gettext_lazy("Leaves out what the session has viewed"),
    "HIDE_BOUGHT_CATEGORIES": gettext_lazy("Leaves out categories that were just bought"),
    "NEW_PRODUCTS": gettext_lazy("Places for new products"),
    "VARIETY": gettext_lazy("Variety, from 0 to 1"),
    "ROTATE_AFTER": gettext_lazy("Lists without a click after which a product goes to the end"),
    "EXPLORE": gettext_lazy("Share of places that are drawn by chance"),
    "MAX_PER_CATEGORY": gettext_lazy("Most products of one category"),
    "RULES": gettext_lazy("Rules in the shop's code"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An item of a list as the page shows it."""

    item_id: str
    position: int
    title: str
    image: str
    price: Any
    step: str
    because: str
    did: Sequence[str]  # what the rules did to it
    new: bool  # in this list only, of the two


class ListForm(forms.Form):
    """Whose list: on a product's page, a category's or a search, in a recent session, of a customer group."""

    product = ProductField(label=gettext_lazy("On the page of"), required=False)
    category = forms.CharField(
        label=gettext_lazy("On a page about the category"),
        required=False,
        max_length=LONGEST_TITLE,
        help_text=gettext_lazy(
            "Its name or its key. If products of it are offered, the list shows no others."
        ),
        widget=forms.TextInput({"data-sessrec-suggest": "category", "autocomplete": "off"}),
    )
    query = forms.CharField(label=gettext_lazy("With the search words"), required=False, max_length=MAX_QUERY)
    group = forms.ChoiceField(label=gettext_lazy("For customers of the group"), required=False)
    session = forms.IntegerField(required=False, min_value=1, max_value=RECENT, widget=forms.HiddenInput)

    def __init__(self, given: Any, rules: Iterable[PlacementRule], placements: Iterable[Placement]) -> None:
        """A group is asked for where a rule names one, a search's words where a step reads them.

        placements: as sessions get it, those of each variant among them
        """
        super().__init__(given)
        if not any(SEARCH in each.steps for each in placements):
            del self.fields["query"]
        if groups := sorted({rule.group for rule in rules} - {""}):
            choices = [("", gettext_lazy("none")), *((name, name) for name in groups)]
            self.fields["group"].choices = choices  # type: ignore[attr-defined]
        else:
            del self.fields["group"]

    def clean_category(self) -> str:
        """Its key as the catalogue has it, which may be named by its name."""
        text = self.cleaned_data["category"]
        return values_of("category", [text], get_catalogue())[0] if text else ""


def live_lists(name: str, form: ListForm, draft: RuleSet | None, words: Words) -> dict[str, Any]:
    """Both lists, live and with the draft, for the form's visit; by default the latest session."""
    recent: list[Visit] = []
    with isolated("read recent sessions"):
        recent = recent_visits(name, RECENT)
    catalogue = RememberingCatalogue(get_catalogue())
    visit, chosen = _visit(form.cleaned_data if form.is_bound and form.is_valid() else {}, recent, catalogue)
    lists = [merchant_rules.live(name)]
    if draft is not None:
        lists.append(Merchandising.of(draft.rules.all(), draft.changes))
    settled = [placement_for(name, visit, merchandising=each) for each in lists]
    made = [_made(visit, each, catalogue) for each in settled]
    choices = [choice or Choice() for choice in made]
    words.offered |= catalogue.offered
    ids = [{each.item_id for each in choice.chosen} for choice in choices]
    shown = [list(_shown(each, words, other)) for each, other in zip(choices, reversed(ids), strict=True)]
    last = choices[-1]
    clicks = [item_id for each in (*recent, visit) for item_id in each.clicks[-CLICKS:]]
    words.look_up([*clicks, *(each.item_id for each in last.dropped[:LEFT_OUT])])
    wanted = settled[-1].limit
    too_few = len(last.chosen) < wanted
    by_rules = [each for each in last.dropped if each.trace[-1].rule.startswith(MERCHANT)]
    return {
        "recent": [(n + 1, _clicks(each, words), n == chosen) for n, each in enumerate(recent)],
        "clicks": [words.product(item_id) for item_id in visit.items[-CLICKS:]],
        "current": words.product(visit.current) if visit.current else "",
        "category": ", ".join(labels_of("category", visit.categories, catalogue)),
        "query": visit.query,
        "variant": variant_words(settled[0]),
        "live_list": shown[0],
        "draft_list": shown[1] if draft else None,
        "left_out": [
            (words.product(each.item_id), words.did(each.trace[-1]))
            for each in last.dropped[:LEFT_OUT]
            if each.trace
        ],
        "failed": None in made,
        "too_few": too_few and bool(by_rules),
        "only": (len(last.chosen), wanted) if too_few and last.chosen and not by_rules else None,
        "refilled": any(effect.rule == REFILLED for effect in last.effects),
    }


def _visit(given: Mapping[str, Any], recent: Sequence[Visit], catalogue: TextCatalogue) -> tuple[Visit, int]:
    """The visit that the form asks for, and its place among the recent ones; -1 where it is none of them.

    A page about a category or a search has no product on it, unless one is named as well.
    """
    category = given.get("category", "")
    asked: dict[str, Any] = {
        "categories": (category,) if category else (),
        "query": given.get("query", ""),
        "group": given.get("group", ""),
    }
    if product := given.get("product"):
        return Visit(current=product, **asked), -1
    own_page: dict[str, Any] = {"current": ""} if category or asked["query"] else {}
    if recent:
        number = given.get("session") or 1
        chosen = number - 1 if number <= len(recent) else 0
        return replace(recent[chosen], **asked, **own_page), chosen
    items: list[str] = []
    if not own_page:
        with isolated("ask the catalogue for a product"):
            items = catalogue.fallback(1)
    return Visit(current=items[0] if items else "", **asked), -1


def _made(visit: Visit, placement: Placement, catalogue: RememberingCatalogue) -> Choice | None:
    """The list; None where the shop's catalogue fails."""
    with isolated("make the list of a placement for the admin"):
        return choose(visit, placement, catalogue=catalogue)
    return None


def _clicks(visit: Visit, words: Words) -> list[str]:
    return [words.product(item_id) for item_id in visit.clicks[-CLICKS:]]


def _shown(choice: Choice, words: Words, others: set[str]) -> Iterator[Shown]:
    for position, each in enumerate(choice.items, 1):
        fields = each.fields or {}
        yield Shown(
            each.item_id,
            position,
            str(fields.get("title", each.item_id)),
            str(fields.get("image") or ""),
            fields.get("price", ""),
            each.model if each.step == MODEL else step_name(each.step),
            ", ".join(words.product(item_id) for item_id in each.because),
            [words.did(step) for step in each.trace],
            each.item_id not in others,
        )


def settings_table(
    name: str, settled: Placement, rule_set: RuleSet | None, *, changed_by: bool
) -> list[tuple[str, str, str]]:
    """Each setting in words, its value, and where that comes from: default, settings, rules, experiment."""
    given = sessrec_settings.PLACEMENTS.get(name, {})
    left = kept(name)
    merged = {**PLACEMENT_DEFAULTS, **sessrec_settings.placement(name), **left}
    changes = merchant_rules.allowed(rule_set.changes) if rule_set else {}
    varied = {key for key in SETTINGS for each in variants_of(name) if _differs(key, each.placement, settled)}
    rows = []
    for key, label in SETTINGS.items():
        if key not in merged:
            continue
        value, source = merged[key], _("the shop's settings") if key in given else _("default")
        if key in left:
            source = _("what an experiment that is over left for everybody")
        if key in changes:
            value, source = changes[key], _("this draft") if changed_by else _("the merchant's rules")
        if key in varied:
            source += " " + _("(an experiment's variant changes it)")
        rows.append((str(label), _in_words(value, key), source))
    return rows


def _differs(key: str, variant: Placement, settled: Placement) -> bool:
    return getattr(variant, key.lower(), None) != getattr(settled, key.lower(), None)


def _in_words(value: Any, key: str) -> str:
    if key == "STEPS":
        value = [step_name(step) for step in value or USUAL_STEPS]
    if key == "INTENTS":
        return str({MIXED: _("mixed into the list"), ROWS: _("in rows of their own")}.get(value, NONE))
    if value is None or value == "" or value == [] or value == ():
        return NONE
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)


def asked_in_order(placement: Placement) -> list[str]:
    """The models, and the steps around them where the placement names its own."""
    steps = placement.steps or [MODEL]
    return [name for step in steps for name in (placement.models if step == MODEL else [step_name(step)])]


def placement_rows(sets: Iterable[RuleSet]) -> list[dict[str, Any]]:
    """What the list of placements tells of each; `sets`: drafts, and what is live with its rules."""
    live = {each.placement: each for each in sets if each.published_at}
    drafts = {each.placement for each in sets if not each.published_at}
    rows = []
    for name in sessrec_settings.PLACEMENTS:
        settled = settled_as(name)
        rows.append(
            {
                "name": name,
                "title": placement_name(name),
                "heading": settled.title if settled else "",
                "asked": ", ".join(asked_in_order(settled)) if settled else "",
                "limit": settled.limit if settled else "",
                "live": live.get(name),
                "rules": len(live[name].rules.all()) if name in live else 0,
                "draft": name in drafts,
            }
        )
    return rows


def settled_as(name: str, rule_set: RuleSet | None = None) -> Placement | None:
    """The placement as a visit without an experiment gets it; None where the settings have none."""
    try:
        merchandising = None
        if rule_set is not None:
            merchandising = Merchandising.of(rule_set.rules.all(), rule_set.changes)
        return placement_for(name, merchandising=merchandising)
    except (ImproperlyConfigured, KeyError, TypeError, ValueError):
        return None


def place_of(given: str) -> int:
    """A place of a list; the first for anything else."""
    place = int(given) if given.isdecimal() and len(given) < len(str(MAX_LIMIT)) + 1 else 1
    return place if 1 <= place <= MAX_LIMIT else 1
