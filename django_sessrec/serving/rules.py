"""Rules over the models' candidates: the built-in ones and the shop's own have one signature.

    def no_brand_x(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        return [each for each in items if each.item.brand != "X"]

A rule gets the list as the rules before it left it, best first, and returns the list as it should be: it
drops items, reorders them, or adds `context.propose(item_id)`. It may be called twice for one list, so it
keeps no state of its own. A placement names the shop's rules by dotted path, functions or classes whose
instances are called: PLACEMENTS[..]["RULES"] = ["shop.rules.no_brand_x"].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import compress
from typing import Any, Final, TypeVar

from django.http import HttpRequest
from django.utils.module_loading import import_string

from django_sessrec.catalogue import Attributes, TextCatalogue
from django_sessrec.safety import isolated, swallowed
from django_sessrec.serving.after_order import NOTHING, Settled
from django_sessrec.serving.candidate import (
    BOUGHT_TOGETHER,
    BY_HAND,
    PINNED,
    RECENTLY_VIEWED,
    RULE,
    SPONSORED,
    Candidate,
)
from django_sessrec.serving.families import families_of
from django_sessrec.serving.intent_places import every_intent, in_rows
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.visit import Visit, group_of

NO_ATTRIBUTES: Final = Attributes({})
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class RuleContext:
    """Context of a rule: the visit, the placement and the live catalogue.

    - `request`: the page's; None in a preview or a replay
    - `settled`: categories that the session's orders settle
    - `short`: whether the list was too short without products of a category that is in the basket or bought
    """

    visit: Visit
    placement: Placement
    catalogue: TextCatalogue
    request: HttpRequest | None = None
    settled: Settled = NOTHING
    short: bool = False
    _offered: dict[str, Any] = field(default_factory=dict)  # by id; None for what the shop does not offer
    _known: dict[str, Any] = field(default_factory=dict)  # those that it does not offer but knows; as above
    _sensitive: set[str] = field(default_factory=set)
    _attributes: dict[str, Attributes] = field(default_factory=dict)
    _group: list[str] = field(default_factory=list)  # none before it is asked for
    _kept: dict[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The customer's group, empty where there is none: the visit's, else what CUSTOMER_GROUP says."""
        if self.visit.group is not None:
            return self.visit.group
        if not self._group:
            self._group.append(group_of(self.request))
        return self._group[0]

    @property
    def on_screen(self) -> Candidate | None:
        """The item on the page, also where the catalogue does not offer it now."""
        current = self.visit.current
        item = self.known([current]).get(current) if current else None
        return None if item is None else Candidate(current, "", "", item=item)

    def attributes(self, candidate: Candidate) -> Attributes:
        """What the catalogue says of a resolved candidate, asked once in a list; nothing where it raises."""
        found = self._attributes.get(candidate.item_id)
        if found is None:
            try:
                found = self.catalogue.attributes(candidate.item)
            except Exception as error:
                if not swallowed("tell an item's attributes", error, about=f"item {candidate.item_id!r}"):
                    raise
                found = NO_ATTRIBUTES
            self._attributes[candidate.item_id] = found
        return found

    def kept(self, name: str, ask: Callable[[], Value]) -> Value:
        """What `ask` says, asked once in a list."""
        if name not in self._kept:
            self._kept[name] = ask()
        found: Value = self._kept[name]
        return found

    def propose(self, item_id: Any, *, sponsored: bool = False) -> Candidate:
        """A candidate of the rule's own: an id or the shop's object. Shown if the catalogue offers it.

        `sponsored` says that somebody pays for it; it is then labelled as such.
        """
        step = SPONSORED if sponsored else RULE
        return Candidate(self.catalogue.id_of(item_id), step, step)

    def look_up(self, item_ids: Collection[str]) -> dict[str, Any]:
        """Id -> the shop's object, of what may be shown now; each id is asked for once in a list.

        One query for what is new, and one more where the shop has sensitive goods.
        """
        if new := {item_id for item_id in item_ids if item_id not in self._offered}:
            self._offered.update(dict.fromkeys(new))
            self._offered.update(self.catalogue.resolve(new, self.request))
            self._sensitive.update(self.catalogue.sensitive(new))
        return {
            item_id: self._offered[item_id]
            for item_id in item_ids
            if self._offered[item_id] is not None and item_id not in self._sensitive
        }

    def known(self, item_ids: Collection[str]) -> dict[str, Any]:
        """As `look_up`, with what may not be shown now: lists stand on such products' pages, too."""
        found = self.look_up(item_ids)
        missing = [each for each in item_ids if each not in found and each not in self._sensitive]
        if new := [each for each in missing if each not in self._known]:
            self._known.update(dict.fromkeys(new))
            with isolated("look up products that are not offered"):
                self._known.update(self.catalogue.known(new))
        return found | {each: self._known[each] for each in missing if self._known[each] is not None}

    @property
    def found_sensitive(self) -> bool:
        """Whether any id that was looked up is a sensitive item's."""
        return bool(self._sensitive)

    def is_sensitive(self, item_id: str) -> bool:
        """Whether an id that was looked up is a sensitive item's."""
        return item_id in self._sensitive


