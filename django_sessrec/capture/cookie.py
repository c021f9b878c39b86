"""The session's cookie: a random id in the shop's own domain, closed by 30 idle minutes and after a day.

The id is signed, <id>.<MAC>: else a program could invent visits, past the bound on those that it may begin.
And the one of visitors who want none: <COOKIE_NAME>_off=1, the same for all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.utils.crypto import constant_time_compare

from django_sessrec import signatures
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import time_of

LONGEST_SESSION = timedelta(hours=24)  # a client that never idles gets a new session after a day
CLOCK_SKEW = timedelta(minutes=5)  # between two web servers
POINT = "."  # between the id and its MAC
SALT = "django_sessrec.cookie"
OFF = "1"  # says what was chosen, and nothing of who chose it
OFF_LASTS = timedelta(days=365)  # browsers keep no cookie beyond 400 days


def text_of(session_id: UUID) -> str:
    """What the cookie holds."""
    text = str(session_id)
    return f"{text}{POINT}{next(signatures.macs(SALT, text.encode())).hex()}"


def presented(request: HttpRequest) -> UUID | None:
    """The session id that the request brings, however old; None where it brings none that this shop gave."""
    text, _, given = request.COOKIES.get(sessrec_settings.COOKIE_NAME, "").partition(POINT)
    if not given:
        return None
    genuine = any(constant_time_compare(given, mac.hex()) for mac in signatures.macs(SALT, text.encode()))
    return UUID(text) if genuine else None


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
        text_of(session_id),
        max_age=timedelta(minutes=sessrec_settings.SESSION_IDLE_MINUTES),
        domain=sessrec_settings.COOKIE_DOMAIN,
        secure=_secure(request),
        httponly=True,
        samesite=sessrec_settings.COOKIE_SAMESITE,
    )
    patch_cache_control(response, private=True)


def delete(request: HttpRequest, response: HttpResponseBase) -> None:
    """Take the cookie back from a visitor who has one."""
    if sessrec_settings.COOKIE_NAME not in request.COOKIES:
        return
    response.delete_cookie(
        sessrec_settings.COOKIE_NAME,
        domain=sessrec_settings.COOKIE_DOMAIN,
        samesite=sessrec_settings.COOKIE_SAMESITE,
    )
    patch_cache_control(response, private=True)


def switched_off(request: HttpRequest) -> bool:
    """Whether the visitor has switched personalisation off."""
    return request.COOKIES.get(_off_name()) == OFF


def switch_off(request: HttpRequest, response: HttpResponseBase) -> None:
    """Remember that the visitor wants no personalisation."""
    response.set_cookie(
        _off_name(),
        OFF,
        max_age=OFF_LASTS,
        domain=sessrec_settings.COOKIE_DOMAIN,
        secure=_secure(request),
        httponly=True,
        samesite=sessrec_settings.COOKIE_SAMESITE,
    )
    patch_cache_control(response, private=True)


def switch_on(response: HttpResponseBase) -> None:
    """Forget it again: from then on consent decides."""
    response.delete_cookie(
        _off_name(), domain=sessrec_settings.COOKIE_DOMAIN, samesite=sessrec_settings.COOKIE_SAMESITE
    )
    patch_cache_control(response, private=True)


def _secure(request: HttpRequest) -> bool:
    secure = sessrec_settings.COOKIE_SECURE
    if secure is None:
        # Browsers refuse a cookie with SameSite=None that is not Secure.
        return request.is_secure() or sessrec_settings.COOKIE_SAMESITE == "None"
    return secure


def _off_name() -> str:
    return f"{sessrec_settings.COOKIE_NAME}_off"
