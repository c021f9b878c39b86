"""Rules, traces and settings in plain words, with the names of products and values."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.admin.formatting import PER_CENT
from django_sessrec.admin.rule_fields import VALUES_SECONDS, attribute_name, title, value_names
from django_sessrec.admin.words import rule_name, trace_words
from django_sessrec.capture.deadlines import LEAST
from django_sessrec.catalogue import TextCatalogue
from django_sessrec.rule_models import PlacementRule
from django_sessrec.safety import isolated
from django_sessrec.serving.candidate import Trace
from django_sessrec.serving.merchant_rules import ITEM, Match, trace_name

Kind = PlacementRule.Kind
NAMED = 3  # values that a sentence lists
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Words:
    """Sentences about rules; products are looked up once for all of them."""

    def __init__(self, catalogue: TextCatalogue, rules: Sequence[PlacementRule]) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self.offered: dict[str, Any] = {}
        self._hidden: dict[str, Any] = {}  # products that the shop does not offer now
        self.look_up(_items(rules))
        self._by_trace = {trace_name(rule): rule for rule in rules}
        self._names: dict[tuple[str, int | None], Mapping[str, str | None]] = {}
        self._seconds = VALUES_SECONDS  # left to ask for the values of rules

    def sentence(self, rule: PlacementRule) -> str:
        """What the rule does, without its dates; a rule that can't be read says so."""
        try:
            return capfirst(self._sentence(rule))
        except UNREADABLE:
            return _("This rule cannot be read and is not applied.")

    def conditions(self, rule: PlacementRule) -> list[str]:
        """When, where and for whom it applies; nothing for always."""
        found = []
        on_screen = rule.parameters.get("on_screen") if isinstance(rule.parameters, dict) else None
        if on_screen:
            with suppress(*UNREADABLE):
                found.append(_("only on pages of %(products)s") % {"products": self._match(on_screen)})
        if rule.group:
            found.append(_("only for the customer group %(group)s") % {"group": rule.group})
        if rule.starts_at:
            found.append(_("from %(time)s") % {"time": _moment(rule.starts_at)})
        if rule.ends_at:
            found.append(_("until %(time)s") % {"time": _moment(rule.ends_at)})
        return found

    def did(self, step: Trace) -> str:
        """What one entry of a trace says."""
        return trace_words(step, self.rule(step.rule))

    def rule(self, name: str) -> str:
        """What a trace's rule is called: a merchant's by its sentence."""
        rule = self._by_trace.get(name)
        return self.sentence(rule) if rule else rule_name(name)

    def look_up(self, item_ids: Iterable[str]) -> None:
        """Learn what these products are called, each asked for once."""
        with isolated("look up the products of rules"):
            new = {*item_ids} - self.offered.keys() - self._hidden.keys()
            self.offered |= self._catalogue.resolve(new)
            self._hidden |= self._catalogue.known(new - self.offered.keys())

    def product(self, item_id: str) -> str:
        """The product's title, and whether it is not offered now; its id where the catalogue lacks it."""
        if item_id not in self.offered and item_id in self._hidden:
            return _("%(item)s (not offered now)") % {"item": title(item_id, self._hidden, self._catalogue)}
        return title(item_id, self.offered, self._catalogue)

    def among(self, item_id: str, match: Match) -> bool:
        """Whether the match names the product, by its id or by what the catalogue says of it."""
        if match.attribute == ITEM:
            return item_id in match.values
        item = self.offered.get(item_id)
        with isolated("tell an item's attributes", savepoints=False):
            if item is not None:
                texts = self._catalogue.attributes(item).texts
                return not match.values.isdisjoint(texts.get(match.attribute, ()))
        return False

    def on_no_product(self, match: Match) -> list[str]:
        """The values that surely no product has."""
        names = self._names_of(match.attribute) if match.attribute != ITEM else {}
        return [value for value in sorted(match.values) if value in names and names[value] is None]

    def _sentence(self, rule: PlacementRule) -> str:
        given: Mapping[str, Any] = rule.parameters
        match rule.kind:
            case Kind.PIN | Kind.SPONSORED:
                return self._placed(rule.kind, given)
            case Kind.BOOST | Kind.BURY:
                return self._moved(rule.kind, self._match(given), int(given["places"]))
            case Kind.HIDE:
                return _("Never show %(products)s") % {"products": self._match(given)}
            case Kind.BESIDE:
                words = {"one": self._match(given), "other": self._match(given["other"])}
                return _("Never %(one)s beside %(other)s") % words
        return SENTENCES[Kind(rule.kind)](given)

    def _placed(self, kind: str, given: Mapping[str, Any]) -> str:
        words = {"product": self.product(given["item"]), "place": int(given["position"])}
        if kind == Kind.PIN:
            return _("%(product)s is pinned to place %(place)s") % words
        return _("%(product)s is sponsored and stands at place %(place)s") % words

    def _moved(self, kind: str, products: str, places: int) -> str:
        words = {"products": products, "places": places}
        if not places:
            first, last = _("%(products)s first"), _("%(products)s last")
            return (first if kind == Kind.BOOST else last) % words
        if kind == Kind.BOOST:
            return (
                ngettext("%(products)s %(places)d place up", "%(products)s %(places)d places up", places)
                % words
            )
        return (
            ngettext("%(products)s %(places)d place down", "%(products)s %(places)d places down", places)
            % words
        )

    def _match(self, match: Mapping[str, Any]) -> str:
        attribute, values = match["attribute"], match["values"]
        named = [self._value(attribute, str(value)) for value in values[:NAMED]]
        text = listed(named, len(values) - len(named))
        return text if attribute == ITEM else f"{attribute_name(attribute)} {text}"

    def _value(self, attribute: str, value: str) -> str:
        if attribute == ITEM:
            return self.product(value)
        return self._names_of(attribute, NAMED).get(value) or value

    def _names_of(self, attribute: str, most: int | None = None) -> Mapping[str, str | None]:
        """What is known of the values that any rule has of the attribute, asked for once for all rules.

        most: the first ones of each match
        """
        asked = (attribute, most)
        if asked not in self._names:
            values = _values(self._rules, attribute, most)
            began = time.monotonic()
            self._names[asked] = (
                value_names(attribute, values, self._catalogue, self._seconds)
                if self._seconds > LEAST
                else {}
            )
            self._seconds -= time.monotonic() - began
        return self._names[asked]


