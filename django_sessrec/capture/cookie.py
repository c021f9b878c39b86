"""The session's cookie: a random id in the shop's own domain, closed by 30 idle minutes and after a day.

The id is signed by Django's Signer: otherwise a program could invent sessions and pass the limit on those it
may begin. A second cookie, <COOKIE_NAME>_off=1, is the same for all visitors who want no personalisation.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.cookies import Morsel
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase

from django_sessrec.capture import origins
from django_sessrec.capture.shared_caches import keep_out_of_shared_caches
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import time_of

LONGEST_SESSION = timedelta(hours=24)  # a client that never idles gets a new session after a day
CLOCK_SKEW = timedelta(minutes=5)  # between two web servers
SALT = "django_sessrec.cookie"
MAX_LENGTH = 100  # characters of what is looked at; an id and its signature are 80
OFF = "1"  # says what was chosen, and nothing of who chose it
OFF_LASTS = timedelta(days=365)  # browsers keep no cookie beyond 400 days
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def text_of(session_id: UUID) -> str:
    """What the cookie holds: <id>.<signature>."""
    return _signer().sign(str(session_id))


def sent(request: HttpRequest) -> bool:
    """Whether the request brings a cookie of this name, whatever it holds."""
    return sessrec_settings.COOKIE_NAME in request.COOKIES


def presented(request: HttpRequest) -> UUID | None:
    """The session id that the request brings, however old; None where it brings none that this shop gave."""
    text = request.COOKIES.get(sessrec_settings.COOKIE_NAME)
    if not text or len(text) > MAX_LENGTH:
        return None
    return _presented_by(text, settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


def read(request: HttpRequest) -> UUID | None:
    """The current session's id; None where the request brings none, or one that has ended."""
    session_id = presented(request)
    if session_id is None:
        return None
    age = datetime.now(UTC) - time_of(session_id)
    return session_id if -CLOCK_SKEW <= age <= LONGEST_SESSION else None


def withheld(request: HttpRequest) -> bool:
    """Whether the browser may have a cookie for us that it keeps from this request.

    With SameSite=Lax it does so when another site's page posts a form here, as a bank does after a payment,
    embeds us or asks by a script; with SameSite=Strict also when the visitor follows another site's link. A
    session begun by such a request would replace the visitor's own.
    """
    if sessrec_settings.COOKIE_SAMESITE == "None":
        return False
    safe = request.method in SAFE_METHODS and sessrec_settings.COOKIE_SAMESITE != "Strict"
    if site := request.META.get("HTTP_SEC_FETCH_SITE"):
        opened = request.META.get("HTTP_SEC_FETCH_DEST", "document") == "document"
        return site == "cross-site" and not (safe and opened)
    if not origins.origin_of(request) or safe:
        return False
    return not (origins.is_own(request) or origins.is_trusted(request))


def write(request: HttpRequest, response: HttpResponseBase, session_id: UUID) -> None:
    """Give the visitor the cookie, or its next idle minutes; shared caches must not keep such a page."""
    name = sessrec_settings.COOKIE_NAME
    response.set_cookie(name, _text_for(request, name, session_id), **_attributes(request))
    # Not by set_cookie(), which adds the date for Internet Explorer, too.
    response.cookies[name]["max-age"] = int(60 * sessrec_settings.SESSION_IDLE_MINUTES)
    keep_out_of_shared_caches(response)


def delete(request: HttpRequest, response: HttpResponseBase) -> None:
    """Take the cookie back from a visitor who has one."""
    if sent(request):
        _take_back(sessrec_settings.COOKIE_NAME, request, response)


def switched_off(request: HttpRequest) -> bool:
    """Whether the visitor has switched personalisation off."""
    return request.COOKIES.get(f"{sessrec_settings.COOKIE_NAME}_off") == OFF


def switch_off(request: HttpRequest, response: HttpResponseBase) -> None:
    """Remember that the visitor wants no personalisation."""
    response.set_cookie(_off_name(), OFF, max_age=OFF_LASTS, **_attributes(request))
    keep_out_of_shared_caches(response)


def switch_on(request: HttpRequest, response: HttpResponseBase) -> None:
    """Forget it again: from then on consent decides."""
    _take_back(_off_name(), request, response)


def _text_for(request: HttpRequest, name: str, session_id: UUID) -> str:
    """What the cookie is to hold: what the request brought, whose signature was read, where that names it."""
    brought = request.COOKIES.get(name, "")
    if brought.startswith(f"{session_id}.") and not settings.SECRET_KEY_FALLBACKS:  # which may have signed it
        return brought
    return text_of(session_id)


def _signer() -> Signer:
    return _signer_by(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=1_000)  # a session's pages follow each other, and an API's request asks twice
def _presented_by(text: str, key: str | bytes, fallbacks: tuple[str | bytes, ...]) -> UUID | None:
    try:
        return UUID(_signer_by(key, fallbacks).unsign(text))
    except (BadSignature, ValueError):
        return None


@lru_cache(maxsize=32)
def _signer_by(key: str | bytes, fallbacks: tuple[str | bytes, ...]) -> Signer:
    return Signer(key=key, fallback_keys=list(fallbacks), salt=SALT, sep=".")


def _secure(request: HttpRequest) -> bool:
    secure = sessrec_settings.COOKIE_SECURE
    if secure is None:
        # Browsers refuse a cookie with SameSite=None that is not Secure.
        return request.is_secure() or sessrec_settings.COOKIE_SAMESITE == "None"
    return secure


def _off_name() -> str:
    return f"{sessrec_settings.COOKIE_NAME}_off"


def _attributes(request: HttpRequest) -> dict[str, Any]:
    return {
        "domain": sessrec_settings.COOKIE_DOMAIN,
        "secure": _secure(request),
        "httponly": True,
        "samesite": sessrec_settings.COOKIE_SAMESITE,
    }


def _take_back(name: str, request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the cookie in every domain that it may have been given for.

    COOKIE_DOMAIN may have changed since: the browser would go on sending the one of before.
    """
    same_site: Any = sessrec_settings.COOKIE_SAMESITE
    response.delete_cookie(name, domain=sessrec_settings.COOKIE_DOMAIN, samesite=same_site)
    for domain in _domains(request) - {sessrec_settings.COOKIE_DOMAIN}:
        gone: Morsel[str] = Morsel()
        gone.update(response.cookies[name])
        gone["domain"] = domain or ""
        gone.set(name, "", '""')
        # Django keeps one cookie a name; the key is looked at by nobody.
        dict.__setitem__(response.cookies, f"{name} {domain}", gone)
    keep_out_of_shared_caches(response)


def _domains(request: HttpRequest) -> set[str | None]:
    """The request's host itself (None), and the domains that a cookie sent to it may stand for."""
    try:
        host, _ = split_domain_port(request.get_host())
    except DisallowedHost:  # no reason to keep a visitor's rows, which go after the cookie
        return {None}
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        labels = host.split(".")
        return {None, *(".".join(labels[start:]) for start in range(len(labels) - 1))}
    return {None}
