"""Who may call: the shop's own pages, at a bounded pace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.utils.crypto import salted_hmac
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from django_sessrec.capture import cookie
from django_sessrec.conf import sessrec_settings

ADDRESS_FACTOR = 20  # visitors behind one address, as in an office or a mobile network

logger = logging.getLogger("django_sessrec")


class FromTheShop(BasePermission):
    """Refuses other sites' pages.

    A browser names where a request comes from in Sec-Fetch-Site, an older one in Origin. Without both it is
    no browser: that is fine for a shop's own server asking for a list, and not for events, which would let a
    script fill the tables with visits that nobody made (`browsers_only` of the view).
    """

    message = "This address answers the shop's own pages only."
    code = "foreign_origin"

    def has_permission(self, request: Request, view: APIView) -> bool:
        if site := request.headers.get("Sec-Fetch-Site"):
            # "none" is the address bar; nothing can be sent from there but GET
            return site == "same-origin" or (site == "none" and request.method in SAFE_METHODS)
        if origin := request.headers.get("Origin"):
            return _host(origin) == request.get_host()
        return not getattr(view, "browsers_only", False)


class PerVisitor(SimpleRateThrottle):
    """The view's `rate_setting`, for each visit; for each address where there is no visit."""

    factor = 1

    def get_rate(self) -> str:
        return ""  # known only with the view: see allow_request

    def parse_rate(self, rate: str) -> tuple[int | None, int | None]:
        requests, seconds = super().parse_rate(rate or None)
        return requests and requests * self.factor, seconds

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.scope = view.rate_setting
        self.num_requests, self.duration = self.parse_rate(getattr(sessrec_settings, self.scope))
        self.rate = self.scope
        try:
            return super().allow_request(request, view)
        except Exception:  # the cache's own errors differ by backend; a shop without a cache goes on
            logger.exception("The API's requests can't be counted: is the cache reachable?")
            return True

    def get_cache_key(self, request: Request, view: APIView) -> str:
        session_id = cookie.presented(request)
        return self._key(str(session_id) if session_id else self.get_ident(request))

    def _key(self, who: str) -> str:
        """Keyed with the shop's secret, so that no address can be read out of the cache."""
        digest = salted_hmac("django_sessrec.throttle", who, algorithm="sha256").hexdigest()
        return f"sessrec:{type(self).__name__}:{self.scope}:{digest}"


class PerAddress(PerVisitor):
    """A bound for who invents a new visit for each request."""

    factor = ADDRESS_FACTOR

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return self._key(self.get_ident(request))


THROTTLES: Sequence[type[SimpleRateThrottle]] = (PerVisitor, PerAddress)


def _host(origin: str) -> str:
    """The host of an Origin header; its scheme may differ from ours behind a proxy that ends TLS."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
