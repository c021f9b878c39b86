"""my-data/: the data of the visitor's session, and its erasure (GDPR 15, 17 and 20)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import Erased, MyData, MyEvent, MyFailedEvent, MyImpression, problems
from django_sessrec.api.views import SessrecView
from django_sessrec.capture import cookie
from django_sessrec.capture.fast_query import bounded
from django_sessrec.models import Event, FailedEvent, Impression, Quarantine, Withdrawal
from django_sessrec.privacy.erasure import erase


class MyDataView(SessrecView):
    """The data of a session and its erasure; the cookie is the only key."""

    @documented(
        operation_id="my_data",
        summary="Everything kept of this visit",
        responses={200: MyData, **problems()},
    )
    def get(self, request: Request) -> Response:
        session_id = cookie.presented(request)
        if session_id is None:
            nothing: dict[str, Any] = {"events": [], "impressions": [], "failed_events": []}
            return Response({"session_id": None, **nothing, "quarantine": None, "withdrawn_at": None})
        with bounded():
            return Response({"session_id": session_id, **_kept_of(session_id)})

    @documented(
        operation_id="erase_my_data",
        summary="Erase this visit",
        responses={200: Erased, **problems()},
    )
    def delete(self, request: Request) -> Response:
        session_id = cookie.presented(request)
        response = Response({"erased": erase(session_id) if session_id else {}})
        cookie.delete(request, response)
        return response


def _kept_of(session_id: UUID) -> dict[str, Any]:
    """The session's rows of every table that names sessions."""
    events, impressions, failed_events = (
        model.objects.filter(session_id=session_id).order_by("pk")
        for model in (Event, Impression, FailedEvent)
    )
    return {
        "events": MyEvent(events, many=True).data,
        "impressions": MyImpression(impressions, many=True).data,
        "failed_events": MyFailedEvent(failed_events, many=True).data,
        "quarantine": _of(Quarantine, session_id, "reason"),
        "withdrawn_at": _of(Withdrawal, session_id, "withdrawn_at"),
    }


def _of(model: type[Quarantine | Withdrawal], session_id: UUID, field: str) -> Any:
    return model.objects.filter(pk=session_id).values_list(field, flat=True).first()
