"""Forms of a merchant's rules, one for each kind: products by name, attributes by value, dates and group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_sessrec.admin.acts import ReasonForm
from django_sessrec.admin.forms import MomentField
from django_sessrec.admin.rule_fields import (
    EitherField,
    LinesField,
    ProductField,
    attribute_name,
    attributes_offered,
    known_products,
    labelled,
    labels_of,
    product_id,
    values_of,
)
from django_sessrec.catalogue import get_catalogue
from django_sessrec.checks.templates import labels_sponsored
from django_sessrec.conf import sessrec_settings
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.rule_models import PlacementRule
from django_sessrec.safety import isolated
from django_sessrec.serving.merchant_rules import ITEM, MOST_PIECES
from django_sessrec.serving.placements import placement_for

Kind = PlacementRule.Kind


class RuleForm(ReasonForm):
    """What rules of every kind have: pages, dates, group, a note, and why it is changed."""

    kind: ClassVar[Kind]
    stored: ClassVar[tuple[str, ...]] = ()  # fields that are parameters of the kind as they are
    matches: ClassVar[tuple[str, ...]] = ("on_screen",)  # prefixes of attribute and values

    on_screen_attribute = forms.ChoiceField(label=_("Only on pages of products with this"), required=False)
    on_screen_values = LinesField(label=_("… that is one of"), required=False)
    starts_at = MomentField(label=_("From"), required=False)
    ends_at = MomentField(label=_("Until"), required=False)
    group = forms.CharField(
        label=_("Only for this customer group"),
        required=False,
        max_length=100,
        help_text=_("Empty: for everybody."),
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=200,
        help_text=_("For your colleagues; no visitor sees it."),
    )

    def __init__(self, placement: str, *args: Any, rule: PlacementRule | None = None, **kwargs: Any) -> None:
        self.placement = placement
        self.catalogue = get_catalogue()
        self.stands_already: dict[str, str] = {}  # lines of the rule as they are shown -> products' ids
        if rule is not None:
            kwargs["initial"] = self._initial(rule)
        super().__init__(*args, **kwargs)
        if not sessrec_settings.CUSTOMER_GROUP:
            del self.fields["group"]
        offered = attributes_offered(self.catalogue)
        for prefix in self.matches:
            chosen = self.initial.get(f"{prefix}_attribute")
            names = dict.fromkeys([ITEM, *offered, *([chosen] if chosen else [])])
            choices = [(name, capfirst(attribute_name(name))) for name in names]
            field = self.fields[f"{prefix}_attribute"]
            field.choices = choices if field.required else [("", "\N{EN DASH}"), *choices]  # type: ignore[attr-defined]
            values = self.fields[f"{prefix}_values"].widget.attrs
            values |= {"data-sessrec-suggest-by": f"id_{prefix}_attribute"}
            values |= {"data-sessrec-find": gettext("Search here, and choose a line to add")}
        if "attribute" in self.fields:
            names = dict.fromkeys([*offered, *filter(None, [self.initial.get("attribute")])])
            self.fields["attribute"].choices = [(name, capfirst(attribute_name(name))) for name in names]  # type: ignore[attr-defined]

    @property
    def narrowed(self) -> bool:
        """Whether dates, pages or a group are filled in, or wrong."""
        names = ("starts_at", "ends_at", "group", "on_screen_attribute", "on_screen_values", "note")
        return any(self.initial.get(name) or self.errors.get(name) for name in names)

    @property
    def own_fields(self) -> list[forms.BoundField]:
        """The kind's own fields, and why."""
        common = RuleForm.base_fields.keys() - {"reason"}
        return [field for field in self.visible_fields() if field.name not in common]

    @property
    def common_fields(self) -> list[forms.BoundField]:
        common = RuleForm.base_fields.keys() - {"reason"}
        return [field for field in self.visible_fields() if field.name in common]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end = given.get("starts_at"), given.get("ends_at")
        if start and end and end <= start:
            self.add_error("ends_at", gettext("The end is before the start."))
        for prefix in self.matches:
            self._clean_match(prefix, given)
        return given

    def _clean_match(self, prefix: str, given: dict[str, Any]) -> None:
        attribute, values = given.get(f"{prefix}_attribute"), given.get(f"{prefix}_values")
        if values is None or attribute is None:  # wrong already
            return
        if bool(attribute) != bool(values):
            self.add_error(f"{prefix}_values", gettext("Choose an attribute and write at least one value."))
        elif attribute == ITEM:
            try:
                ids = [self.stands_already.get(each) or product_id(each, self.catalogue) for each in values]
                given[f"{prefix}_values"] = list(dict.fromkeys(ids))
            except ValidationError as problem:
                self.add_error(f"{prefix}_values", problem)
        elif attribute:
            values = values_of(attribute, values, self.catalogue)
            given[f"{prefix}_values"] = list(dict.fromkeys(values))

    def fill(self, rule: PlacementRule) -> PlacementRule:
        """Write what was given into the rule, which is not saved yet."""
        given = self.cleaned_data
        rule.kind = self.kind
        rule.parameters = self.parameters(given)
        if given["on_screen_attribute"]:
            rule.parameters["on_screen"] = self.match("on_screen", given)
        rule.starts_at, rule.ends_at = given["starts_at"], given["ends_at"]
        rule.group, rule.note = given.get("group", ""), given["note"]
        return rule

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The kind's own."""
        return {name: given[name] for name in self.stored}

    def match(self, prefix: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"attribute": given[f"{prefix}_attribute"], "values": given[f"{prefix}_values"]}

    def _initial(self, rule: PlacementRule) -> dict[str, Any]:
        initial = {**rule.parameters, "starts_at": rule.starts_at, "ends_at": rule.ends_at}
        initial |= {"group": rule.group, "note": rule.note}
        for name in ("same", "relative", "last"):
            if name in initial:
                initial[name] = "True" if initial[name] else ""
        if "item" in initial:
            known = known_products([initial["item"]], self.catalogue)
            initial["item"] = labelled(initial["item"], known, self.catalogue)
        nested = {"what": rule.parameters, "other": rule.parameters.get("other")}
        for prefix, match in {**nested, "on_screen": rule.parameters.get("on_screen")}.items():
            if isinstance(match, dict) and "values" in match:
                initial[f"{prefix}_attribute"] = match["attribute"]
                initial[f"{prefix}_values"] = [*self._named(match)]
        return initial

    def _named(self, match: Mapping[str, Any]) -> Iterable[str]:
        values = [*map(str, match["values"])]
        if match["attribute"] != ITEM:
            return labels_of(match["attribute"], values, self.catalogue)
        known = known_products(values, self.catalogue)
        named = {labelled(item_id, known, self.catalogue): item_id for item_id in values}
        self.stands_already |= named
        return named


