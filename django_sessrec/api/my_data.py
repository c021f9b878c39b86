"""my-data/: the data of the visitor's session, and its erasure (GDPR 15, 17 and 20)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import Erased, MyData, MyEvent, MyImpression, problems
from django_sessrec.api.views import SessrecView
from django_sessrec.capture import cookie
from django_sessrec.models import Event, Impression, Quarantine
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
        events = Event.objects.filter(session_id=session_id).order_by("pk")
        impressions = Impression.objects.filter(session_id=session_id).order_by("pk")
        held = Quarantine.objects.filter(pk=session_id).first()
        return Response(
            {
                "session_id": session_id,
                "events": MyEvent(events, many=True).data if session_id else [],
                "impressions": MyImpression(impressions, many=True).data if session_id else [],
                "quarantine": held and held.reason,
            }
        )

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
