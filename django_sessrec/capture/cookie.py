"""The session's cookie: a random id in the shop's own domain, closed by 30 idle minutes and after a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

from django_sessrec.capture.ids import time_of
from django_sessrec.conf import sessrec_settings

LONGEST_SESSION = timedelta(hours=24)  # a client that never idles gets a new session after a day
CLOCK_SKEW = timedelta(minutes=5)  # between two web servers


def presented(request: HttpRequest) -> UUID | None:
    """The session id that the request brings, however old; None where it brings none, or none of ours."""
    text = request.COOKIES.get(sessrec_settings.COOKIE_NAME, "")
    try:
        session_id = UUID(text) if len(text) == 36 else None
        return session_id if session_id and time_of(session_id) else None
    except ValueError:
        return None


def read(request: HttpRequest) -> UUID | None:
    """The session that goes on with this request, if one does."""
    session_id = presented(request)
    if session_id is None:
        return None
    age = datetime.now(UTC) - time_of(session_id)
    return session_id if -CLOCK_SKEW <= age <= LONGEST_SESSION else None


def write(request: HttpRequest, response: HttpResponseBase, session_id: UUID) -> None:
    """Give the visitor the cookie, or its next idle minutes; shared caches must not keep such a page."""
    response.set_cookie(
        sessrec_settings.COOKIE_NAME,
        str(session_id),
        max_age=timedelta(minutes=sessrec_settings.SESSION_IDLE_MINUTES),
        domain=sessrec_settings.COOKIE_DOMAIN,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    patch_cache_control(response, private=True)


def delete(request: HttpRequest, response: HttpResponseBase) -> None:
    """Take the cookie back from a visitor who has one."""
    if sessrec_settings.COOKIE_NAME not in request.COOKIES:
        return
    response.delete_cookie(
        sessrec_settings.COOKIE_NAME, domain=sessrec_settings.COOKIE_DOMAIN, samesite="Lax"
    )
    patch_cache_control(response, private=True)
