"""health/live and health/ready, for a load balancer: no login, no throttle, one query, an answer in time."""

from __future__ import annotations

from http import HTTPStatus

from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from django_sessrec.capture import partitions
from django_sessrec.capture.fast_query import bounded, patient
from django_sessrec.safety import UnsupportedError

TIMEOUT_SECONDS = 2.0  # a probe gives up soon, and leaves the thread that waits behind


@never_cache
def live(_request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
def ready(_request: HttpRequest) -> JsonResponse:
    """The database answers and can take today's rows."""
    if reason := _not_ready():
        return JsonResponse(
            {"status": "unavailable", "reason": reason}, status=HTTPStatus.SERVICE_UNAVAILABLE
        )
    return JsonResponse({"status": "ok"})


def _not_ready() -> str:
    try:
        with patient(TIMEOUT_SECONDS), bounded():  # asks a database that rests from pages, too
            return "" if partitions.days_ahead() >= 0 else "partitions"
    except (Error, UnsupportedError):
        return "database"
