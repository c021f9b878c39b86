"""GET and POST recommendations/, and slot/<placement>/: a placement's list as JSON or as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from django_sessrec.api.exceptions import UnknownPlacement
from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import (
    MAX_LANGUAGE,
    MAX_PLACEMENT,
    Query,
    QueryWithItems,
    RecommendationsAnswer,
    SlotQuery,
    problems,
)
from django_sessrec.api.views import SessrecView, ShopJSON, level_of
from django_sessrec.capture.event import MAX_ITEM_ID
from django_sessrec.conf import sessrec_settings
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.serving.recommendations import Recommendations, RecommendedItem, recommend, rendered

MAX_LENGTHS: Final[Mapping[str, int]] = {
    "placement": MAX_PLACEMENT,
    "item_id": MAX_ITEM_ID,
    "limit": len(str(MAX_LIMIT)),
    "language": MAX_LANGUAGE,
}
EXAMPLE = OpenApiExample(
    "Two teapots for somebody who looked at a third",
    value={
        "rec_id": "AZqf0x7ycQiB2a3P0fS8m7Xr2kZ1b0aV9sQm4T6yU8w",
        "placement": "product_page",
        "title": "You may also like",
        "personalised": True,
        "consent": "session",
        "model": "neighbours",
        "step": "model",
        "variant": "",
        "items": [
            {
                "item_id": "7",
                "position": 1,
                "step": "model",
                "pinned": False,
                "sponsored": False,
                "reason": {"code": "neighbours", "because": ["42"]},
                "row": "",
                "title": "Stoneware teapot",
                "url": "/product/7/?sessrec=AZqf0x7ycQiB2a3P0fS8m7Xr2kZ1b0aV9sQm4T6yU8w.1",
                "price": "38.00",
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)


LOOKED_AT_CLOSER: Final = frozenset({"leave_out", "category", "query"})  # lists, and words of any language


class RecommendationsView(SessrecView):
    def plain(self, request: HttpRequest) -> HttpResponse | None:
        query = _usual(request, {"placement", "item_id", "limit", "language"})
        if (
            query is None
            or query.get("placement") not in sessrec_settings.PLACEMENTS
            or not self.admits(request)
        ):
            return None
        with language_of_the_page(query):
            return ShopJSON.response(_as_json(_made(request, query)))

    @documented(
        operation_id="recommendations",
        summary="A placement's list for this visit",
        parameters=[Query],
        responses={200: RecommendationsAnswer, **problems(400, 404)},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> HttpResponse:
        return _answer(request, checked(Query, request.query_params))

    @documented(
        operation_id="recommendations_for_items",
        summary="A placement's list for a visit that the caller keeps",
        request=QueryWithItems,
        responses={200: RecommendationsAnswer, **problems(400, 404, 413)},
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> HttpResponse:
        return _answer(request, checked(QueryWithItems, request.data))


class SlotView(SessrecView):
    def plain(self, request: HttpRequest, placement: str) -> HttpResponse | None:
        query = _usual(request, {"item_id", "limit", "language"})
        if query is None or placement not in sessrec_settings.PLACEMENTS or not self.admits(request):
            return None
        return _slot(request, {"placement": placement, **query})

    @documented(
        operation_id="slot",
        summary="A placement's list as HTML, for a page that a cache keeps",
        description="The header Sessrec-Consent, session or contextual, says whether to record events; "
        "errors have it, too.",
        parameters=[SlotQuery],
        responses={(200, "text/html"): OpenApiResponse(OpenApiTypes.STR), **problems(400, 404)},
    )
    def get(self, request: Request, placement: str) -> HttpResponse:
        query = {"placement": placement, **checked(SlotQuery, request.query_params)}
        return _slot(request._request, query)

    def finalize_response(  # type: ignore[override]  # as of the view's base
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """An error says whether to record events, too: the page may have left its view to the script."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            response["Sessrec-Consent"] = level_of(request._request)
        return response


def _slot(request: HttpRequest, query: dict[str, Any]) -> HttpResponse:
    with language_of_the_page(query):
        recommendations = _made(request, query)
        html = rendered(recommendations, request)
    return HttpResponse(html, headers={"Sessrec-Consent": recommendations.consent})


def _usual(request: HttpRequest, known: Set[str]) -> dict[str, Any] | None:
    """The query as checked() would answer it; None where that has to look closer, or refuses it."""
    if not LOOKED_AT_CLOSER.isdisjoint(request.GET):
        return None
    query: dict[str, Any] = {name: value for name, value in request.GET.items() if name in known}
    for name, value in query.items():
        if not value or not value.isascii() or not value.isprintable() or value != value.strip():
            return None
        if len(value) > MAX_LENGTHS.get(name, 0):
            return None
    if limit := query.get("limit"):
        if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
            return None
        query["limit"] = int(limit)
    return query


def checked(serializer: type[Serializer], given: Any) -> dict[str, Any]:
    valid = serializer(data=given)
    valid.is_valid(raise_exception=True)
    data: dict[str, Any] = valid.validated_data
    return data


@contextmanager
def language_of_the_page(query: dict[str, Any]) -> Iterator[None]:
    """The page's language in place of the browser's, where the query names one that the shop speaks."""
    language = query.pop("language", "")
    if settings.USE_I18N and language in dict(settings.LANGUAGES):
        with translation.override(language):
            yield
    else:
        yield


def known_placement(query: Mapping[str, Any]) -> str:
    """The placement that is asked for; UnknownPlacement where the settings have none of its name."""
    placement = str(query["placement"])
    if placement not in sessrec_settings.PLACEMENTS:
        raise UnknownPlacement(f"There is no placement {placement!r}.")
    return placement


def _made(request: HttpRequest, query: dict[str, Any]) -> Recommendations:
    return recommend(
        request,
        known_placement(query),
        item=query.get("item_id"),
        items=query.get("item_ids"),
        limit=query.get("limit"),
        category=query.get("category"),
        query=query.get("query", ""),
        leave_out=query.get("leave_out", ()),
    )


def _answer(request: Request, query: dict[str, Any]) -> HttpResponse:
    with language_of_the_page(query):  # a Response would be written later, in the browser's language
        return ShopJSON.response(_as_json(_made(request._request, query)))


def _as_json(recommendations: Recommendations) -> dict[str, Any]:
    return {
        "rec_id": recommendations.rec_id,
        "placement": recommendations.placement,
        "title": recommendations.title,
        "personalised": recommendations.personalised,
        "consent": recommendations.consent,
        "model": recommendations.model,
        "step": recommendations.step,
        "variant": recommendations.variant,
        "items": [_described(item) for item in recommendations.items],
    }


def _described(item: RecommendedItem) -> dict[str, Any]:
    """Without the score, which is for staff: no answer of this API is for who is signed in."""
    return {
        **item.fields,
        "item_id": item.item_id,
        "position": item.position,
        "step": item.step,
        "pinned": item.pinned,
        "sponsored": item.sponsored,
        "reason": {"code": item.reason, "because": item.because},
        "row": item.row,
        "url": item.url,
    }
