"""From candidates to a list: every rule in turn, and what each of them did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from django.http import HttpRequest

from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.safety import isolated
from django_sessrec.serving.after_order import NOTHING, settled
from django_sessrec.serving.arranging import arranging, at_their_places
from django_sessrec.serving.candidate import (
    ADDED,
    BOUGHT_TOGETHER,
    BY_HAND,
    DROPPED,
    MOVED,
    RECENTLY_VIEWED,
    SPONSORED,
    Candidate,
    Trace,
)
from django_sessrec.serving.facets import Facets
from django_sessrec.serving.fallback import candidates
from django_sessrec.serving.families import families_of
from django_sessrec.serving.interleaving import by_hand_of, interleaved, teams
from django_sessrec.serving.merchandising import Stage, in_force, refill, sifting
from django_sessrec.serving.merchant_rules import BY_PLACE
from django_sessrec.serving.model_candidates import AT_FIRST, SPARE, UNDER_RULES
from django_sessrec.serving.place_checks import Check, by_limits, by_rules
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.rules import (
    BY_CATALOGUE,
    BY_ID,
    CAPPING,
    LAST,
    Rule,
    RuleContext,
    own_rules,
    rules_by_id,
)
from django_sessrec.serving.variety import WINDOW, explored, rotated, varied
from django_sessrec.serving.visit import Visit

AGAIN_UNDER_RULES: Final = 6  # times the list, next, where a merchant's rules leave many out
SPARE_AGAIN: Final = 12  # times the list that is looked up in all where that was not enough

VARYING: Final[tuple[Rule, ...]] = (varied, rotated, explored)
REFILLED: Final = "refilled"  # in traces: back in a list that rules had left short


class Effect(NamedTuple):
    """A list before and after a rule that may have changed it."""

    rule: str
    before: list[Candidate]
    after: list[Candidate]


@dataclass(frozen=True)
class Choice:
    """A list as it was chosen, and what was not: each with the trace of what every rule did to it.

    A page shows `chosen`. The traces of `items` and `dropped` are worked out from `effects` when somebody
    asks for them.
    """

    chosen: list[Candidate] = field(default_factory=list)  # best first; `item` and `fields` are set
    effects: list[Effect] = field(default_factory=list)

    @cached_property
    def answer(self) -> Candidate | None:
        """The first item that a step of the fallback brought, else the first that the shop put there."""
        by_step = (each for each in self.chosen if each.step not in BY_HAND)
        return next(by_step, self.chosen[0] if self.chosen else None)

    @cached_property
    def items(self) -> list[Candidate]:
        """`chosen`, each with its trace."""
        return [replace(each, trace=self.traces.get(each.item_id, ())) for each in self.chosen]

    @property
    def dropped(self) -> list[Candidate]:
        """What is not in the list; the last entry of each trace says by which rule."""
        return self._traced[1]

    @property
    def traces(self) -> dict[str, tuple[Trace, ...]]:
        """By id, what the rules did to each item of the list; an item that none touched is not in it."""
        return self._traced[0]

    @cached_property
    def _traced(self) -> tuple[dict[str, tuple[Trace, ...]], list[Candidate]]:
        traces: dict[str, tuple[Trace, ...]] = {}
        dropped: dict[str, Candidate] = {}
        for effect in self.effects:
            gone = {each.item_id: each for each in effect.before}
            for item_id, step in _done(effect):
                traces[item_id] = (*traces.get(item_id, ()), step)
                if step.what == DROPPED:
                    dropped[item_id] = replace(gone[item_id], trace=traces.pop(item_id))
                elif step.what == ADDED and (back := dropped.pop(item_id, None)):
                    traces[item_id] = (*back.trace, step)
        return traces, list(dropped.values())


def _done(effect: Effect) -> Iterator[tuple[str, Trace]]:
    """What the rule did to which item."""
    here = {each.item_id for each in effect.after}
    known = {each.item_id for each in effect.before}
    stayed = (each.item_id for each in effect.before if each.item_id in here)
    rank = {item_id: n for n, item_id in enumerate(stayed)}
    survivors = 0
    for each in effect.after:
        if each.item_id not in known:
            yield each.item_id, Trace(effect.rule, ADDED)
        else:
            if places := rank[each.item_id] - survivors:
                yield each.item_id, Trace(effect.rule, MOVED, places)
            survivors += 1
    for each in effect.before:
        if each.item_id not in here:
            yield each.item_id, Trace(effect.rule, DROPPED)


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
    if placement.holdout:
        return Choice()
    if placement.teams and visit.session_id is not None:
        return Choice(_interleaved(visit, placement, visit.session_id, catalogue, request))
    leads_back = RECENTLY_VIEWED in placement.steps  # to what was viewed, whatever was bought
    bought = NOTHING if leads_back else settled(visit, placement, catalogue)
    context = RuleContext(visit, placement, catalogue, request, bought)
    by_id, own = rules_by_id(context), [*own_rules(placement)] if placement.rules else []
    proposed = candidates(bought.unsettled(visit), placement, catalogue)
    taken: dict[str, Candidate] = {}
    first = choice = Choice()
    for times in _depths(context, own):
        had = len(taken)
        first = _gathered(int(times * placement.limit), taken, proposed, by_id, context)
        if times == AT_FIRST and {each.intent for each in first.chosen} - {""}:  # see every_intent
            first = _gathered(SPARE * placement.limit, taken, proposed, by_id, context)
        if had and len(taken) == had:  # no step has anything left
            break
        choice = _by_rules(first, own, context)
        if len(choice.chosen) >= placement.limit:
            break
    if _needs_what_was_bought(choice, context):
        choice = _by_rules(first, own, replace(context, short=True))
    return _refilled(choice, context)


def _interleaved(
    visit: Visit,
    placement: Placement,
    session_id: UUID,
    catalogue: TextCatalogue,
    request: HttpRequest | None,
) -> list[Candidate]:
    """One list of the two variants', which keeps the limits that each of them keeps."""
    context = RuleContext(visit, placement, catalogue, request)
    limited = (
        placement.max_per_category is not None
        or placement.merchandising.rules
        or families_of(catalogue) is not None
    )

    def listed(team: Placement) -> list[Candidate]:
        return choose(visit, team, request=request, catalogue=catalogue).chosen

    lists = [listed(each) for each in placement.teams]
    if limited:  # spare ones go behind a team's list: in a longer list intents would have other places
        for team, own in zip(placement.teams, lists, strict=True):
            known = {each.item_id for each in own}
            longer = listed(replace(team, limit=min(MAX_LIMIT, SPARE * team.limit)))
            own += [each for each in longer if each.item_id not in known]
    checks: list[Check] = []
    if limited:
        items = [each for found in lists for each in found]
        fixed = by_hand_of(lists[0], placement.limit)
        checks = [
            *by_rules(in_force(context), Facets(context, items), fixed),
            *by_limits(items, fixed.values(), context),
        ]
    return interleaved(lists, teams(placement.experiment, session_id, placement.limit), checks)


