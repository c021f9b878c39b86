"""Headers that keep a visitor's response out of every shared cache."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

# Content delivery networks and proxies obey these in place of Cache-Control; the value says not to keep it.
OVERRIDING: Final = {
    "akamai-cache-control": "no-store",
    "cdn-cache-control": "no-store",
    "edge-control": "no-store",  # Akamai's, too
    "surrogate-control": "no-store",  # Fastly, Varnish
    "x-accel-expires": "0",  # nginx
    "x-litespeed-cache-control": "no-cache",
}
OF_ONE_NETWORK: Final = "-cdn-cache-control"  # as Cloudflare-CDN-Cache-Control; RFC 9213


def keep_out_of_page_caches(request: HttpRequest) -> None:
    """Let neither Django's cache middleware nor cache_page keep the response to this request.

    cache_page decides inside the view, before any middleware of ours sees the response; this attribute is
    what both look at.
    """
    request._cache_update_cache = False  # type: ignore[attr-defined]


def keep_out_of_shared_caches(response: HttpResponseBase) -> None:
    """Mark the response private, and take back what invites shared caches to keep it all the same."""
    if not response.has_header("Cache-Control"):
        response["Cache-Control"] = "private"
    elif response["Cache-Control"] != "private":
        patch_cache_control(response, private=True)
        directives = [each.strip() for each in response["Cache-Control"].split(",")]
        response["Cache-Control"] = ", ".join(
            each for each in directives if not each.lower().startswith("s-maxage")
        )
    for header in [*response.headers]:
        name = header.lower()
        if name in OVERRIDING or name.endswith(OF_ONE_NETWORK):
            response[header] = OVERRIDING.get(name, "no-store")
