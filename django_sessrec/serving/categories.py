"""Categories as results, for pages where single products say too little: an empty search, a 404, a home page.

They are those of the products that a placement may show now, so that the merchant's rules, stock and consent
count for them, too. The session's own come first. Nothing of them is stored, and no click on one is credited.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import log2
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.capture.consent import CONTEXTUAL, SESSION, Level
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.recsys.recommender import Source
from django_sessrec.safety import isolated, swallowed
from django_sessrec.serving.candidate import (
    CONTENT,
    FOR_EVERYBODY,
    NEW,
    RECENTLY_VIEWED,
    STATIC,
    USUAL_STEPS,
    Candidate,
)
from django_sessrec.serving.choose import offered
from django_sessrec.serving.debug_comment import why_no_list
from django_sessrec.serving.placements import Placement, placement_for
from django_sessrec.serving.reasons import words
from django_sessrec.serving.shop_wide import all_over
from django_sessrec.serving.visit import Visit, named_categories, visit_of

TEMPLATE: Final = "sessrec/categories.html"
LENGTH: Final = 16  # of the list of products that a model is asked for
PRODUCTS: Final = (24, 96)  # candidates beside the session's own: more where the first are of too few
MAX_OF_A_PRODUCT: Final = 20  # categories that count for one product
SPARE: Final = 3  # times the list's length that the catalogue is asked to describe: some may have no page
OF_A_PRODUCT: Final = frozenset({Source.NETWORK, CONTENT, "same_category"})  # their words name no category


@dataclass(frozen=True, slots=True)
class RecommendedCategory:
    """One category of a list of categories.

    - `category`: as Catalogue.category() names it
    - `position`: 1 is the first
    - `url`: its page
    - `fields`: what Catalogue.describe_categories() says: title, url, and keys of the shop's own
    - `viewed`: how many of its products the session has viewed
    - `items`: the products that speak for it, the shop's objects, best first; viewed ones are among them
    - `reason`: the reason code of the first of them
    - `because`: ids of the clicked products behind it
    - `because_title`: title of the first of them; empty for viewed ones
    - `reason_text`: the reason in words of the page's language; empty where there is nothing to say
    """

    category: str
    position: int
    url: str
    fields: Mapping[str, Any]
    viewed: int
    items: tuple[Any, ...]
    reason: str
    because: tuple[str, ...] = ()
    because_title: str = ""
    reason_text: str = ""


@dataclass(frozen=True, slots=True)
class Categories:
    """A list of categories. Empty where there is none to show, or on an error.

    - `title`: the placement's TITLE, its FALLBACK_TITLE where nothing of the visit or the page has made it,
      else a default
    - `personalised`: whether the session's clicks had a say
    - `consent`: "contextual" or "session"
    """

    placement: str
    title: str = ""
    categories: list[RecommendedCategory] = field(default_factory=list)
    personalised: bool = False
    consent: Level = CONTEXTUAL


def recommend_categories(
    request: HttpRequest | None,
    placement: str,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    limit: Any = None,
    category: Any = None,
    query: str = "",
    exclude: Any = None,
) -> Categories:
    """The categories of what the placement may show in this visit; an error is logged and leaves it empty.

    The arguments are those of django_sessrec.recommendations.get_categories().
    """
    with isolated(f"make the categories of the placement {placement!r}"):
        visit = visit_of(request, item=item, items=items, category=category, query=query)
        settled = placement_for(placement, visit, limit=limit)
        found = choose_categories(
            visit, settled, request=request, exclude=frozenset(named_categories(exclude))
        )
        own = visit.consent == SESSION and any(each.because for each in found)
        return Categories(placement, _title(found, settled, own=own), found, own, visit.consent)
    return Categories(placement)


arecommend_categories = sync_to_async(recommend_categories)


def rendered_categories(categories: Categories, request: HttpRequest | None) -> SafeString:
    """The list's HTML; empty where it has none, but for a comment under DEBUG."""
    with isolated(f"render the categories of the placement {categories.placement!r}"):
        if categories.categories:
            return render_to_string(TEMPLATE, {"categories": categories, "request": request})
    return why_no_list(categories.placement, categories=True)


