"""health/live and health/ready, for a load balancer: no login, no throttle, one query."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from django_sessrec import database
from django_sessrec.models import Event, Impression

TODAYS_TABLES = "SELECT to_regclass(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL"


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
    today = datetime.now(UTC)
    tables = [f"{model._meta.db_table}_{today:%Y%m%d}" for model in (Event, Impression)]
    try:
        with database.connection().cursor() as cursor:
            cursor.execute(TODAYS_TABLES, tables)
            return "" if all(cursor.fetchone()) else "partitions"
    except Error:
        return "database"
