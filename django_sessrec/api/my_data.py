"""my-data/: the data of the visitor's session, and its erasure (GDPR 15, 17 and 20)."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from django_sessrec.api.openapi import documented
from django_sessrec.api.serializers import Erased, MyData, MyEvent, MyFailedEvent, MyImpression, problems
from django_sessrec.api.views import SessrecView
from django_sessrec.capture import cookie
from django_sessrec.capture.fast_query import execute_with_deadline
from django_sessrec.privacy.erasure import erase

TIMES = {"occurred_at", "received_at", "shown_at", "withdrawn_at"}


class MyDataView(SessrecView):
    """The data of a session and its erasure; the cookie is the only key."""

    @documented(
        operation_id="my_data",
        summary="Everything kept of this visit",
        responses={200: MyData, **problems()},
    )
    def get(self, request: Request) -> Response:
        session_id = cookie.presented(request)
        held = _kept("quarantine", session_id, "reason")
        withdrawn = _kept("withdrawal", session_id, "withdrawn_at")
        return Response(
            {
                "session_id": session_id,
                "events": MyEvent(_kept("event", session_id, "event_id"), many=True).data,
                "impressions": MyImpression(_kept("impression", session_id, "impression_id"), many=True).data,
                "failed_events": MyFailedEvent(_kept("failedevent", session_id, "id"), many=True).data,
                "quarantine": held[0]["reason"] if held else None,
                "withdrawn_at": withdrawn[0]["withdrawn_at"] if withdrawn else None,
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


def _kept(table: str, session_id: UUID | None, order: str) -> list[dict[str, Any]]:
    """The session's rows of a table. Not by the ORM: its statements name the session in Postgres's log."""
    if session_id is None:
        return []
    kept = f"SELECT to_jsonb(kept) FROM sessrec_{table} AS kept"  # noqa: S608, both names are of this module
    rows = execute_with_deadline(f"{kept} WHERE session_id = $1::uuid ORDER BY {order}", str(session_id))
    return [_read(json.loads(str(row), parse_float=Decimal)) for [row] in rows]


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return {key: datetime.fromisoformat(value) if key in TIMES else value for key, value in row.items()}
