"""What is asked of each product before it gets the next place of a list: the limits that hold between places.

Asked where a merchant's rules arrange a list, and where two lists are interleaved. Each check knows the
products that have their places from the start.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.rule_models import PlacementRule
from django_sessrec.safety import isolated
from django_sessrec.serving.candidate import Candidate
from django_sessrec.serving.facets import Facets
from django_sessrec.serving.families import families_of
from django_sessrec.serving.merchant_rules import MerchantRule
from django_sessrec.serving.rules import RuleContext, max_per_category, one_of_a_family

Kind = PlacementRule.Kind
FAMILY: Final = one_of_a_family.__name__
MOST: Final = max_per_category.__name__


def by_rules(
    rules: Iterable[MerchantRule], facets: Facets, fixed: Mapping[int, Candidate]
) -> Iterator[Check]:
    """What a merchant's rules ask; `fixed`: by place, from 0, the products that have it already."""
    for rule in rules:
        if rule.kind == Kind.BESIDE:
            yield _NeverBeside(rule, facets, fixed)
        elif rule.kind == Kind.CAP:
            yield _Cap(rule, facets, fixed)


def by_limits(
    items: Iterable[Candidate], placed: Collection[Candidate], context: RuleContext
) -> Iterator[Check]:
    """One of a family, and the placement's limit per category; `placed` count from the start."""
    families = families_of(context.catalogue)
    if families is not None and (family := families.of({each.item_id for each in items})):
        yield _OneOfAFamily(family, placed)
    if context.placement.max_per_category is not None:
        yield _MostOfACategory(context.placement.max_per_category, placed, context.catalogue)


class Check(ABC):
    """What one rule, known to traces by its name, asks of the next place."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def lets(self, candidate: Candidate) -> bool:
        """Whether the product may stand there."""

    @abstractmethod
    def count(self, candidate: Candidate) -> None:
        """Take in that it does."""


class _Cap(Check):
    """At most so many products with one value among so many places in a row, fixed ones ahead included."""

    def __init__(self, rule: MerchantRule, facets: Facets, fixed: Mapping[int, Candidate]) -> None:
        super().__init__(rule.name)
        self.rule, self.facets = rule, facets
        self.so_far: list[frozenset[str]] = []  # the values of each place
        self.inside: defaultdict[str, int] = defaultdict(int)  # in places that share a window with the next
        self.ahead: dict[str, list[int]] = {}  # by value, the places of fixed products
        for place, each in sorted(fixed.items()):
            for value in self._values(each):
                self.ahead.setdefault(value, []).append(place)

    def lets(self, candidate: Candidate) -> bool:
        for value in self._values(candidate):
            if self.inside[value] >= self.rule.most or (value in self.ahead and not self._fits(value)):
                return False
        return True

    def count(self, candidate: Candidate) -> None:
        self.so_far.append(self._values(candidate))
        for value in self.so_far[-1]:
            self.inside[value] += 1
        if self.rule.window and (left := len(self.so_far) - self.rule.window) >= 0:
            for value in self.so_far[left]:
                self.inside[value] -= 1

    def _values(self, candidate: Candidate) -> frozenset[str]:
        return self.facets.values(candidate, self.rule.attribute)

    def _fits(self, value: str) -> bool:
        """Whether the windows that hold the next place and a fixed product ahead have room for the value."""
        here, most = len(self.so_far), self.rule.most
        width = self.rule.window or here + self.ahead[value][-1] + 1
        ahead = [place for place in self.ahead[value] if here < place < here + width]
        for end in ahead:
            start = max(0, end - width + 1)
            before = sum(value in values for values in self.so_far[start:])
            if before + sum(start <= place <= end for place in ahead) + 1 > most:
                return False
        return True


class _NeverBeside(Check):
    """Two kinds of products of which a list, and the page it stands on, have one at most."""

    def __init__(self, rule: MerchantRule, facets: Facets, fixed: Mapping[int, Candidate]) -> None:
        super().__init__(rule.name)
        self.sides = facets.matching(rule.what), facets.matching(rule.other)
        self.has = [False, False]
        for each in fixed.values():
            self.count(each)
        if facets.current is not None:
            self.count(facets.current)

    def lets(self, candidate: Candidate) -> bool:
        one, other = (candidate.item_id in side for side in self.sides)
        return not ((one and self.has[1]) or (other and self.has[0]))

    def count(self, candidate: Candidate) -> None:
        self.has = [had or candidate.item_id in side for had, side in zip(self.has, self.sides, strict=True)]


class _OneOfAFamily(Check):
    """One variant of a family; what is placed stands for its family."""

    def __init__(self, family: Mapping[str, str], placed: Iterable[Candidate]) -> None:
        super().__init__(FAMILY)
        self.family = family
        self.shown: set[str] = set()
        for each in placed:
            self.count(each)

    def lets(self, candidate: Candidate) -> bool:
        return self.family.get(candidate.item_id) not in self.shown

    def count(self, candidate: Candidate) -> None:
        if family := self.family.get(candidate.item_id):
            self.shown.add(family)


class _MostOfACategory(Check):
    """The limit per category, which the products that the merchant has placed use up first."""

    def __init__(self, most: int, placed: Collection[Candidate], catalogue: TextCatalogue) -> None:
        super().__init__(MOST)
        self.most, self.catalogue = most, catalogue
        self.placed = {each.item_id for each in placed}
        self.shown = Counter(category for each in placed for category in self._categories(each))

    def lets(self, candidate: Candidate) -> bool:
        return all(self.shown[category] < self.most for category in self._categories(candidate))

    def count(self, candidate: Candidate) -> None:
        if candidate.item_id not in self.placed:
            self.shown.update(self._categories(candidate))

    def _categories(self, candidate: Candidate) -> set[str]:
        with isolated("tell an item's category", savepoints=False):
            return self.catalogue.categories(candidate.item)
        return set()
