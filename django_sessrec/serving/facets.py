"""What a merchant's rules ask of a list: its products' attributes, and whether an order is its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import is_
from typing import Final

from django_sessrec.serving.candidate import Candidate
from django_sessrec.serving.merchant_rules import ITEM, Match
from django_sessrec.serving.rules import NO_ATTRIBUTES, RuleContext

NOWHERE: Final[frozenset[str]] = frozenset()


class Facets:
    """The attributes of one list's products, each asked for once, and which products have which value."""

    def __init__(self, context: RuleContext, items: Iterable[Candidate]) -> None:
        self._context = context
        self._with: dict[str, dict[str, set[str]]] = {}  # attribute -> value -> ids
        self._texts: dict[str, Mapping[str, frozenset[str]]] = {}  # id -> attribute -> values
        self._unknown: set[str] = set()  # ids whose attributes the catalogue could not tell
        self.current = context.on_screen
        for each in items:
            self.add(each)
        if self.current is not None:
            self.add(self.current)

    def add(self, candidate: Candidate) -> None:
        """Take up a resolved product."""
        item_id = candidate.item_id
        if item_id in self._texts:
            return
        attributes = self._context.attributes(candidate)
        if attributes is NO_ATTRIBUTES:
            self._unknown.add(item_id)
        texts = self._texts[item_id] = attributes.texts
        for attribute, values in texts.items():
            by_value = self._with.setdefault(attribute, {})
            for value in values:
                by_value.setdefault(value, set()).add(item_id)

    def matching(self, match: Match | None) -> Collection[str]:
        """The ids of the products that the rule is about."""
        if match is None:
            return NOWHERE
        if match.attribute == ITEM:
            return match.values
        by_value = self._with.get(match.attribute, {})
        found = [by_value[value] for value in by_value.keys() & match.values]
        return found[0] if len(found) == 1 else set().union(*found)

    def hidden_by(self, match: Match | None) -> Collection[str]:
        """The ids that a rule which hides these products keeps out: those that may be among them, too."""
        found = self.matching(match)
        return found if match is None or match.attribute == ITEM else self._unknown.union(found)

    def values(self, candidate: Candidate, attribute: str) -> frozenset[str]:
        self.add(candidate)
        return self._texts[candidate.item_id].get(attribute, NOWHERE)

    def price(self, candidate: Candidate | None) -> float | None:
        return None if candidate is None else self._context.attributes(candidate).price

    def stock(self, candidate: Candidate) -> float | None:
        return self._context.attributes(candidate).stock


def in_order(order: list[Candidate], items: list[Candidate]) -> list[Candidate]:
    """The list itself where the order is its own."""
    same = len(order) == len(items) and all(map(is_, order, items))
    return items if same else order
