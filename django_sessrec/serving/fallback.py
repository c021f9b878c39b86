"""Candidates for a list: the models first, then simpler steps where the models know too little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Final

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.recommender import Source
from django_sessrec.safety import isolated
from django_sessrec.serving import shop_wide
from django_sessrec.serving.active_models import active
from django_sessrec.serving.candidate import (
    BEST_SELLERS,
    BOUGHT_TOGETHER,
    CATEGORY,
    CO_VIEWS,
    CONTENT,
    MODEL,
    NEW,
    POPULAR,
    RECENTLY_VIEWED,
    SEARCH,
    STATIC,
    TRENDING,
    USUAL_STEPS,
    WATCHED,
    Candidate,
)
from django_sessrec.serving.families import Families, families_of
from django_sessrec.serving.model_candidates import Asked, Question, hears, like_the_session, ranked
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.popular import viewed_lately
from django_sessrec.serving.shop_wide import of_categories
from django_sessrec.serving.visit import Visit

BASKET_MODEL: Final = "bought_together"  # this key in SESSREC["MODELS"] answers the step of its name
CO_VIEWS_MODEL: Final = "itemknn"  # this key in SESSREC["MODELS"] is asked for co-views first
MAX_VARIANTS: Final = 2  # of a family that a model names: the best, and a spare one
MIN_LETTERS: Final = 3  # of a query's word that is searched for by itself
MAX_WORDS: Final = 4  # of a query, so searched
RANKED: Final = frozenset({BOUGHT_TOGETHER, MODEL, CO_VIEWS})  # these isolate what they query themselves

BY_MODELS: Final = frozenset({MODEL, CO_VIEWS, CONTENT, POPULAR})  # which take what MODELS know


def candidates(visit: Visit, placement: Placement, catalogue: TextCatalogue) -> Iterator[Candidate]:
    """Candidates step by step, best first; a step is asked only when those above have run out.

    A step that fails is logged and counts as one that knows nothing. Sensitive items of the visit are not
    heard.
    """
    clicks = visit.clicks
    if BOUGHT_TOGETHER in placement.steps:  # the shop's own basket may be older than the session
        clicks = [*(each for each in visit.anchors if each not in clicks), *clicks]
    sensitive = catalogue.sensitive(set(clicks))
    session = [item_id for item_id in clicks if item_id not in sensitive]
    families = families_of(catalogue)
    asked = Asked.of(visit, placement, catalogue, session)
    allowed = of_categories(catalogue, visit.categories) if visit.categories else {}
    for step in _in_order(asked):
        asks = families is not None or step not in RANKED
        for question in QUESTIONS[step](asked):
            found: list[Candidate] = []
            with isolated("ask a step of the fallback", savepoints=asks):
                found = question()
                if families is not None:
                    found = _with_variants(found, families)
                if allowed:
                    found = [each for each in found if each.item_id in allowed]
            yield from found


def hears_models(steps: Sequence[str] | None, variety: float) -> bool:
    """Whether a placement's lists depend on its MODELS: by a step of it, or by the likeness of its items."""
    return bool(variety) or not BY_MODELS.isdisjoint(steps or USUAL_STEPS)


def _with_variants(found: list[Candidate], families: Families) -> list[Candidate]:
    """Each family that a model names as the best of its items, and a spare one."""
    variants = families.variants({each.item_id for each in found})
    return [
        each if item_id == each.item_id else replace(each, item_id=item_id)
        for each in found
        for item_id in variants.get(each.item_id, (each.item_id,))[:MAX_VARIANTS]
    ]


def _in_order(asked: Asked) -> list[str]:
    """The placement's steps; a name that is no step is left out, and a check reports it."""
    steps = [each for each in asked.placement.steps or USUAL_STEPS if each in QUESTIONS]
    last = asked.session[-1:]
    if MODEL in steps and not any(hears(model, last, asked) for model in asked.placement.models):
        # The last item is newer than the models, which would only hear what came before it.
        by_last_item = [each for each in steps[steps.index(MODEL) :] if each in (CO_VIEWS, CATEGORY)]
        others = [each for each in steps if each not in by_last_item]
        place = others.index(MODEL)
        steps = [*others[:place], *by_last_item, *others[place:]]
    return steps


def _by_session(asked: Asked) -> list[Question]:
    return ranked(asked.placement.models, asked.session, asked, MODEL)