class PinForm(RuleForm):
    kind = Kind.PIN
    stored = ("item", "position")
    item = ProductField(label=_("Product"))
    position = forms.IntegerField(label=_("Place"), min_value=1, max_value=MAX_LIMIT, initial=1)


class SponsoredForm(PinForm):
    kind = Kind.SPONSORED

    def clean(self) -> dict[str, Any]:
        template = placement_for(self.placement).template
        with isolated("read the template of a placement"):
            if not labels_sponsored(template):
                message = gettext("The template %(template)s does not label sponsored products.")
                self.add_error(None, message % {"template": template})
        return super().clean()


class HideForm(RuleForm):
    kind = Kind.HIDE
    matches: ClassVar[tuple[str, ...]] = ("what", "on_screen")
    what_attribute = forms.ChoiceField(label=_("Products with this"))
    what_values = LinesField(label=_("… that is one of"), help_text=_("One a line."))

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return super().parameters(given) | self.match("what", given)


class BoostForm(HideForm):
    kind = Kind.BOOST
    stored = ("places",)
    places = forms.IntegerField(
        label=_("Places"),
        min_value=0,
        max_value=MAX_LIMIT,
        initial=4,
        help_text=_("How far; 0 is all the way."),
    )


class BuryForm(BoostForm):
    kind = Kind.BURY