Rule = Callable[[list[Candidate], RuleContext], list[Candidate]]


def sponsored(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """What somebody pays for goes first."""
    return _first(context.placement.sponsored, items, SPONSORED)


def pinned(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """What the shop pins goes before that; one that is paid for says so here, too."""
    paid = {each.item_id: each for each in items if each.step == SPONSORED}
    put_first = _first(context.placement.pinned, items, PINNED)
    return [paid.get(each.item_id, each) for each in put_first] if paid else put_first


def never_the_item_on_screen(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return _without((context.visit.current,), items)


def excluded(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return _without(set(context.placement.excluded), items)


def in_basket_or_bought(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """What the visitor has already decided on."""
    return _without(context.visit.decided, items)


def left_out(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """What the request leaves out, and what another list of its page shows."""
    return _without(context.visit.left_out, items)


def viewed(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """What the session clicked already, where the placement hides that, unless the list is made of it."""
    if not context.placement.hide_viewed or RECENTLY_VIEWED in context.placement.steps:
        return items
    return _without(set(context.visit.items), items)


def available(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """What the live catalogue offers now, with its objects: sold-out and deleted items go."""
    asked = {item_id for each in items for item_id in (each.item_id, *each.because)}
    offered = context.look_up(asked | context.placement.merchandising.asked(context.visit.current))
    kept = [each for each in items if each.item_id in offered or context.is_sensitive(each.item_id)]
    for each in kept:
        if each.item is None:
            each.resolved(offered)
    return kept if len(kept) < len(items) else items


def not_sensitive(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    if not context.found_sensitive:
        return items
    return [each for each in items if not context.is_sensitive(each.item_id)]


def one_of_a_family(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """The best variant of each family, and none of a family that the visitor looks at or has decided on.

    Items that the shop placed itself stay, and stand for their families.
    """
    families = families_of(context.catalogue)
    if families is None:
        return items
    visit, placement = context.visit, context.placement
    settled = {visit.current, *visit.basket, *visit.purchases} - {""}
    if placement.hide_viewed and RECENTLY_VIEWED not in placement.steps:
        settled.update(visit.items)
    family = families.of({*settled, *(each.item_id for each in items)})
    shown = {family[item_id] for item_id in settled if item_id in family}
    shown.update(family[each.item_id] for each in items if each.step in BY_HAND and each.item_id in family)
    kept = []
    for each in items:
        of_item = family.get(each.item_id)
        if of_item is None or each.step in BY_HAND:
            kept.append(each)
        elif of_item not in shown:
            shown.add(of_item)
            kept.append(each)
    return kept if len(kept) < len(items) else items


def max_per_category(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """The limit per category; items that the shop placed itself count, and stay."""
    most = context.placement.max_per_category
    if most is None:
        return items
    told: dict[str, Collection[str]] = {}  # categories by item id
    for each in items:
        try:
            told[each.item_id] = context.catalogue.categories(each.item)
        except Exception as error:
            if not swallowed("tell an item's category", error, about=f"item {each.item_id!r}"):
                raise
    places = context.placement.limit
    by_hand = (told.get(each.item_id, ()) for each in items[:places] if each.step in BY_HAND)
    shown = Counter(category for categories in by_hand for category in categories)
    kept = []
    for place, each in enumerate(items):
        categories = told.get(each.item_id)
        if each.step in BY_HAND:
            kept.append(each)
            shown.update(() if place < places or categories is None else categories)
        elif categories is not None and all(shown[category] < most for category in categories):
            shown.update(categories)
            kept.append(each)
    return kept if len(kept) < len(items) else items


def describable(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """As many as will be shown, described; an item that the catalogue can't describe costs its own place."""
    failed, missing = set[int](), context.placement.limit
    for number, each in enumerate(items):
        if not missing:
            break
        try:
            if each.fields is None:
                each.fields = context.catalogue.describe(each.item, context.request)
            missing -= 1
        except Exception as error:
            if not swallowed("describe an item", error, about=f"item {each.item_id!r}"):
                raise
            failed.add(number)
    return [each for number, each in enumerate(items) if number not in failed] if failed else items


def limit(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return items[: context.placement.limit] if len(items) > context.placement.limit else items


def not_in_place_of_it(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """Where a list is what goes with a basket: nothing of a category that is in it already.

    A list that would be empty without these keeps them, as in a shop of one category.
    """
    if BOUGHT_TOGETHER not in context.placement.steps:
        return items
    anchors = context.known(context.visit.anchors)
    there = set().union(*(_categories(item, context) for item in anchors.values()))
    return _second_best(items, context, lambda categories: bool(categories & there)) if there else items


def of_bought_categories(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """After an order: nothing of the kind that was just bought, unless the list would be short."""
    return _second_best(items, context, context.settled.covers) if context.settled else items


def _second_best(
    items: list[Candidate], context: RuleContext, alike: Callable[[set[str]], bool]
) -> list[Candidate]:
    """The items without those of categories that are `alike`; at the end, where the list was too short."""
    last = [each.step not in BY_HAND and alike(_categories(each.item, context)) for each in items]
    if not any(last):
        return items
    first = [each for each, goes in zip(items, last, strict=True) if not goes]
    return [*first, *compress(items, last)] if context.short else first


def _categories(item: Any, context: RuleContext) -> set[str]:
    with isolated("tell an item's category", savepoints=False):
        return context.catalogue.categories(item)
    return set()


PROPOSING: tuple[Rule, ...] = (sponsored, pinned)
BY_ID: tuple[Rule, ...] = (never_the_item_on_screen, excluded, in_basket_or_bought, left_out, viewed)
BY_CATALOGUE: tuple[Rule, ...] = (
    available, not_sensitive, not_in_place_of_it, of_bought_categories, every_intent,
)  # fmt: skip
CAPPING: tuple[Rule, ...] = (one_of_a_family, max_per_category)
LAST: tuple[Rule, ...] = (describable, limit, in_rows)


def rules_by_id(context: RuleContext) -> tuple[Rule, ...]:
    """Those of PROPOSING and BY_ID that have anything to do in this list."""
    visit, placement = context.visit, context.placement
    given = (
        placement.sponsored,
        placement.pinned,
        visit.current,
        placement.excluded,
        visit.basket or visit.purchases,
        visit.left_out,
        placement.hide_viewed and visit.items,
    )
    return tuple(compress((*PROPOSING, *BY_ID), given))


def guarded(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """Those that no rule by id keeps out of every list of this visit."""
    for rule in BY_ID:
        items = rule(items, context)
    return items


def own_rules(placement: Placement) -> Iterator[tuple[str, Rule]]:
    """The shop's rules by name; one that can't be imported is logged and left out."""
    for given in placement.rules:
        name = given if isinstance(given, str) else getattr(given, "__qualname__", type(given).__name__)
        rule: Rule | None = None
        with isolated(f"import the rule {name!r} of the placement {placement.name!r}"):
            found = _imported(given) if isinstance(given, str) else given
            rule = found() if isinstance(found, type) else found
        if rule is not None:
            yield name, rule


@cache
def _imported(path: str) -> Any:
    return import_string(path)


def _first(item_ids: Collection[str], items: list[Candidate], step: str) -> list[Candidate]:
    if not item_ids:
        return items
    put_first = [Candidate(item_id, step, step) for item_id in dict.fromkeys(item_ids)]
    return [*put_first, *_without(set(item_ids), items)]


def _without(hidden: Collection[str], items: list[Candidate]) -> list[Candidate]:
    """The items but for those; the same list where it has none of them, as rules return what they leave."""
    kept = [each for each in items if each.item_id not in hidden] if hidden else items
    return kept if len(kept) < len(items) else items