def offered(
    visit: Visit,
    placement: Placement,
    numbers: Iterable[int],
    *,
    of: Iterable[Candidate] | None = None,
    request: HttpRequest | None = None,
    catalogue: TextCatalogue | None = None,
) -> Iterator[list[Candidate]]:
    """Products that this placement may show, best first, without the order and the length of its list.

    of: candidates in place of those that the placement's steps propose

    Products of a category that is in the basket or was bought are at the end.

    One answer for each of the growing `numbers` of candidates that the rules by id leave; it ends where no
    step has any more. Nothing pinned or sponsored is among them. Raises what `choose` raises.
    """
    placement = replace(placement, pinned=(), sponsored=())
    catalogue = catalogue or get_catalogue()
    bought = settled(visit, placement, catalogue)
    context = RuleContext(visit, placement, catalogue, request, bought, short=True)
    by_id, own = rules_by_id(context), [*own_rules(placement)] if placement.rules else []
    proposed = iter(candidates(bought.unsettled(visit), placement, catalogue) if of is None else of)
    taken: dict[str, Candidate] = {}
    for number in numbers:
        had = len(taken)
        first = _gathered(number, taken, proposed, by_id, context)
        if had and len(taken) == had:
            return
        choice = _judged(first, own, context)
        if placement.merchandising.rules:
            sifted = sifting(in_force(context), Facets(context, choice.chosen))
            choice = _staged(sifted, choice, context)
        yield choice.chosen


def _needs_what_was_bought(choice: Choice, context: RuleContext) -> bool:
    """Whether the list is too short without products of the categories in the basket, or bought."""
    if context.settled and len(choice.chosen) < context.placement.limit:
        return True
    return not choice.chosen and BOUGHT_TOGETHER in context.placement.steps


