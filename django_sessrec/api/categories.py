"""GET and POST categories/, and slot/<placement>/categories/: a list of categories as JSON or as HTML."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework.request import Request

from django_sessrec.api.openapi import documented
from django_sessrec.api.recommendations import checked, known_placement, language_of_the_page
from django_sessrec.api.serializers import (
    CategoriesAnswer,
    CategoryQuery,
    CategoryQueryWithItems,
    CategorySlotQuery,
    problems,
)
from django_sessrec.api.views import SessrecView, ShopJSON
from django_sessrec.serving.categories import (
    Categories,
    RecommendedCategory,
    recommend_categories,
    rendered_categories,
)

EXAMPLE = OpenApiExample(
    "Teapots for somebody who looked at two of them",
    value={
        "placement": "not_found",
        "title": "Categories for you",
        "personalised": True,
        "consent": "session",
        "categories": [
            {
                "category": "teapots",
                "position": 1,
                "viewed": 2,
                "reason": {"code": "viewed", "because": ["42", "7"]},
                "title": "Teapots",
                "url": "/category/teapots/",
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)


class CategoriesView(SessrecView):
    @documented(
        operation_id="categories",
        summary="The categories of what a placement may show in this visit",
        description="Nothing of such a list is stored, and no click on a category is credited to it.",
        parameters=[CategoryQuery],
        responses={200: CategoriesAnswer, **problems(400, 404)},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> HttpResponse:
        return _answer(request, checked(CategoryQuery, request.query_params))

    @documented(
        operation_id="categories_for_items",
        summary="The same for a visit that the caller keeps",
        request=CategoryQueryWithItems,
        responses={200: CategoriesAnswer, **problems(400, 404, 413)},
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> HttpResponse:
        return _answer(request, checked(CategoryQueryWithItems, request.data))


class CategorySlotView(SessrecView):
    @documented(
        operation_id="category_slot",
        summary="A list of categories as HTML, for a page that a cache keeps",
        parameters=[CategorySlotQuery],
        responses={(200, "text/html"): OpenApiResponse(OpenApiTypes.STR), **problems(400, 404)},
    )
    def get(self, request: Request, placement: str) -> HttpResponse:
        query = {"placement": placement, **checked(CategorySlotQuery, request.query_params)}
        with language_of_the_page(query):
            categories = _made(request, query)
            html = rendered_categories(categories, request._request)
        return HttpResponse(html, headers={"Sessrec-Consent": categories.consent})


def _made(request: Request, query: dict[str, Any]) -> Categories:
    asked: HttpRequest = request._request
    return recommend_categories(
        asked,
        known_placement(query),
        item=query.get("item_id"),
        items=query.get("item_ids"),
        limit=query.get("limit"),
        category=query.get("category"),
        query=query.get("query", ""),
        exclude=query.get("exclude"),
    )


def _answer(request: Request, query: dict[str, Any]) -> HttpResponse:
    with language_of_the_page(query):  # a Response would be written later, in the browser's language
        categories = _made(request, query)
        return ShopJSON.response(
            {
                "placement": categories.placement,
                "title": categories.title,
                "personalised": categories.personalised,
                "consent": categories.consent,
                "categories": [_described(each) for each in categories.categories],
            }
        )


def _described(category: RecommendedCategory) -> dict[str, Any]:
    return {
        **category.fields,
        "category": category.category,
        "position": category.position,
        "viewed": category.viewed,
        "reason": {"code": category.reason, "because": category.because},
        "url": category.url,
    }
