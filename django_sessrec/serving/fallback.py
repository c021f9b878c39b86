"""The fallback ladder: who answers where the step above knows nothing, down to a static list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from django_sessrec.catalogue import Catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.recommender import Source
from django_sessrec.safety import isolated
from django_sessrec.serving.active_models import active
from django_sessrec.serving.popular import viewed_lately

PINNED, SPONSORED, MODEL, CO_VIEWS, CATEGORY, POPULAR, STATIC = (
    "pinned", "sponsored", "model", "co_views", "category", "popular", "static",
)  # fmt: skip
BY_HAND = frozenset({PINNED, SPONSORED})  # put there by the shop, by no step of the ladder
REASONS = (PINNED, SPONSORED, *Source, "same_category", STATIC)
CO_VIEWS_MODEL = "itemknn"  # this key in SESSREC["MODELS"], where it serves, speaks for co-views first
MAX_BECAUSE = 3  # reasons that a visitor may still want to read


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that a step proposes, and why.

    reason:  one of REASONS
    because: ids of the clicked items that spoke for it, strongest first
    """

    item_id: str
    step: str
    reason: str
    because: tuple[str, ...] = ()
    score: float | None = None
    model: str = ""
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What the steps are asked.

    session: the visit's item ids, oldest first, the one on screen last
    models:  keys in SESSREC["MODELS"], in the order to try
    depth:   candidates wanted of each step
    """

    session: Sequence[str]
    models: Sequence[str]
    depth: int


def climb_down(question: Question, catalogue: Catalogue) -> Iterator[Candidate]:
    """Candidates step by step, best first; a step is asked when those above have run out.

    A step that fails counts as one that knows nothing.
    """
    for step in _steps(question, catalogue):
        found: list[Candidate] = []
        with isolated("ask a step of the fallback ladder"):
            found = step()
        yield from found


def _steps(question: Question, catalogue: Catalogue) -> Iterator[Callable[[], list[Candidate]]]:
    models, session, depth = question.models, question.session, question.depth
    of_the_visit = [partial(_ranked, model, session, depth, MODEL) for model in models]
    of_its_last_item: list[Callable[[], list[Candidate]]] = []
    if last := session[-1:]:
        of_its_last_item = [
            *(partial(_ranked, model, last, depth, CO_VIEWS) for model in _co_views_models(models)),
            partial(_beside, last[0], depth, catalogue),
        ]
    if any(_knows(model, item_id) for model in models for item_id in last):
        yield from (*of_the_visit, *of_its_last_item)
    else:  # the last item is newer than the models, which would only hear what came before it
        yield from (*of_its_last_item, *of_the_visit)
    yield partial(_popular, question.models)
    yield partial(_static, question.depth, catalogue)


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


def _beside(item_id: str, k: int, catalogue: Catalogue) -> list[Candidate]:
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


def _static(k: int, catalogue: Catalogue) -> list[Candidate]:
    return [Candidate(item_id, STATIC, "static") for item_id in catalogue.fallback(k)]
