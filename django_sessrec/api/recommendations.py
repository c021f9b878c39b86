"""GET and POST recommendations/, and slot/<placement>/: a placement's list as JSON or as HTML."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from django_sessrec.api.exceptions import UnknownPlacement
from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import Query, QueryWithItems, Recommendations, SlotQuery, problems
from django_sessrec.api.views import SessrecView
from django_sessrec.conf import sessrec_settings
from django_sessrec.serving.recommendations import Slot, SlotItem, fill, rendered

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
                "title": "Stoneware teapot",
                "url": "/product/7/?sessrec=AZqf0x7ycQiB2a3P0fS8m7Xr2kZ1b0aV9sQm4T6yU8w.1",
                "price": "38.00",
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)


class RecommendationsView(SessrecView):
    @documented(
        operation_id="recommendations",
        summary="A placement's list for this visit",
        parameters=[Query],
        responses={200: Recommendations, **problems(400, 404)},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        return _answer(request, _checked(Query, request.query_params))

    @documented(
        operation_id="recommendations_for_items",
        summary="A placement's list for a visit that the caller keeps",
        request=QueryWithItems,
        responses={200: Recommendations, **problems(400, 404, 413)},
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        return _answer(request, _checked(QueryWithItems, request.data))


class SlotView(SessrecView):
    @documented(
        operation_id="slot",
        summary="A placement's list as HTML, for a page that a cache keeps",
        description="The header Sessrec-Consent, session or contextual, says whether to record events.",
        parameters=[SlotQuery],
        responses={(200, "text/html"): OpenApiResponse(OpenApiTypes.STR), **problems(400, 404)},
    )
    def get(self, request: Request, placement: str) -> HttpResponse:
        slot = _filled(request, {"placement": placement, **_checked(SlotQuery, request.query_params)})
        return HttpResponse(rendered(slot, request._request), headers={"Sessrec-Consent": slot.consent})


def _checked(serializer: type[Serializer], given: Any) -> dict[str, Any]:
    checked = serializer(data=given)
    checked.is_valid(raise_exception=True)
    return checked.validated_data


def _filled(request: Request, query: dict[str, Any]) -> Slot:
    if query["placement"] not in sessrec_settings.PLACEMENTS:
        raise UnknownPlacement(f"There is no placement {query['placement']!r}.")
    return fill(request._request, **query)


def _answer(request: Request, query: dict[str, Any]) -> Response:
    slot = _filled(request, query)
    return Response(
        {
            "rec_id": slot.rec_id,
            "placement": slot.placement,
            "title": slot.title,
            "personalised": slot.personalised,
            "consent": slot.consent,
            "model": slot.model,
            "step": slot.step,
            "variant": slot.variant,
            "items": [_described(item) for item in slot.items],
        }
    )


def _described(item: SlotItem) -> dict[str, Any]:
    """Without the score, which is for staff: this API never asks who is signed in."""
    return {
        **item.fields,
        "item_id": item.item_id,
        "position": item.position,
        "step": item.step,
        "pinned": item.pinned,
        "sponsored": item.sponsored,
        "reason": {"code": item.reason, "because": item.because},
        "url": item.url,
    }
