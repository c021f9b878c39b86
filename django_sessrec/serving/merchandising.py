"""A merchant's rules applied to a list: each is one step of the pipeline, under its own name in the traces.

Order: hide; same or other brand, price window, stock; up, down; then the shop's limit per category; then
never beside, at most so many of a kind, and the places of pinned and sponsored products, which are settled
together. What is hidden never shows. Products that the shop placed itself obey no other rule, and count for
all of them. A list that would stay short gets back what the SOFT rules left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import is_

from django_sessrec.models import PlacementRule
from django_sessrec.serving.fallback import BY_HAND, PINNED, SPONSORED, Candidate
from django_sessrec.serving.merchant_rules import BY_PLACE, ITEM, SOFT, Match, MerchantRule
from django_sessrec.serving.rules import Rule, RuleContext, guarded

Kind = PlacementRule.Kind
Stage = tuple[str, Rule]


def in_force(context: RuleContext) -> list[MerchantRule]:
    """The rules that apply to this visit, on this page, for this customer, now."""
    at = context.visit.at
    return [
        rule
        for rule in context.placement.merchandising.rules
        if rule.in_force(at)
        and (not rule.group or rule.group == context.group)
        and (rule.on_screen is None or _on_screen(rule.on_screen, context))
    ]


def sifting(rules: Iterable[MerchantRule]) -> Iterator[Stage]:
    """The steps that leave products out or move them up and down."""
    for rule in rules:
        match rule.kind:
            case Kind.HIDE:
                yield rule.name, _hide(rule)
            case Kind.RELATED | Kind.PRICE | Kind.STOCK:
                yield rule.name, _sift(rule)
            case Kind.BOOST | Kind.BURY:
                yield rule.name, _move(rule)


def arranging(rules: Sequence[MerchantRule], context: RuleContext) -> Iterator[Stage]:
    """The steps that settle which products stand beside which, and where the shop's own stand."""
    beside = [rule for rule in rules if rule.kind == Kind.BESIDE]
    caps = [rule for rule in rules if rule.kind == Kind.CAP]
    places = [rule for rule in rules if rule.kind in BY_PLACE]
    hidden = [rule.what for rule in rules if rule.kind == Kind.HIDE and rule.what]
    if not (beside or caps or places):
        return
    plan = Plan(context)

    def settled(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
        plan.settle(items, beside, caps, _placed(places, hidden, context))
        return _in_order([each for each in plan.order if each.item_id in plan.present], items)

    yield "arranged", settled
    for rule in (*beside, *caps):
        yield rule.name, plan.without(rule)
    for rule in places:
        yield rule.name, plan.with_(rule)


def refill(items: Sequence[Candidate], dropped: Iterable[Candidate], context: RuleContext) -> list[Candidate]:
    """What the SOFT rules left out, the last rule's first: for a list that is short without it."""
    soft = [rule.name for rule in context.placement.merchandising.rules if rule.kind in SOFT]
    by_rule: dict[str, list[Candidate]] = {name: [] for name in soft}
    here = {each.item_id for each in items}
    for each in dropped:
        if each.trace and each.item_id not in here:
            by_rule.get(each.trace[-1].rule, []).append(each)
    return [each for name in reversed(soft) for each in by_rule[name]]


def _those_left(kept: list[Candidate], items: list[Candidate]) -> list[Candidate]:
    """The list itself where nothing was left out: a step that changes nothing leaves no trace."""
    return kept if len(kept) < len(items) else items


def _in_order(order: list[Candidate], items: list[Candidate]) -> list[Candidate]:
    """The list itself where the order is its own."""
    same = len(order) == len(items) and all(map(is_, order, items))
    return items if same else order


@dataclass(slots=True)
class Plan:
    """An arrangement of one list: who stands where, and which rule left whom out."""

    context: RuleContext
    order: list[Candidate] = field(default_factory=list)
    present: set[str] = field(default_factory=set)  # ids in the list as the steps so far have made it
    left_out: dict[str, str] = field(default_factory=dict)  # id -> the rule's name
    placed: dict[str, Candidate] = field(default_factory=dict)  # by the rule's name

    def settle(
        self,
        items: Sequence[Candidate],
        beside: Sequence[MerchantRule],
        caps: Sequence[MerchantRule],
        placed: Sequence[tuple[MerchantRule, Candidate]],
    ) -> None:
        """Give each place the first product that no rule keeps from it."""
        own = {candidate.item_id for _rule, candidate in placed}
        waiting = [each for each in items if each.item_id not in own]
        self.present = {each.item_id for each in items}
        self.placed = {rule.name: candidate for rule, candidate in placed}
        fixed: dict[int, Candidate] = {}
        for rule, candidate in placed:
            place = rule.position - 1
            while place in fixed:  # two rules name one place: the later one's product comes next
                place += 1
            fixed[place] = candidate
        checks = [_Cap(rule, self.context, fixed) for rule in caps]
        never = [_NeverBeside(rule, self.context, fixed) for rule in beside]
        while waiting or fixed:
            place = len(self.order)
            chosen = fixed.pop(place, None)
            if chosen is None:
                chosen, why = self._first(waiting, [*never, *checks])
                if chosen is None:
                    self.left_out |= why
                    break
                waiting.remove(chosen)
            self.order.append(chosen)
            for check in (*never, *checks):
                check.count(chosen)
        self.order += [fixed[place] for place in sorted(fixed)]
        self.order += waiting  # left out, each by the rule's own step

    def _first(
        self, waiting: Sequence[Candidate], checks: Sequence[_Check]
    ) -> tuple[Candidate | None, dict[str, str]]:
        """The first product that may come next; without one, the rule that keeps each from it."""
        why = {}
        for each in waiting:
            kept_by = next((check.rule.name for check in checks if not check.lets(each)), None)
            if kept_by is None or each.step in BY_HAND:
                return each, {}
            why[each.item_id] = kept_by
        return None, why

    def without(self, rule: MerchantRule) -> Rule:
        def leave_out(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
            kept = [each for each in items if self.left_out.get(each.item_id) != rule.name]
            return _those_left(kept, items)

        return leave_out

    def with_(self, rule: MerchantRule) -> Rule:
        def place(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
            if (own := self.placed.get(rule.name)) is None:
                return items
            here = {each.item_id for each in items} | {own.item_id}
            return _in_order([each for each in self.order if each.item_id in here], items)

        return place


class _Check:
    """What one rule asks of the next place."""

    def __init__(self, rule: MerchantRule, context: RuleContext, fixed: Mapping[int, Candidate]) -> None:
        self.rule, self.context, self.fixed = rule, context, fixed

    def lets(self, candidate: Candidate) -> bool:
        raise NotImplementedError

    def count(self, candidate: Candidate) -> None:
        raise NotImplementedError


class _Cap(_Check):
    """At most so many products with one value among so many places in a row, fixed ones ahead included."""

    def __init__(self, rule: MerchantRule, context: RuleContext, fixed: Mapping[int, Candidate]) -> None:
        super().__init__(rule, context, fixed)
        self.so_far: list[frozenset[str]] = []  # the values of each place

    def lets(self, candidate: Candidate) -> bool:
        values = self._values(candidate)
        return not values or all(self._fits(value) for value in values)

    def count(self, candidate: Candidate) -> None:
        self.so_far.append(self._values(candidate))

    def _values(self, candidate: Candidate) -> frozenset[str]:
        return self.context.attributes(candidate).texts.get(self.rule.attribute, frozenset())

    def _fits(self, value: str) -> bool:
        most, here = self.rule.most, len(self.so_far)
        if not self.rule.window:
            coming = sum(value in self._values(each) for each in self.fixed.values())
            return sum(value in values for values in self.so_far) + coming < most
        width = self.rule.window
        ahead = [
            place
            for place, each in self.fixed.items()
            if place < here + width and value in self._values(each)
        ]
        # The windows that hold this place: each ends here, or at a fixed product ahead that counts.
        for end in (here, *ahead):
            start = max(0, end - width + 1)
            inside = sum(value in values for values in self.so_far[start:])
            if inside + sum(start <= place <= end for place in ahead) + 1 > most:
                return False
        return True


class _NeverBeside(_Check):
    """Two kinds of products of which a list has one at most."""

    def __init__(self, rule: MerchantRule, context: RuleContext, fixed: Mapping[int, Candidate]) -> None:
        super().__init__(rule, context, fixed)
        self.has = [False, False]
        for each in fixed.values():
            self.count(each)
        if (current := context.on_screen) is not None:
            self.count(current)

    def lets(self, candidate: Candidate) -> bool:
        one, other = self._sides(candidate)
        return not ((one and self.has[1]) or (other and self.has[0]))

    def count(self, candidate: Candidate) -> None:
        self.has = [had or here for had, here in zip(self.has, self._sides(candidate), strict=True)]

    def _sides(self, candidate: Candidate) -> tuple[bool, bool]:
        what, other = self.rule.what, self.rule.other
        return (
            what is not None and _matches(what, candidate, self.context),
            other is not None and _matches(other, candidate, self.context),
        )


def _placed(
    rules: Iterable[MerchantRule], hidden: Sequence[Match], context: RuleContext
) -> list[tuple[MerchantRule, Candidate]]:
    """The products that the merchant gives a place, as far as they may be shown here and now."""
    asked = {rule.item_id for rule in rules}
    offered = context.look_up(asked)
    placed: dict[str, tuple[MerchantRule, Candidate]] = {}
    for rule in rules:
        if rule.item_id in offered and rule.item_id not in placed:
            step = SPONSORED if rule.kind == Kind.SPONSORED else PINNED
            candidate = Candidate(rule.item_id, step, step, item=offered[rule.item_id])
            if guarded([candidate], context) and not any(
                _matches(each, candidate, context) for each in hidden
            ):
                placed[rule.item_id] = rule, candidate
        elif (
            rule.kind == Kind.SPONSORED and rule.item_id in placed
        ):  # and pinned: it says that it is paid for
            first, candidate = placed[rule.item_id]
            placed[rule.item_id] = first, replace(candidate, step=SPONSORED, reason=SPONSORED)
    return list(placed.values())


def _hide(rule: MerchantRule) -> Rule:
    what = rule.what

    def hide(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        kept = [each for each in items if what is None or not _matches(what, each, context)]
        return _those_left(kept, items)

    return hide


def _sift(rule: MerchantRule) -> Rule:
    tests = {Kind.RELATED: _related, Kind.PRICE: _priced, Kind.STOCK: _stocked}
    test = tests[Kind(rule.kind)]

    def sift(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        fits = [each.step in BY_HAND or test(rule, each, context) for each in items]
        if all(fits):
            return items
        kept = [each for each, fit in zip(items, fits, strict=True) if fit]
        if rule.last:
            kept += [each for each, fit in zip(items, fits, strict=True) if not fit]
        return kept

    return sift


def _move(rule: MerchantRule) -> Rule:
    """Up or down among the products that the shop did not place itself; the order of those moved stays."""
    sign = -1 if rule.kind == Kind.BOOST else 1
    what, by = rule.what, rule.places

    def move(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        if what is None:
            return items
        far = by or len(items)
        # Half a place further, so that a moved product passes the one whose place it takes.
        keys = [
            n + sign * (far + 0.5) if each.step not in BY_HAND and _matches(what, each, context) else n
            for n, each in enumerate(items)
        ]
        if keys == list(range(len(items))):
            return items
        first = 0
        while first < len(items) and items[first].step in BY_HAND:
            first += 1
        moved = sorted(range(first, len(items)), key=keys.__getitem__)
        return _in_order(items[:first] + [items[n] for n in moved], items)

    return move


def _related(rule: MerchantRule, candidate: Candidate, context: RuleContext) -> bool:
    """Whether brand or category is the same as, or another than, that of the product on the page."""
    if (current := context.on_screen) is None:
        return True
    wanted = context.attributes(current).texts.get(rule.attribute, frozenset())
    if not wanted:
        return True
    return rule.same != wanted.isdisjoint(
        context.attributes(candidate).texts.get(rule.attribute, frozenset())
    )


def _priced(rule: MerchantRule, candidate: Candidate, context: RuleContext) -> bool:
    price = context.attributes(candidate).price
    times = 1.0
    if rule.relative:
        current = context.on_screen
        on_screen = context.attributes(current).price if current is not None else None
        if on_screen is None:
            return True
        times = on_screen
    if price is None:
        return True
    return (rule.low is None or price >= rule.low * times) and (
        rule.high is None or price <= rule.high * times
    )


def _stocked(rule: MerchantRule, candidate: Candidate, context: RuleContext) -> bool:
    stock = context.attributes(candidate).stock
    return stock is None or stock >= rule.pieces


def _matches(match: Match, candidate: Candidate, context: RuleContext) -> bool:
    if match.attribute == ITEM:
        return candidate.item_id in match.values
    texts = context.attributes(candidate).texts.get(match.attribute)
    return texts is not None and not texts.isdisjoint(match.values)


def _on_screen(match: Match, context: RuleContext) -> bool:
    if match.attribute == ITEM:
        return context.visit.current in match.values
    return context.on_screen is not None and _matches(match, context.on_screen, context)
