"""Filters of the requests that count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

from django_sessrec.capture import origins
from django_sessrec.capture.user_agents import is_bot
from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import never_raises

# Chromium and the standard; Turbo, whose own fetch may not set Sec-; older Chromium; Safari; Firefox
PREFETCH_HEADERS = (
    "HTTP_SEC_PURPOSE",
    "HTTP_X_SEC_PURPOSE",
    "HTTP_PURPOSE",
    "HTTP_X_PURPOSE",
    "HTTP_X_MOZ",
)
PREFETCH = ("prefetch", "prerender", "preview")


@never_raises("tell whether a request is captured: does IGNORE_REQUEST fail?", default=False)
def counts(request: HttpRequest) -> bool:
    """Whether anything of this request is captured: not staff's, not what IGNORE_REQUEST names."""
    return _counts(request)


@never_raises("tell whether a request is captured: does IGNORE_REQUEST fail?", default=False)
def may_count(request: HttpRequest) -> bool:
    """The same as far as an async view can tell, which has not loaded its user: the middleware asks again."""
    try:
        return _counts(request)
    except SynchronousOnlyOperation:
        return True


def _counts(request: HttpRequest) -> bool:
    ignore = sessrec_settings.imported("IGNORE_REQUEST")
    return not (is_prefetch(request) or is_staff(request) or (ignore and ignore(request)))


def is_prefetch(request: HttpRequest) -> bool:
    """Whether the browser fetched a page that nobody has seen yet."""
    return any(
        word in request.META[header].lower()
        for header in PREFETCH_HEADERS
        if header in request.META
        for word in PREFETCH
    )


def is_staff(request: HttpRequest) -> bool:
    """Whether a staff user is signed in.

    Asked for requests that would be captured only, since it may load the shop's session and user: not where
    the request brings no session cookie, and without a Vary header that the page would not have had.
    """
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return False
        with _leaving_no_mark(getattr(request, "session", None)):
            return bool(getattr(user, "is_staff", False))
    return bool(getattr(user, "is_staff", False))


@never_raises("tell whether staff are signed in", default=False)
def is_known_staff(request: HttpRequest) -> bool:
    """Whether a staff user is signed in, for a page that says so.

    False on an error, and in an async view that has not loaded its user: the middleware asks in a thread.
    """
    try:
        return is_staff(request)
    except SynchronousOnlyOperation:
        return False


def from_bot(request: HttpRequest) -> bool:
    """Whether the user agent is a bot's; that of the shop's own app is not judged."""
    return not origins.is_app(request) and is_bot(request.META.get("HTTP_USER_AGENT", ""))


@contextmanager
def _leaving_no_mark(session: Any) -> Iterator[None]:
    """Django's SessionMiddleware adds Vary: Cookie to the page of a session that was read."""
    before = getattr(session, "accessed", None)
    try:
        yield
    finally:
        if before is not None:
            session.accessed = before
