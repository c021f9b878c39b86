"""A merchant's rules on places: never beside, at most so many of a kind, pinned and sponsored products.

They are settled together, place by place; each rule then takes out, under its own name, what it left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving.candidate import BY_HAND, PINNED, SPONSORED, Candidate
from django_sessrec.serving.facets import Facets, in_order
from django_sessrec.serving.merchandising import Stage
from django_sessrec.serving.merchant_rules import BY_PLACE, Match, MerchantRule
from django_sessrec.serving.place_checks import FAMILY, MOST, Check, by_limits, by_rules
from django_sessrec.serving.rules import Rule, RuleContext, guarded

Kind = PlacementRule.Kind
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
        paid = {each.item_id for each in items if each.step == SPONSORED}
        placed = _placed(places, hidden, paid, context, facets)
        fixed = _fixed(placed)
        checks = [*by_rules([*beside, *caps], facets, fixed)]
        if fixed:  # without any, the list keeps these limits already
            checks += by_limits([*items, *fixed.values()], fixed.values(), context)
        plan.settle(items, checks, placed, fixed, int(context.placement.limit * ARRANGED))

    def settled(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        if not places:
            settle(items, context)
        here = {each.item_id for each in items}
        return in_order([each for each in plan.order if each.item_id in here], items)

    for number, rule in enumerate(places):
        yield Stage(rule.name, plan.placing(rule, None if number else settle), asks=not number)
    yield Stage("arranged", settled, asks=not places)
    for name in (*(rule.name for rule in (*beside, *caps)), FAMILY, MOST):
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
        checks: Sequence[Check],
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
        self, waiting: Sequence[Candidate], checks: Sequence[Check]
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


def at_their_places(items: list[Candidate], rules: Iterable[MerchantRule]) -> list[Candidate]:
    """The list with the products that the rules have placed at their places, now that it is longer."""
    here = {each.item_id: each for each in items if each.step in BY_HAND}
    fixed = _fixed((rule, here.pop(rule.item_id)) for rule in rules if rule.item_id in here)
    own = {each.item_id for each in fixed.values()}
    placed = [each for each in items if each.item_id not in own]
    for place, each in sorted(fixed.items()):
        placed.insert(place, each)
    return placed


def _placed(
    rules: Iterable[MerchantRule],
    hidden: Iterable[Match],
    paid: Collection[str],
    context: RuleContext,
    facets: Facets,
) -> list[tuple[MerchantRule, Candidate]]:
    """The products that the merchant gives a place, as far as they may be shown here and now.

    paid: ids that stand in the list because somebody pays for them, and say so at their new place, too
    """
    offered = context.look_up({rule.item_id for rule in rules})
    placed: dict[str, tuple[MerchantRule, Candidate]] = {}
    for rule in rules:
        if rule.item_id in placed:
            if rule.kind == Kind.SPONSORED:  # and pinned: it says that it is paid for
                first, candidate = placed[rule.item_id]
                placed[rule.item_id] = first, replace(candidate, step=SPONSORED, reason=SPONSORED)
        elif rule.item_id in offered:
            step = SPONSORED if rule.kind == Kind.SPONSORED or rule.item_id in paid else PINNED
            candidate = Candidate(rule.item_id, step, step, item=offered[rule.item_id])
            facets.add(candidate)
            if guarded([candidate], context):
                placed[rule.item_id] = rule, candidate
    if placed:
        for what in hidden:
            for item_id in placed.keys() & facets.hidden_by(what):
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
