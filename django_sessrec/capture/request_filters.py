"""Which requests count."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

from django_sessrec.capture.user_agents import is_bot
from django_sessrec.conf import sessrec_settings

# Chromium and the standard, older Chromium and Safari, Firefox
PREFETCH_HEADERS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
PREFETCH = ("prefetch", "prerender", "preview")


def counts(request: HttpRequest) -> bool:
    """Whether anything of this request is captured: not staff's, not what IGNORE_REQUEST names."""
    ignore = sessrec_settings.imported("IGNORE_REQUEST")
    return not (is_staff(request) or is_prefetch(request) or (ignore and ignore(request)))


def is_prefetch(request: HttpRequest) -> bool:
    """Whether the browser fetched a page that nobody has seen yet."""
    return any(
        word in request.META[header].lower()
        for header in PREFETCH_HEADERS
        if header in request.META
        for word in PREFETCH
    )


def is_staff(request: HttpRequest) -> bool:
    """Whether a staff user is known already: asking for the user would read the session and vary the page."""
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:
        return False
    return bool(getattr(user, "is_staff", False))


def from_bot(request: HttpRequest) -> bool:
    return is_bot(request.META.get("HTTP_USER_AGENT", ""))