def _by_basket(asked: Asked) -> list[Question]:
    anchors = {*asked.visit.anchors}
    lines = [item_id for item_id in asked.session if item_id in anchors]
    return ranked([BASKET_MODEL], lines, asked, BOUGHT_TOGETHER)


def _by_last_item(asked: Asked) -> list[Question]:
    last = asked.session[-1:]
    return ranked(_co_views_models(asked.placement.models), last, asked, CO_VIEWS) if last else []


def _co_views_models(models: Sequence[str]) -> list[str]:
    """Any model that hears the last click alone tells what goes with it; the one made for that goes first."""
    trained = (CO_VIEWS_MODEL,) if CO_VIEWS_MODEL in sessrec_settings.MODELS else ()
    return list(dict.fromkeys((*trained, *models)))


def _by_content(asked: Asked) -> list[Candidate]:
    for model in asked.placement.models:
        serving = active(model)
        if serving is not None and serving.cold_start is not None:
            return like_the_session(serving, asked)
    return []


def _recently_viewed(asked: Asked) -> list[Candidate]:
    """The session's items, the newest first, each once."""
    return [
        Candidate(item_id, RECENTLY_VIEWED, Source.VIEWED, (item_id,))
        for item_id in dict.fromkeys(reversed(asked.session))
    ]


def _same_category(asked: Asked) -> list[Candidate]:
    if categories := asked.visit.categories:
        newest = islice(of_categories(asked.catalogue, categories), asked.depth)
        return [Candidate(item_id, CATEGORY, "same_category") for item_id in newest]
    return [
        Candidate(related, CATEGORY, "same_category", (item_id,))
        for item_id in asked.session[-1:]
        for related in asked.catalogue.related(item_id, asked.depth)
    ]


def _popular(asked: Asked) -> list[Candidate]:
    for model in asked.placement.models:
        serving = active(model)
        if serving is not None:
            return [
                Candidate(item_id, POPULAR, Source.POPULAR, model=model, run_id=serving.run_id)
                for item_id in serving.popular
            ]
    return [Candidate(item_id, POPULAR, Source.POPULAR) for item_id in viewed_lately()]


def _search(asked: Asked) -> list[Candidate]:
    """What the query names, then what most of its words name: something is found where nothing was."""
    query, search = asked.visit.query, asked.catalogue.search
    if not query:
        return []
    found = dict.fromkeys(search(query, asked.depth))
    words = [word for word in query.split() if len(word) >= MIN_LETTERS][:MAX_WORDS]
    if len(found) < asked.depth and len(words) > 1:
        by_word = Counter(item_id for word in words for item_id in search(word, asked.depth))
        found |= dict.fromkeys(item_id for item_id, _words in by_word.most_common())
    return [Candidate(item_id, SEARCH, SEARCH) for item_id in found]


def _for_everybody(step: str, item_ids: Iterable[str]) -> list[Candidate]:
    return [Candidate(item_id, step, step) for item_id in item_ids]


def _static(asked: Asked) -> list[Candidate]:
    return [Candidate(item_id, STATIC, STATIC) for item_id in asked.catalogue.fallback(asked.depth)]


QUESTIONS: Final[Mapping[str, Callable[[Asked], list[Question]]]] = MappingProxyType(
    {
        RECENTLY_VIEWED: lambda asked: [partial(_recently_viewed, asked)],
        BOUGHT_TOGETHER: _by_basket,
        MODEL: _by_session,
        CO_VIEWS: _by_last_item,
        CONTENT: lambda asked: [partial(_by_content, asked)],
        CATEGORY: lambda asked: [partial(_same_category, asked)],
        POPULAR: lambda asked: [partial(_popular, asked)],
        SEARCH: lambda asked: [partial(_search, asked)],
        TRENDING: lambda _asked: [lambda: _for_everybody(TRENDING, shop_wide.trending())],
        WATCHED: lambda _asked: [lambda: _for_everybody(WATCHED, shop_wide.watched())],
        BEST_SELLERS: lambda _asked: [lambda: _for_everybody(BEST_SELLERS, shop_wide.best_sellers())],
        NEW: lambda asked: [lambda: _for_everybody(NEW, asked.catalogue.newest(asked.depth))],
        STATIC: lambda asked: [partial(_static, asked)],
    }
)
"""The steps that a placement's STEPS may name, each with its questions, which are asked in turn."""
