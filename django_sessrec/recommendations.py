"""Recommendations in views and other front ends; in templates, use {% load sessrec %}.

    from django_sessrec.recommendations import get_recommendations

    def product(request, pk):
        product = get_object_or_404(Product, pk=pk)
        recommendations = get_recommendations(request, "product_page", item=product)
        return render(request, "shop/product.html", {"product": product, "recommendations": recommendations})

A list is made in four steps, each of which can be called by itself, without a request, for a preview, a
replay or a test:

    visit = Visit(items=["1", "2"], current="3")
    placement = placement_for("product_page", visit)
    choice = choose(visit, placement)
    [(each.item_id, each.reason, each.trace) for each in choice.items]

`stored_visit(session_id, at=moment)` is a session as the page of that moment saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString

from django_sessrec.serving.candidate import REASONS, STEPS, Candidate, Trace
from django_sessrec.serving.categories import (
    Categories,
    RecommendedCategory,
    arecommend_categories,
    recommend_categories,
    rendered_categories,
)
from django_sessrec.serving.choose import Choice, choose
from django_sessrec.serving.placements import Placement, placement_for
from django_sessrec.serving.recommendations import (
    Recommendations,
    RecommendedItem,
    arecommend,
    recommend,
    remember,
    rendered,
)
from django_sessrec.serving.rules import Rule, RuleContext
from django_sessrec.serving.visit import Visit, stored_visit, visit_of

__all__ = [
    "REASONS",
    "STEPS",
    "Candidate",
    "Categories",
    "Choice",
    "Placement",
    "Recommendations",
    "RecommendedCategory",
    "RecommendedItem",
    "Rule",
    "RuleContext",
    "Trace",
    "Visit",
    "aget_categories",
    "aget_recommendations",
    "choose",
    "get_categories",
    "get_recommendations",
    "placement_for",
    "remember",
    "render",
    "stored_visit",
    "visit_of",
]


def get_recommendations(
    request: HttpRequest | None,
    placement: str,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    limit: int | None = None,
    category: Any = None,
    query: str = "",
    leave_out: Any = (),
) -> Recommendations:
    """The placement's list for the visit that this request belongs to.

    Never raises: an error is logged, and the list is empty. With consent, the list is remembered as an
    impression when the response is made, and the response is marked private.

    placement: a key of SESSREC["PLACEMENTS"]
    item: what is on screen, an id or the shop's object; by default the item of TRACKED_VIEWS
    items: the session's items, oldest first, from a client that keeps them itself; used with consent only
    limit: in place of the placement's LIMIT, from 1 to 100
    leave_out: what the list must not show, an id or an object of the shop, or several, such as what the page
        shows already; what other placements of this request show is left out by itself
    category: of the page, as the catalogue names it, or several: the list shows items of these only
    query: the words of the page's search, for the step "search"
    """
    return recommend(
        request,
        placement,
        item=item,
        items=items,
        limit=limit,
        leave_out=leave_out,
        category=category,
        query=query,
    )


async def aget_recommendations(
    request: HttpRequest | None,
    placement: str,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    limit: int | None = None,
    leave_out: Any = (),
    category: Any = None,
    query: str = "",
) -> Recommendations:
    """get_recommendations() for async views; hand its answer to the template, or to render()."""
    return await arecommend(
        request,
        placement,
        item=item,
        items=items,
        limit=limit,
        leave_out=leave_out,
        category=category,
        query=query,
    )


def get_categories(
    request: HttpRequest | None,
    placement: str,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    limit: int | None = None,
    category: Any = None,
    query: str = "",
    exclude: Any = None,
) -> Categories:
    """The categories of what the placement may show in this visit, the session's own first.

    Never raises. Nothing is remembered, and no click is counted; with consent the response is marked private.

    placement: a key of SESSREC["PLACEMENTS"]: its steps bring the products whose categories are shown
    limit: categories, in place of the placement's LIMIT
    exclude: categories that it must not show, as the catalogue names them or the shop's objects
    The other arguments are those of get_recommendations().
    """
    return recommend_categories(
        request,
        placement,
        item=item,
        items=items,
        limit=limit,
        category=category,
        query=query,
        exclude=exclude,
    )


async def aget_categories(
    request: HttpRequest | None,
    placement: str,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    limit: int | None = None,
    category: Any = None,
    query: str = "",
    exclude: Any = None,
) -> Categories:
    """get_categories() for async views; hand its answer to the template, or to render()."""
    return await arecommend_categories(
        request,
        placement,
        item=item,
        items=items,
        limit=limit,
        category=category,
        query=query,
        exclude=exclude,
    )


def render(recommendations: Recommendations | Categories, request: HttpRequest | None = None) -> SafeString:
    """The list's HTML by its placement's TEMPLATE; empty for an empty list, or on an error.

    The template gets `recommendations` and `request`, and none of the shop's context processors. Categories
    are rendered by sessrec/categories.html, which gets `categories`.
    """
    if isinstance(recommendations, Categories):
        return rendered_categories(recommendations, request)
    return rendered(recommendations, request)
