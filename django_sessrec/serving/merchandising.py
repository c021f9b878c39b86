"""A merchant's rules applied to a list: each is one step of the pipeline, under its own name in the traces.

Order: hide; same or other brand, price window, stock; up, down; then the shop's limit per category; then
never beside, at most so many of a kind, and the places of pinned and sponsored products (arranging.py).
What is hidden never shows. Products that the shop placed itself obey no other rule, and count for all of
them: no other variant of their families is shown. A list that would stay short gets back what the SOFT rules
left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving.candidate import BY_HAND, Candidate
from django_sessrec.serving.facets import NOWHERE, Facets, in_order
from django_sessrec.serving.merchant_rules import CATEGORY, ITEM, SOFT, Match, MerchantRule
from django_sessrec.serving.rules import Rule, RuleContext

Kind = PlacementRule.Kind


class Stage(NamedTuple):
    """A step of a merchant's rules, under the name that traces call it.

    asks: whether it may ask the shop's catalogue, and so the database
    """

    name: str
    rule: Rule
    asks: bool = False


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


def sifting(rules: Iterable[MerchantRule], facets: Facets) -> Iterator[Stage]:
    """The steps that leave products out or move them up and down."""
    for rule in rules:
        match rule.kind:
            case Kind.HIDE:
                yield Stage(rule.name, _hide(rule, facets))
            case Kind.RELATED | Kind.PRICE | Kind.STOCK:
                yield Stage(rule.name, _sift(rule, facets))
            case Kind.BOOST | Kind.BURY:
                yield Stage(rule.name, _move(rule, facets))


def refill(items: Sequence[Candidate], dropped: Iterable[Candidate], context: RuleContext) -> list[Candidate]:
    """What the SOFT rules left out, the last rule's first: for a list that is short without it."""
    soft = [rule.name for rule in context.placement.merchandising.rules if rule.kind in SOFT]
    by_rule: dict[str, list[Candidate]] = {name: [] for name in soft}
    here = {each.item_id for each in items}
    for each in dropped:
        if each.trace and each.item_id not in here:
            by_rule.get(each.trace[-1].rule, []).append(each)
    return [each for name in reversed(soft) for each in by_rule[name]]


def _hide(rule: MerchantRule, facets: Facets) -> Rule:
    def hide(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
        hidden = facets.hidden_by(rule.what)
        return _those_left([each for each in items if each.item_id not in hidden], items) if hidden else items

    return hide


def _sift(rule: MerchantRule, facets: Facets) -> Rule:
    tests = {Kind.RELATED: _related, Kind.PRICE: _priced, Kind.STOCK: _stocked}
    unfit = tests[Kind(rule.kind)]

    def sift(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
        out = {each.item_id for each in unfit(rule, items, facets) if each.step not in BY_HAND}
        if not out:
            return items
        kept = [each for each in items if each.item_id not in out]
        if rule.last:
            kept += [each for each in items if each.item_id in out]
        return in_order(kept, items)

    return sift


def _move(rule: MerchantRule, facets: Facets) -> Rule:
    """Up or down among the products that the shop did not place itself; the order of those moved stays."""
    sign = -1 if rule.kind == Kind.BOOST else 1

    def move(items: list[Candidate], _context: RuleContext) -> list[Candidate]:
        about = facets.matching(rule.what)
        moved = [each.item_id in about and each.step not in BY_HAND for each in items]
        if not any(moved):
            return items
        # Half a place further, so that a moved product passes the one whose place it takes.
        far = sign * ((rule.places or len(items)) + 0.5)
        first = 0
        while first < len(items) and items[first].step in BY_HAND:
            first += 1
        keys = [n + far if here else n for n, here in enumerate(moved)]
        after = sorted(range(first, len(items)), key=keys.__getitem__)
        return in_order(items[:first] + [items[n] for n in after], items)

    return move


def _related(rule: MerchantRule, items: Iterable[Candidate], facets: Facets) -> Iterator[Candidate]:
    """Those whose brand or category is not the same as, or not another than, the product's on the page."""
    wanted = facets.values(facets.current, rule.attribute) if facets.current is not None else NOWHERE
    if wanted:
        same = facets.matching(Match(rule.attribute, wanted))
        yield from (each for each in items if (each.item_id in same) != rule.same)


def _priced(rule: MerchantRule, items: Iterable[Candidate], facets: Facets) -> Iterator[Candidate]:
    """Those whose price is known and outside the window."""
    times = facets.price(facets.current) if rule.relative else 1.0
    if times is None:
        return
    low, high = ((default if end is None else end * times) for end, default in _ends(rule))
    for each in items:
        price = facets.price(each)
        if price is not None and not low <= price <= high:
            yield each


def _ends(rule: MerchantRule) -> tuple[tuple[float | None, float], tuple[float | None, float]]:
    return (rule.low, float("-inf")), (rule.high, float("inf"))


def _stocked(rule: MerchantRule, items: Iterable[Candidate], facets: Facets) -> Iterator[Candidate]:
    """Those of which there is known to be too little."""
    for each in items:
        stock = facets.stock(each)
        if stock is not None and stock < rule.pieces:
            yield each


def _those_left(kept: list[Candidate], items: list[Candidate]) -> list[Candidate]:
    """The list itself where nothing was left out: a step that changes nothing leaves no trace."""
    return kept if len(kept) < len(items) else items


def _on_screen(match: Match, context: RuleContext) -> bool:
    if match.attribute == ITEM:
        return context.visit.current in match.values
    if match.attribute == CATEGORY and not match.values.isdisjoint(context.visit.categories):
        return True  # the category's own page
    current = context.on_screen
    if current is None:
        return False
    return not context.attributes(current).texts.get(match.attribute, NOWHERE).isdisjoint(match.values)