def listed(named: Sequence[str], more: int) -> str:
    """Names, and how many more there are."""
    text = ", ".join(named)
    if more:
        text += " " + ngettext("and %(number)d more", "and %(number)d more", more) % {"number": more}
    return text


def _capped(given: Mapping[str, Any]) -> str:
    words = {**given, "attribute": attribute_name(given["attribute"])}
    if given.get("window"):
        return _("At most %(most)s of the same %(attribute)s among any %(window)s in a row") % words
    return _("At most %(most)s of the same %(attribute)s") % words


def _related(given: Mapping[str, Any]) -> str:
    words = {"attribute": attribute_name(given["attribute"])}
    if given["same"]:
        return _("Only products of the same %(attribute)s as the product on the page") % words
    return _("Only products of another %(attribute)s than the product on the page") % words


def _stocked(given: Mapping[str, Any]) -> str:
    words = {"pieces": int(given["pieces"])}
    if given.get("last"):
        return _("Products with less than %(pieces)s in stock are shown last") % words
    return _("Products with less than %(pieces)s in stock are left out") % words


def _window(given: Mapping[str, Any]) -> str:
    low, high = given.get("low"), given.get("high")
    if given.get("relative"):
        words = {"low": _share(low), "high": _share(high)}
        if high is None:
            return _("Only products of at least %(low)s of the price on the page") % words
        if low is None:
            return _("Only products of at most %(high)s of the price on the page") % words
        return _("Only products of %(low)s to %(high)s of the price on the page") % words
    words = {"low": _amount(low), "high": _amount(high)}
    if high is None:
        return _("Only products that cost %(low)s or more") % words
    if low is None:
        return _("Only products that cost %(high)s or less") % words
    return _("Only products that cost %(low)s to %(high)s") % words


SENTENCES = {Kind.CAP: _capped, Kind.RELATED: _related, Kind.PRICE: _window, Kind.STOCK: _stocked}


def _share(value: float | None) -> str:
    return "" if value is None else f"{_amount(value * 100)}{PER_CENT}"


def _amount(value: float | None) -> str:
    """Without decimals where it has none, else with two."""
    if value is None:
        return ""
    rounded = round(float(value), 2)
    return number_format(rounded, decimal_pos=0 if rounded.is_integer() else 2, use_l10n=True)


def _moment(at: datetime) -> str:
    with suppress(OverflowError):  # a day that not every time zone has
        at = timezone.localtime(at)
    return date_format(at, "SHORT_DATETIME_FORMAT")


def _items(rules: Iterable[PlacementRule]) -> Iterable[str]:
    """Every product that the rules name."""
    for rule in rules:
        if isinstance(rule.parameters, dict) and isinstance(rule.parameters.get("item"), str):
            yield rule.parameters["item"]
    yield from _values(rules, ITEM)


def _values(rules: Iterable[PlacementRule], attribute: str, most: int | None = None) -> list[str]:
    """The values that the rules name of an attribute, the first `most` of each match; each once."""
    found = (match["values"][:most] for match in _matches(rules) if match.get("attribute") == attribute)
    return list(dict.fromkeys(str(value) for values in found for value in values))


def _matches(rules: Iterable[PlacementRule]) -> Iterator[dict[str, Any]]:
    """What the rules say of products, as far as it can be read."""
    for rule in rules:
        given = rule.parameters if isinstance(rule.parameters, dict) else {}
        for match in (given, given.get("other"), given.get("on_screen")):
            if isinstance(match, dict) and isinstance(match.get("values"), list):
                yield match
