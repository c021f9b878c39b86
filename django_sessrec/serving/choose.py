"""From candidates to a list: every rule in turn, and what each of them did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from operator import is_
from typing import Final

from django.http import HttpRequest

from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.safety import isolated
from django_sessrec.serving.fallback import BY_HAND, Candidate, candidates
from django_sessrec.serving.merchandising import arranging, in_force, refill, sifting
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.rules import (
    BY_CATALOGUE,
    BY_ID,
    CAPPING,
    LAST,
    PROPOSING,
    Rule,
    RuleContext,
    own_rules,
)
from django_sessrec.serving.visit import Visit

SPARE: Final = 2  # times the list that is looked up at once: replaces sold-out items without a second query
SPARE_AGAIN: Final = 12  # times the list that is looked up in all where that was not enough


@dataclass(frozen=True, slots=True)
class Choice:
    """A list as it was chosen, and what was not: each with the trace of what every rule did to it."""

    items: list[Candidate] = field(default_factory=list)  # best first; `item` and `fields` are set
    dropped: list[Candidate] = field(default_factory=list)  # the last entry of the trace says by which rule

    @property
    def answer(self) -> Candidate | None:
        """The first item that a step of the fallback brought, else the first that the shop put there."""
        by_step = (each for each in self.items if each.step not in BY_HAND)
        return next(by_step, self.items[0] if self.items else None)


def choose(
    visit: Visit,
    placement: Placement,
    *,
    request: HttpRequest | None = None,
    catalogue: TextCatalogue | None = None,
) -> Choice:
    """The list for this visit under this placement. Stores nothing and sends nothing.

    Candidates are taken from the fallback's steps as far as they are needed; the shop's rules see those
    that the live catalogue offers, at least twice the list's length while there are so many.

    Raises what the shop's catalogue raises in `resolve` and `sensitive`. A rule of the shop's own that
    raises is logged and skipped; an item that can't be described is left out.

    `request` is handed to the catalogue and to the rules, and not needed otherwise.
    """
    catalogue = catalogue or get_catalogue()
    context = RuleContext(visit, placement, catalogue, request)
    own = list(own_rules(placement))
    proposed = candidates(visit, placement, catalogue)
    taken: dict[str, Candidate] = {}
    choice = Choice()
    for times in (SPARE, SPARE_AGAIN):
        wanted, had = placement.limit * times, len(taken)
        first = _by_id(taken, context)
        while len(first.items) < wanted and _take(taken, proposed, wanted - len(first.items)):
            first = _by_id(taken, context)
        if times > SPARE and len(taken) == had:  # no step has anything left
            break
        choice = _by_rules(first, own, context)
        if len(choice.items) >= placement.limit:
            break
    if len(choice.items) < placement.limit and placement.merchandising.rules:
        choice = _refilled(choice, context)
    return choice


def _take(taken: dict[str, Candidate], proposed: Iterable[Candidate], number: int) -> bool:
    """Whether there were more; an item that several steps propose is the first one's."""
    batch = list(islice(proposed, number))
    for each in batch:
        taken.setdefault(each.item_id, each)
    return bool(batch)


def _by_id(taken: dict[str, Candidate], context: RuleContext) -> Choice:
    return _applied((*PROPOSING, *BY_ID), Choice(list(taken.values())), context)


def _by_rules(first: Choice, own: list[tuple[str, Rule]], context: RuleContext) -> Choice:
    choice = _applied(BY_CATALOGUE, first, context)
    for name, rule in own:
        with isolated(f"apply the rule {name!r} to the placement {context.placement.name!r}"):
            choice = _with_trace(name, choice, _once_each(rule(list(choice.items), context)))
    if own:  # what they added is judged as all the rest was
        choice = _applied((*BY_ID, *BY_CATALOGUE), choice, context)
    applying = in_force(context)
    choice = _staged(sifting(applying), choice, context)
    choice = _applied(CAPPING, choice, context)
    choice = _staged(arranging(applying, context), choice, context)
    return _applied(LAST, choice, context)


def _staged(stages: Iterable[tuple[str, Rule]], choice: Choice, context: RuleContext) -> Choice:
    """The list after the merchant's rules; one that can't be applied is logged and skipped."""
    for name, rule in stages:
        with isolated("apply a merchant's rule", about=name):
            choice = _with_trace(name, choice, rule(choice.items, context))
    return choice


def _refilled(choice: Choice, context: RuleContext) -> Choice:
    """A short list with what the merchant's rules need not leave out, until it is full."""
    filled = [*choice.items, *refill(choice.items, choice.dropped, context)]
    for rule in LAST:
        filled = rule(filled, context)
    here = {each.item_id for each in filled}
    dropped = [each for each in choice.dropped if each.item_id not in here]
    return _with_trace("refilled", Choice(choice.items, dropped), filled)


def _applied(rules: Iterable[Rule], choice: Choice, context: RuleContext) -> Choice:
    for rule in rules:
        choice = _with_trace(rule.__name__, choice, rule(choice.items, context))
    return choice


def _once_each(items: Iterable[Candidate]) -> list[Candidate]:
    once: dict[str, Candidate] = {}
    for each in items:
        once.setdefault(each.item_id, each)
    return list(once.values())


def _with_trace(rule: str, choice: Choice, after: list[Candidate]) -> Choice:
    """The list that a rule made of the one before, with the rule's name on each item that it touched."""
    before = choice.items
    if len(after) == len(before) and all(map(is_, after, before)):
        return choice
    here = {each.item_id for each in after}
    known = {each.item_id for each in before}
    rank = {each.item_id: n for n, each in enumerate(each for each in before if each.item_id in here)}
    items, survivors = [], 0
    for each in after:
        if each.item_id not in known:
            each = each.traced(rule, "added")
        else:
            if places := rank[each.item_id] - survivors:
                each = each.traced(rule, "moved", places)
            survivors += 1
        items.append(each)
    dropped = [each.traced(rule, "dropped") for each in before if each.item_id not in here]
    return Choice(items, [*choice.dropped, *dropped])