def _depths(context: RuleContext, own: Sized) -> tuple[float, ...]:
    """How many times the list's length is looked up, and where that was not enough, in all."""
    placement = context.placement
    if placement.merchandising.rules:
        return UNDER_RULES, AGAIN_UNDER_RULES, SPARE_AGAIN
    if placement.variety or placement.rotate_after or placement.explore:  # which choose among more
        return WINDOW, SPARE_AGAIN
    may_drop_more = (
        own
        or placement.max_per_category is not None
        or BOUGHT_TOGETHER in placement.steps
        or context.settled
        or families_of(context.catalogue) is not None
    )
    return SPARE if may_drop_more else AT_FIRST, SPARE_AGAIN


def _gathered(
    wanted: int,
    taken: dict[str, Candidate],
    proposed: Iterable[Candidate],
    by_id: Iterable[Rule],
    context: RuleContext,
) -> Choice:
    """The candidates that the rules by id leave, at least so many while there are more."""
    while True:
        first = _applied(by_id, Choice(list(taken.values())), context)
        missing = wanted - len(first.chosen)
        if missing <= 0 or not _take(taken, proposed, missing):
            return first


def _take(taken: dict[str, Candidate], proposed: Iterable[Candidate], number: int) -> bool:
    """Whether there were more; an item that several steps propose is the first one's."""
    batch = list(islice(proposed, number))
    for each in batch:
        taken.setdefault(each.item_id, each)
    return bool(batch)


def _by_rules(first: Choice, own: list[tuple[str, Rule]], context: RuleContext) -> Choice:
    choice = _judged(first, own, context)
    if not context.placement.merchandising.rules:
        return _applied((*CAPPING, *VARYING, *LAST), choice, context)
    rules, facets = in_force(context), Facets(context, choice.chosen)
    choice = _staged(sifting(rules, facets), choice, context)
    choice = _applied((*CAPPING, *VARYING), choice, context)
    choice = _staged(arranging(rules, facets), choice, context)
    return _applied(LAST, choice, context)


def _judged(first: Choice, own: list[tuple[str, Rule]], context: RuleContext) -> Choice:
    """What the live catalogue and the shop's own rules leave."""
    choice = judged = _applied(BY_CATALOGUE, first, context)
    for name, rule in own:
        with isolated(f"apply the rule {name!r} to the placement {context.placement.name!r}"):
            choice = _with(name, choice, _once_each(rule(list(choice.chosen), context)))
    if choice is not judged:
        known = {*map(id, judged.chosen)}
        if any(id(each) not in known for each in choice.chosen):  # judge it as all the rest was
            choice = _applied((*BY_ID, *BY_CATALOGUE), choice, context)
    return choice


def _staged(stages: Iterable[Stage], choice: Choice, context: RuleContext) -> Choice:
    """The list after the merchant's rules; one that can't be applied is logged and skipped."""
    for stage in stages:
        with isolated("apply a merchant's rule", about=stage.name, savepoints=stage.asks):
            choice = _with(stage.name, choice, stage.rule(choice.chosen, context))
    return choice


def _refilled(choice: Choice, context: RuleContext) -> Choice:
    """A short list with what a merchant's rules left out, as far as families and categories have room."""
    placement = context.placement
    if len(choice.chosen) >= placement.limit or not placement.merchandising.rules:
        return choice
    together = whole = [*choice.chosen, *refill(choice.chosen, choice.dropped, context)]
    for rule in CAPPING:
        together = rule(together, context)
    room = {*map(id, together), *map(id, choice.chosen)}
    filled = [each for each in whole if id(each) in room]
    if len(filled) == len(choice.chosen):
        return choice
    filled = at_their_places(filled, [rule for rule in in_force(context) if rule.kind in BY_PLACE])
    return _applied(LAST, _with(REFILLED, choice, filled), context)


def _applied(rules: Iterable[Rule], choice: Choice, context: RuleContext) -> Choice:
    for rule in rules:
        choice = _with(rule.__name__, choice, rule(choice.chosen, context))
    return choice


def _once_each(items: Iterable[Candidate]) -> list[Candidate]:
    """Each product where it stands first; one that is paid for says so there."""
    once: dict[str, Candidate] = {}
    for each in items:
        first = once.setdefault(each.item_id, each)
        if each.step == SPONSORED and first.step != SPONSORED:
            once[each.item_id] = replace(first, step=SPONSORED, reason=SPONSORED)
    return list(once.values())


def _with(rule: str, choice: Choice, after: list[Candidate]) -> Choice:
    """The list that a rule made of the one before; the one before where it is the same."""
    before = choice.chosen
    return choice if after is before else Choice(after, [*choice.effects, Effect(rule, before, after)])
