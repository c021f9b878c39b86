"""An item on its way into a list, and the words for what proposed it and what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from django_sessrec.recsys.recommender import Source

PINNED, SPONSORED, RULE = BY_SHOP = ("pinned", "sponsored", "rule")
RECENTLY_VIEWED, BOUGHT_TOGETHER = "recently_viewed", "bought_together"
MODEL, CO_VIEWS, CATEGORY, POPULAR, STATIC = USUAL_STEPS = (
    "model", "co_views", "category", "popular", "static",
)  # fmt: skip
CONTENT = "content"  # the step and its reason
SEARCH, TRENDING, WATCHED, BEST_SELLERS, NEW = SHOP_STEPS = (
    "search", "trending", "watched", "best_sellers", "new",
)  # fmt: skip
STEPS: Final = (*BY_SHOP, RECENTLY_VIEWED, BOUGHT_TOGETHER, *USUAL_STEPS, CONTENT, *SHOP_STEPS)
BY_HAND: Final = frozenset(BY_SHOP)  # put there by the shop, by no step of the fallback
# Neither the visit nor the page has a say in these.
FOR_EVERYBODY: Final = frozenset({TRENDING, WATCHED, BEST_SELLERS, NEW, POPULAR, STATIC})
REASONS: Final = (PINNED, SPONSORED, RULE, *Source, "same_category", CONTENT, *SHOP_STEPS, STATIC)
ADDED, DROPPED, MOVED = "added", "dropped", "moved"


class Trace(NamedTuple):
    """The effect of one rule on one item."""

    rule: str
    what: str  # ADDED, DROPPED or MOVED
    places: int = 0  # of MOVED: up if positive, among the items that were there before


@dataclass(slots=True, unsafe_hash=True)  # frozen, it takes ten times as long to make
class Candidate:
    """An item on its way into a list. Rules get it with `item` set, and may keep, drop or reorder it.

    - `step`: what proposed it, one of STEPS
    - `reason`: what speaks for it, one of REASONS
    - `because`: ids of the clicked items that speak for it, strongest first
    - `score`: the model's, comparable within one list of one model only
    - `item`: the shop's object
    - `because_items`: the shop's objects of `because`, without those that may not be shown
    - `fields`: what Catalogue.describe() says of it, once it is sure to be shown
    - `trace`: what each rule did to it, in order; empty while rules are at work
    - `propensity`: the probability with which it was drawn for its place, where the placement explores
    - `intent`: the newest clicked item of the earlier intent that it stands for; empty for the leading one
    - `intents`: live intents of the session, as its model tells them apart; None where it does not
    """

    item_id: str
    step: str
    reason: str
    because: tuple[str, ...] = ()
    score: float | None = None
    model: str = ""
    run_id: int | None = None
    item: Any = None
    because_items: tuple[Any, ...] = ()
    fields: dict[str, Any] | None = None
    trace: tuple[Trace, ...] = ()
    intent: str = ""
    intents: int | None = field(default=None, compare=False)
    propensity: float | None = None

    def resolved(self, offered: Mapping[str, Any]) -> None:
        """Take the shop's objects from those that may be shown. Nobody else has the candidate yet."""
        self.item = offered.get(self.item_id)
        if self.because:
            self.because_items = tuple([offered[item_id] for item_id in self.because if item_id in offered])
