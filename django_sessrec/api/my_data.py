"""my-data/: the data of the visitor's session, and its erasure (GDPR 15, 17 and 20)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import Erased, MyData, problems
from django_sessrec.api.views import SessrecView
from django_sessrec.capture import cookie
from django_sessrec.privacy.erasure import erase
from django_sessrec.privacy.kept_data import kept_data


class MyDataView(SessrecView):
    """The data of a session and its erasure; the cookie is the only key."""

    @documented(
        operation_id="my_data",
        summary="Everything kept of this visit",
        responses={200: MyData, **problems()},
    )
    def get(self, request: Request) -> Response:
        return Response(MyData(kept_data(cookie.presented(request))).data)

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