class BesideForm(HideForm):
    kind = Kind.BESIDE
    matches = ("what", "other", "on_screen")
    other_attribute = forms.ChoiceField(label=_("Never beside products with this"))
    other_values = LinesField(label=_("… that is one of"), help_text=_("One a line."))

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return super().parameters(given) | {"other": self.match("other", given)}


class CapForm(RuleForm):
    kind = Kind.CAP
    stored = ("attribute", "most", "window")
    most = forms.IntegerField(label=_("At most"), min_value=1, max_value=MAX_LIMIT, initial=2)
    attribute = forms.ChoiceField(label=_("products of the same"), choices=())
    window = forms.IntegerField(
        label=_("among any so many in a row"),
        min_value=0,
        max_value=MAX_LIMIT,
        initial=0,
        help_text=_("0 is the whole list."),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        window = given.get("window")
        if window and given.get("most") and window <= given["most"]:
            self.add_error("window", gettext("So few places can never hold more: nothing would change."))
        return given


class RelatedForm(RuleForm):
    kind = Kind.RELATED
    stored = ("same", "attribute")
    same = EitherField(label=_("Show only products of"), yes=_("the same"), no=_("another"), initial="True")
    attribute = forms.ChoiceField(label=_("… as the product on the page"), choices=())


class PriceForm(RuleForm):
    kind = Kind.PRICE
    stored = ("relative",)
    relative = EitherField(
        label=_("Prices are"),
        yes=_("in per cent of the price on the page"),
        no=_("amounts, as in the catalogue"),
        initial="True",
    )
    low = forms.FloatField(label=_("Lowest"), required=False, min_value=0)
    high = forms.FloatField(label=_("Highest"), required=False, min_value=0)

    def _initial(self, rule: PlacementRule) -> dict[str, Any]:
        initial = super()._initial(rule)
        if initial.get("relative"):
            ends = {end: initial.get(end) for end in ("low", "high")}
            # A share's own last digits would show as 28.999999999999996 per cent.
            initial |= {end: round(value * 100, 6) for end, value in ends.items() if value is not None}
        return initial

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        low, high = given.get("low"), given.get("high")
        if low is None and high is None:
            self.add_error("low", gettext("Give the lowest price, the highest, or both."))
        elif low is not None and high is not None and high < low:
            self.add_error("high", gettext("The highest price is below the lowest."))
        return given

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        divided = 100 if given["relative"] else 1
        ends = {end: given[end] for end in ("low", "high")}
        shares = {end: value / divided for end, value in ends.items() if value is not None}
        return super().parameters(given) | shares


class StockForm(RuleForm):
    kind = Kind.STOCK
    stored = ("pieces", "last")
    pieces = forms.IntegerField(
        label=_("Products with less in stock than"), min_value=1, max_value=MOST_PIECES, initial=2
    )
    last = EitherField(label=_("are"), yes=_("shown last"), no=_("left out"))


FORMS: Final[Mapping[str, type[RuleForm]]] = {
    form.kind.value: form
    for form in (
        PinForm, HideForm, BoostForm, BuryForm, CapForm, RelatedForm, PriceForm, StockForm, BesideForm,
        SponsoredForm,
    )
}  # fmt: skip


class ChangesForm(ReasonForm):
    """The placement's settings that a rule set may change; an empty one is as in the shop's settings."""

    LIMIT = forms.IntegerField(
        label=_("Products in the list"), required=False, min_value=1, max_value=MAX_LIMIT
    )
    HIDE_VIEWED = forms.TypedChoiceField(
        label=_("Products viewed in this session"),
        choices=[("", _("as in the shop's settings")), ("True", _("left out")), ("False", _("may be shown"))],
        coerce=lambda value: value == "True",
        required=False,
        empty_value=None,
    )
    MAX_PER_CATEGORY = forms.IntegerField(
        label=_("Most products of one category"), required=False, min_value=1, max_value=MAX_LIMIT
    )

    def changes(self) -> dict[str, Any]:
        """Those that are given."""
        given = self.cleaned_data.items()
        return {name: value for name, value in given if name != "reason" and value is not None}
