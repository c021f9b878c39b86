"""A merchant's rules on places: never beside, at most so many of a kind, pinned and sponsored products.

They are settled together, place by place; each rule then takes out, under its own name, what it left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving.candidate import BY_HAND, PINNED, SPONSORED, Candidate
from django_sessrec.serving.facets import Facets, in_order
from django_sessrec.serving.families import families_of
from django_sessrec.serving.merchandising import Stage
from django_sessrec.serving.merchant_rules import BY_PLACE, Match, MerchantRule
from django_sessrec.serving.rules import Rule, RuleContext, guarded, one_of_a_family

Kind = PlacementRule.Kind
FAMILY: Final = one_of_a_family.__name__
ARRANGED: Final = 1.5  # times the list's length: some can't be described, and are not shown


def arranging(rules: Sequence[MerchantRule], facets: Facets) -> Iterator[Stage]:
    """The steps that settle which products stand beside which, and where the shop's own stand."""
    beside = [rule for rule in rules if rule.kind == Kind.BESIDE]
    caps = [rule for rule in rules if rule.kind == Kind.CAP]
    places = [rule for rule in rules if rule.kind in BY_PLACE]
    hidden = [rule.what for rule in rules if rule.kind == Kind.HIDE and rule.what]
    if not (beside or caps or places):
        return
    plan = Plan()

    def settle(items: list[Candidate], context: RuleContext) -> None:
        placed = _placed(places, hidden, context, facets)
        fixed = _fixed(placed)
        checks = [
            *(_NeverBeside(rule, facets, fixed) for rule in beside),
            *(_Cap(rule, facets, fixed) for rule in caps),
            *_other_variants(fixed.values(), items, context),
        ]
        plan.settle(items, checks, placed, fixed, int(context.placement.limit * ARRANGED))

    def settled(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        if not places:
            settle(items, context)
        here = {each.item_id for each in items}
        return in_order([each for each in plan.order if each.item_id in here], items)

    for number, rule in enumerate(places):
        yield Stage(rule.name, plan.placing(rule, None if number else settle), asks=not number)
    yield Stage("arranged", settled, asks=not places)
    for name in (*(rule.name for rule in (*beside, *caps)), FAMILY):
        yield Stage(name, plan.without(name))


@dataclass(slots=True)
class Plan:
    """An arrangement of one list: who stands where, and which rule left whom out."""

    order: list[Candidate] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # id -> the rule's name
    placed: dict[str, Candidate] = field(default_factory=dict)  # by the rule's name

    def settle(
        self,
        items: Sequence[Candidate],
        checks: Sequence[_Check],
        placed: Sequence[tuple[MerchantRule, Candidate]],
        fixed: Mapping[int, Candidate],
        enough: int,
    ) -> None:
        """Give each place the first product that no rule keeps from it.

        fixed: by place, from 0, the products that the merchant has placed; enough: places to settle
        """
        self.placed = {rule.name: candidate for rule, candidate in placed}
        own = {candidate.item_id for _rule, candidate in placed}
        waiting = [each for each in items if each.item_id not in own]
        while waiting and len(self.order) < enough:
            chosen = fixed.get(len(self.order))
            if chosen is None:
                chosen, kept_by = self._first(waiting, checks)
                if chosen is None:
                    self.left_out |= kept_by
                    break
                waiting.remove(chosen)
            self.order.append(chosen)
            for check in checks:
                check.count(chosen)
        self.order += [fixed[place] for place in sorted(fixed) if place >= len(self.order)]
        self.order += waiting  # of which each rule's own step takes what it left out

    def _first(
        self, waiting: Sequence[Candidate], checks: Sequence[_Check]
    ) -> tuple[Candidate | None, dict[str, str]]:
        """The first product that may come next; without one, the rule that keeps each from it."""
        kept_by: dict[str, str] = {}
        for each in waiting:
            if each.step not in BY_HAND:
                for check in checks:
                    if not check.lets(each):
                        kept_by[each.item_id] = check.name
                        break
                else:
                    return each, {}
            else:
                return each, {}
        return None, kept_by

    def without(self, name: str) -> Rule:
        """The step of the rule of this name, which leaves out what it kept from every place."""

        def leave_out(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
            if name not in self.left_out.values():
                return items
            return [each for each in items if self.left_out.get(each.item_id) != name]

        return leave_out

    def placing(
        self, rule: MerchantRule, settle: Callable[[list[Candidate], RuleContext], None] | None
    ) -> Rule:
        """The step that brings the rule's product to its place; the first such step settles the plan."""

        def place(items: list[Candidate], context: RuleContext) -> list[Candidate]:
            if settle is not None:
                settle(items, context)
            if (own := self.placed.get(rule.name)) is None:
                return items
            others = [each for each in items if each.item_id != own.item_id]
            return [*others[: rule.position - 1], own, *others[rule.position - 1 :]]

        return place


class _Check(ABC):
    """What one rule, known to traces by its name, asks of the next place."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def lets(self, candidate: Candidate) -> bool:
        """Whether the product may stand there."""

    @abstractmethod
    def count(self, candidate: Candidate) -> None:
        """Take in that it does."""


class _Cap(_Check):
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


class _NeverBeside(_Check):
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


class _OtherVariants(_Check):
    """No other variant of a family that the shop has placed a variant of."""

    def __init__(self, variants: Collection[str]) -> None:
        super().__init__(FAMILY)
        self.variants = variants

    def lets(self, candidate: Candidate) -> bool:
        return candidate.item_id not in self.variants

    def count(self, candidate: Candidate) -> None:
        """Nothing changes: what the shop has placed was known from the start."""


def _other_variants(
    placed: Collection[Candidate], items: Iterable[Candidate], context: RuleContext
) -> Iterator[_Check]:
    """The check of families, where there is anything to check."""
    families = families_of(context.catalogue) if placed else None
    if families is None:
        return
    family = families.of({each.item_id for each in (*placed, *items)})
    stand_for = {family[each.item_id] for each in placed if each.item_id in family}
    variants = {item_id for item_id, of_item in family.items() if of_item in stand_for}
    if variants:
        yield _OtherVariants(variants)


def _placed(
    rules: Iterable[MerchantRule], hidden: Iterable[Match], context: RuleContext, facets: Facets
) -> list[tuple[MerchantRule, Candidate]]:
    """The products that the merchant gives a place, as far as they may be shown here and now."""
    offered = context.look_up({rule.item_id for rule in rules})
    placed: dict[str, tuple[MerchantRule, Candidate]] = {}
    for rule in rules:
        if rule.item_id in placed:
            if rule.kind == Kind.SPONSORED:  # and pinned: it says that it is paid for
                first, candidate = placed[rule.item_id]
                placed[rule.item_id] = first, replace(candidate, step=SPONSORED, reason=SPONSORED)
        elif rule.item_id in offered:
            step = SPONSORED if rule.kind == Kind.SPONSORED else PINNED
            candidate = Candidate(rule.item_id, step, step, item=offered[rule.item_id])
            facets.add(candidate)
            if guarded([candidate], context):
                placed[rule.item_id] = rule, candidate
    if placed:
        for what in hidden:
            for item_id in placed.keys() & facets.matching(what):
                del placed[item_id]
    return list(placed.values())


def _fixed(placed: Iterable[tuple[MerchantRule, Candidate]]) -> dict[int, Candidate]:
    """The placed products by place, from 0; where two rules name one place, the later one's comes next."""
    fixed: dict[int, Candidate] = {}
    for rule, candidate in placed:
        place = rule.position - 1
        while place in fixed:
            place += 1
        fixed[place] = candidate
    return fixed