def choose_categories(
    visit: Visit,
    placement: Placement,
    *,
    request: HttpRequest | None = None,
    exclude: Collection[str] = (),
    catalogue: TextCatalogue | None = None,
) -> list[RecommendedCategory]:
    """The categories for this visit under this placement, best first. Raises what `choose` raises.

    Products are looked up in one query, in two where the first are of too few categories, and in three where
    all that the steps propose are: then the shop's main categories follow.
    """
    if placement.holdout:
        return []
    catalogue = catalogue or get_catalogue()
    steps = (RECENTLY_VIEWED, *(placement.steps or USUAL_STEPS))
    clicked = len({*visit.clicks})
    found: dict[str, list[Candidate]] = {}
    placed = replace(placement, steps=steps, limit=LENGTH)
    offer = partial(offered, visit, placed, request=request, catalogue=catalogue)
    for products in offer([clicked + number for number in PRODUCTS]):
        found = _ranked(products, catalogue, exclude)
        if len(found) >= placement.limit:
            break
    if len(found) < placement.limit and STATIC in steps and not visit.categories:
        others = [Candidate(item_id, STATIC, STATIC) for item_id in all_over(catalogue)]
        for products in offer([len(others)], of=others):
            more = _ranked(products, catalogue, exclude)
            found |= {name: more[name] for name in more if name not in found}
    described = catalogue.describe_categories([*found][: SPARE * placement.limit], request)
    chosen = [name for name in found if name in described][: placement.limit]
    said: set[tuple[str, str]] = set()
    return [
        _recommended(name, position, found[name], described[name], said, catalogue, request)
        for position, name in enumerate(chosen, 1)
    ]


def _ranked(
    products: Iterable[Candidate], catalogue: TextCatalogue, exclude: Collection[str]
) -> dict[str, list[Candidate]]:
    """The products by category: those that the session has viewed first, the latest leading.

    Then step by step: what fills a list up does not stand before what a model proposes, however much there is
    of it. Within a step by discounted cumulative gain, to which a product of several categories adds in part.
    """
    of_category: dict[str, list[Candidate]] = {}
    gain = defaultdict[str, float](float)
    steps: dict[str, int] = {}  # in order of appearance
    for rank, each in enumerate(products, 1):
        steps.setdefault(each.step, len(steps))
        names = _categories(each, catalogue)
        for name in names:
            of_it = of_category.setdefault(name, [])
            if not of_it or (of_it[0].step == each.step != RECENTLY_VIEWED):
                gain[name] += 1 / log2(1 + rank) / len(names)
            of_it.append(each)
    order = sorted(
        of_category.keys() - exclude,
        key=lambda name: (steps[of_category[name][0].step], -gain[name], name),
    )
    return {name: of_category[name] for name in order}


def _categories(candidate: Candidate, catalogue: TextCatalogue) -> list[str]:
    try:
        return sorted(catalogue.categories(candidate.item))[:MAX_OF_A_PRODUCT]
    except Exception as error:
        if not swallowed("tell an item's category", error, about=f"item {candidate.item_id!r}"):
            raise
        return []


def _recommended(
    name: str,
    position: int,
    products: Sequence[Candidate],
    fields: Mapping[str, Any],
    said: set[tuple[str, str]],
    catalogue: TextCatalogue,
    request: HttpRequest | None,
) -> RecommendedCategory:
    """One of the list; a reason that one above it has is not said again, nor one that the heading says."""
    first, viewed = products[0], [each.item_id for each in products if each.step == RECENTLY_VIEWED]
    title = text = ""
    if viewed:
        text = ngettext("You viewed %(count)s product", "You viewed %(count)s products", len(viewed))
        text %= {"count": len(viewed)}
    else:
        if first.because_items:
            with isolated("describe an item that speaks for another", savepoints=False):
                title = str(catalogue.describe(first.because_items[0], request)["title"])
        if first.reason not in FOR_EVERYBODY and (first.reason, title) not in said:
            text = words(Source.SESSION if first.reason in OF_A_PRODUCT else first.reason, title)
            said.add((first.reason, title))
    return RecommendedCategory(
        name,
        position,
        str(fields["url"]),
        fields,
        len(viewed),
        tuple(each.item for each in products),
        first.reason,
        tuple(viewed) or first.because,
        title,
        text,
    )


def _title(found: Iterable[RecommendedCategory], placement: Placement, *, own: bool) -> str:
    """A heading that is true for this list."""
    reasons = {each.reason for each in found}
    if not reasons <= FOR_EVERYBODY:
        return str(placement.title or (_("Categories for you") if own else _("More categories")))
    nobody_said_so = reasons <= {NEW, STATIC}
    usual = _("From our range") if nobody_said_so else _("Popular categories")
    return str(placement.fallback_title or usual)
