"""Other origins of the same shop: SESSREC["TRUSTED_ORIGINS"]."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import HttpRequest

from django_sessrec.conf import sessrec_settings

WEB = ("http", "https")


def origin_of(request: HttpRequest) -> str:
    """The request's Origin header; empty where it has none."""
    return str(request.META.get("HTTP_ORIGIN", ""))


def is_own(request: HttpRequest) -> bool:
    """Whether the Origin is this host. Its scheme may differ from ours behind a proxy that ends TLS."""
    try:
        return urlsplit(origin_of(request)).netloc == request.get_host()
    except ValueError:
        return False


def is_trusted(request: HttpRequest) -> bool:
    """Whether the Origin is one of TRUSTED_ORIGINS: another host of the shop, or its app."""
    origin = origin_of(request)
    return bool(origin) and origin in sessrec_settings.TRUSTED_ORIGINS


def is_app(request: HttpRequest) -> bool:
    """Whether the request says that it comes from the shop's app.

    An app has no origin of its own. It sends one that is no website's, such as shop-app://android, and
    TRUSTED_ORIGINS names it; the user agent is then a library's, and says nothing of who sits there.
    """
    return is_trusted(request) and urlsplit(origin_of(request)).scheme not in WEB
