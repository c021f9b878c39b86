"""Why an item stands where it stands and another does not: each serving model's word on the same clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.recommender import Recommendation
from django_sessrec.serving.active_models import active
from django_sessrec.serving.candidate import DROPPED
from django_sessrec.serving.choose import Choice
from django_sessrec.serving.families import family_of, heard
from django_sessrec.serving.popular import viewed_lately

POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class ModelList:
    """What one model that serves would show; `model` is POPULAR for what is viewed most."""

    model: str
    run_id: int | None
    items: Sequence[Recommendation]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an item stands with one model: None where the model has no evidence for it.

    knows: whether the model has ever seen the item; of: how many items it ranks
    """

    model: str
    run_id: int
    knows: bool
    rank: int | None
    of: int


@dataclass(frozen=True, slots=True)
class Absence:
    """Why an item is not in a list: in it at `position` after all, dropped by `rule`, or not proposed."""

    position: int | None = None
    rule: str | None = None
    offered: bool = True


def lists_side_by_side(clicks: Sequence[str], k: int) -> list[ModelList]:
    """The best k of each model that serves, without what was clicked, and what is popular beside them."""
    clicked = set(clicks)
    family = family_of(clicks)
    lists = []
    for model in sessrec_settings.MODELS:
        if serving := active(model):
            words = heard(serving.recommender.index, clicks, family)
            found = serving.recommender.recommend(words, k, exclude=words)
            lists.append(ModelList(model, serving.run_id, found))
    popular = [item_id for item_id in viewed_lately() if item_id not in clicked][:k]
    lists.append(ModelList(POPULAR, None, [Recommendation(item_id, 0.0, POPULAR) for item_id in popular]))
    return lists


def standings(clicks: Sequence[str], item_id: str) -> list[Standing]:
    """The item's rank with each model that serves, among all but what was clicked; ties count against it."""
    found = []
    family = family_of([*clicks, item_id])
    for model in sessrec_settings.MODELS:
        serving = active(model)
        if serving is None:
            continue
        recommender = serving.recommender
        index = recommender.index
        *words, named = heard(index, [*clicks, item_id], family)
        ranks = Standing(model, serving.run_id, named in index, None, len(index) - 1)
        if ranks.knows:
            scores = recommender.scores([index.rows(words)])[0].copy()
            [row] = index.rows([named])
            own = scores[row]
            scores[index.rows([each for each in words if each != named])] = -np.inf
            if own > -np.inf:
                ranks = Standing(model, serving.run_id, True, int(np.count_nonzero(scores >= own)), ranks.of)
        found.append(ranks)
    return found


def absence(choice: Choice, item_id: str, *, offered: bool) -> Absence:
    """What became of an item in a list; offered: whether the live catalogue offers it."""
    for position, each in enumerate(choice.chosen, 1):
        if each.item_id == item_id:
            return Absence(position, None, offered)
    for each in choice.dropped:
        if each.item_id == item_id:
            rule = next(step.rule for step in reversed(each.trace) if step.what == DROPPED)
            return Absence(None, rule, offered)
    return Absence(None, None, offered)
