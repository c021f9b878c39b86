"""POST personalisation/: the visitor's own switch, one click away on every page (DSA 38, GDPR 21)."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request

from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import Switch, problems
from django_sessrec.api.views import BoundedForm, SeeOther, SessrecView, tracker_of
from django_sessrec.capture import cookie

LONGEST_PATH = 2000  # characters; Django refuses to redirect to far longer ones


class PersonalisationView(SessrecView):
    """The form of {% sessrec_toggle %} posts here; it works without JavaScript and without a CSRF cookie."""

    parser_classes = (BoundedForm,)
    rate_setting = "THROTTLE_EVENTS"
    browsers_only = True

    @documented(
        operation_id="personalisation",
        summary="Switch personalisation off or on for this browser",
        request=Switch,
        responses={
            303: OpenApiResponse(description="Done: back to the page."),
            **problems(400, 413),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        switch = Switch(data=request.data)
        switch.is_valid(raise_exception=True)
        response = SeeOther(_way_back(switch.validated_data.get("next", "")))
        if switch.validated_data["personalisation"] == "on":
            cookie.switch_on(request._request, response)
            return response
        cookie.switch_off(request._request, response)
        if tracker := tracker_of(request._request):
            tracker.withdraw()
        return response


def _way_back(path: str) -> str:
    """The page that the form stood on; the explanation where the form names no page of this shop."""
    own = path.startswith("/") and len(path) <= LONGEST_PATH
    own = own and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if own else reverse("sessrec:why")
