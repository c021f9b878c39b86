"""Candidates for a list: the models first, then simpler steps where the models know too little."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.recommender import Source
from django_sessrec.safety import isolated
from django_sessrec.serving.active_models import active
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.popular import viewed_lately
from django_sessrec.serving.visit import Visit

PINNED, SPONSORED, RULE, MODEL, CO_VIEWS, CATEGORY, POPULAR, STATIC = STEPS = (
    "pinned", "sponsored", "rule", "model", "co_views", "category", "popular", "static",
)  # fmt: skip
BY_HAND: Final = frozenset({PINNED, SPONSORED, RULE})  # put there by the shop, by no step of the fallback
FOR_EVERYBODY: Final = frozenset({POPULAR, STATIC})  # neither the visit nor the page has a say
REASONS: Final = (PINNED, SPONSORED, RULE, *Source, "same_category", STATIC)
CO_VIEWS_MODEL: Final = "itemknn"  # this key in SESSREC["MODELS"] is asked for co-views first
DEPTH: Final = 4  # times the list's length that each model is asked for
MAX_BECAUSE: Final = 3  # reasons that a visitor may still want to read
ADDED, DROPPED, MOVED = "added", "dropped", "moved"


class Trace(NamedTuple):
    """The effect of one rule on one item."""

    rule: str
    what: str  # ADDED, DROPPED or MOVED
    places: int = 0  # of MOVED: up if positive, among the items that were there before


@dataclass(frozen=True, slots=True)
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

    def resolved(self, offered: Mapping[str, Any]) -> None:
        """Take the shop's objects from those that may be shown. Nobody else has the candidate yet."""
        object.__setattr__(self, "item", offered.get(self.item_id))
        named = tuple(offered[item_id] for item_id in self.because if item_id in offered)
        object.__setattr__(self, "because_items", named)

    def described(self, fields: dict[str, Any]) -> None:
        """Take what the catalogue says of it."""
        object.__setattr__(self, "fields", fields)


def candidates(visit: Visit, placement: Placement, catalogue: TextCatalogue) -> Iterator[Candidate]:
    """Candidates step by step, best first; a step is asked only when those above have run out.

    A step that fails is logged and counts as one that knows nothing. Sensitive items of the visit are not
    heard.
    """
    for step in _steps(visit, placement, catalogue):
        found: list[Candidate] = []
        with isolated("ask a step of the fallback"):
            found = step()
        yield from found


def _steps(
    visit: Visit, placement: Placement, catalogue: TextCatalogue
) -> Iterator[Callable[[], list[Candidate]]]:
    models, depth = placement.models, placement.limit * DEPTH
    clicks = visit.clicks
    sensitive = catalogue.sensitive(set(clicks))
    session = [item_id for item_id in clicks if item_id not in sensitive]
    by_session: list[Callable[[], list[Candidate]]] = [
        partial(_ranked, model, session, depth, MODEL) for model in models
    ]
    by_last_item: list[Callable[[], list[Candidate]]] = []
    if last := session[-1:]:
        by_last_item = [
            *(partial(_ranked, model, last, depth, CO_VIEWS) for model in _co_views_models(models)),
            partial(_same_category, last[0], depth, catalogue),
        ]
    if any(_knows(model, item_id) for model in models for item_id in last):
        yield from by_session + by_last_item
    else:  # the last item is newer than the models, which would only hear what came before it
        yield from by_last_item + by_session
    yield partial(_popular, models)
    yield partial(_static, depth, catalogue)


def _co_views_models(models: Sequence[str]) -> list[str]:
    """Any model that hears the last click alone tells what goes with it; the one made for that goes first."""
    trained = (CO_VIEWS_MODEL,) if CO_VIEWS_MODEL in sessrec_settings.MODELS else ()
    return list(dict.fromkeys((*trained, *models)))


def _knows(model: str, item_id: str) -> bool:
    serving = active(model)
    return serving is not None and item_id in serving.recommender.index


def _ranked(model: str, session: Sequence[str], k: int, step: str) -> list[Candidate]:
    """What the model ranks for the session; nothing where it never saw one of its items."""
    serving = active(model)
    if serving is None or not any(item_id in serving.recommender.index for item_id in session):
        return []
    return [
        Candidate(
            each.item_id,
            step,
            each.source,
            each.because[:MAX_BECAUSE],
            each.score,
            model,
            serving.run_id,
        )
        for each in serving.recommender.recommend(session, k, exclude=session[-1:])
    ]


def _same_category(item_id: str, k: int, catalogue: TextCatalogue) -> list[Candidate]:
    return [
        Candidate(related, CATEGORY, "same_category", (item_id,)) for related in catalogue.related(item_id, k)
    ]


def _popular(models: Sequence[str]) -> list[Candidate]:
    for model in models:
        serving = active(model)
        if serving is not None:
            return [
                Candidate(item_id, POPULAR, Source.POPULAR, model=model, run_id=serving.run_id)
                for item_id in serving.popular
            ]
    return [Candidate(item_id, POPULAR, Source.POPULAR) for item_id in viewed_lately()]


def _static(k: int, catalogue: TextCatalogue) -> list[Candidate]:
    return [Candidate(item_id, STATIC, STATIC) for item_id in catalogue.fallback(k)]
