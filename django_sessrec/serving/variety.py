"""Variety of lists: rules against more of the same, in one list, from page to page, and in what is learnt."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.utils import timezone

from django_sessrec import database
from django_sessrec.capture.fast_query import bounded
from django_sessrec.models import Impression
from django_sessrec.recsys.items import FloatArray
from django_sessrec.recsys.variety import maximal_marginal_relevance
from django_sessrec.safety import isolated
from django_sessrec.serving.active_models import active
from django_sessrec.serving.candidate import BY_HAND, Candidate
from django_sessrec.serving.cold_start import new_products
from django_sessrec.serving.families import families_of
from django_sessrec.serving.rules import RuleContext

WINDOW: Final = 4  # times the list's length that these rules look at
LISTS: Final = 20  # newest lists of the session that are looked back at
LOOK_BACK: Final = timedelta(hours=12)


def varied(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """VARIETY: the next item is relevant, and unlike those above it. Items that the shop placed stay."""
    placement = context.placement
    if not placement.variety:
        return items
    window = items[: WINDOW * placement.limit]
    vectors = _vectors([each.item_id for each in window], context)
    if vectors is None:
        return items
    fixed = {place for place, each in enumerate(window) if each.step in BY_HAND}
    order = maximal_marginal_relevance(vectors, placement.variety, placement.limit, fixed=fixed)
    if order == sorted(order):
        return items
    return [*(window[number] for number in order), *items[len(window) :]]


def rotated(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """ROTATE_AFTER: what the placement has shown to the session so often without a click goes to the end."""
    visit, placement = context.visit, context.placement
    if not placement.rotate_after or visit.session_id is None:
        return items
    shown = context.kept("lists of the session", lambda: shown_by(placement.name, visit.session_id))
    tired = {item_id for item_id, lists in shown.items() if lists >= placement.rotate_after}
    tired -= {*visit.clicks}
    behind = [each for each in items if each.item_id in tired and each.step not in BY_HAND]
    if not behind:
        return items
    gone = {*map(id, behind)}
    return [*(each for each in items if id(each) not in gone), *behind]


def explored(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """EXPLORE: with this probability a place goes to any of the candidates in place of the best one.

    Each item keeps the probability with which it was drawn for its place after those above it, which is
    stored with the impression. Nothing is drawn where no impression is stored. The same visit at the same
    moment gets the same list.
    """
    visit, placement = context.visit, context.placement
    if not placement.explore or visit.session_id is None:
        return items
    dice = random.Random(f"{visit.session_id} {placement.name} {visit.at.isoformat()}")
    window = items[: WINDOW * placement.limit]
    by_hand = {place: each for place, each in enumerate(window) if each.step in BY_HAND}
    left = [each for each in window if each.step not in BY_HAND]
    drawn: list[Candidate] = []
    while len(drawn) < min(placement.limit, len(window)):
        if (placed := by_hand.pop(len(drawn), None)) is not None:
            drawn.append(placed)
            continue
        if not left:
            break
        number = dice.randrange(len(left)) if dice.random() < placement.explore else 0
        chance = placement.explore / len(left) + (0 if number else 1 - placement.explore)
        drawn.append(replace(left.pop(number), propensity=chance))
    return [*drawn, *by_hand.values(), *left, *items[len(window) :]]


def shown_by(placement: str, session_id: UUID | None) -> Counter[str]:
    """In how many of the newest lists of this placement the session saw each item."""
    with isolated("read what the session was shown"), bounded(), database.values_apart():
        lists = Impression.objects.filter(
            session_id=session_id, placement=placement, shown_at__gte=timezone.now() - LOOK_BACK
        )
        newest = lists.order_by("-shown_at").values_list("item_ids", flat=True)[:LISTS]
        return Counter(item_id for item_ids in newest for item_id in item_ids)
    return Counter()


def _vectors(item_ids: Sequence[str], context: RuleContext) -> FloatArray | None:
    """(n, d) by the first model that knows item embeddings; None without one."""
    families = families_of(context.catalogue)
    family = families.of(item_ids) if families is not None else {}
    for name in context.placement.models:
        model = active(name)
        if model is not None and model.intents is not None:
            index = model.recommender.index
            named = [family.get(each, each) for each in item_ids]
            if (new := new_products(model, context.catalogue)) is not None:
                return new.vectors(named)
            rows = [index.row(each) if each in index else 0 for each in named]
            return model.intents.vectors[rows].astype(np.float32)
    return None
