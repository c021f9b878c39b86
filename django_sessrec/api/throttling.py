"""Throttles per session and per address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from django_sessrec.capture import cookie
from django_sessrec.capture.client_address import client_address
from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import log

ADDRESS_FACTOR = 20  # visitors behind one address, as in an office or a mobile network


class PerVisitor(SimpleRateThrottle):
    """The view's `rate_setting` for each session; for each address where there is no session.

    A request without session whose address is not known has no limit: it may be any of the shop's visitors.
    """

    factor = 1

    def get_rate(self) -> str:
        """Known only with the view: see allow_request."""
        return ""

    def parse_rate(self, rate: str | None) -> tuple[int | None, int | None]:
        requests, seconds = super().parse_rate(rate or None)
        return requests and requests * self.factor, seconds

    def allow_request(self, request: Request, view: Any) -> bool:
        self.scope = view.rate_setting
        self.rate = getattr(sessrec_settings, self.scope) or None  # the framework's word for no limit
        self.num_requests, self.duration = self.parse_rate(self.rate)
        try:
            return bool(super().allow_request(request, view))
        except Exception as error:  # the cache's own errors differ by backend; a shop without a cache goes on
            log("could not count the API's requests: is the cache reachable?", error)
            return True

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        session_id = cookie.presented(request._request)
        return self._key(str(session_id) if session_id else client_address(request._request))

    def _key(self, who: str | None) -> str | None:
        """Keyed with the shop's secret, so that no address can be read out of the cache."""
        if who is None:
            return None
        digest = salted_hmac("django_sessrec.throttle", who, algorithm="sha256").hexdigest()
        return f"sessrec:{type(self).__name__}:{self.scope}:{digest}"


class PerAddress(PerVisitor):
    """A limit per address, for clients that invent a new session for each request."""

    factor = ADDRESS_FACTOR

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return self._key(client_address(request._request))


THROTTLES: Sequence[type[SimpleRateThrottle]] = (PerVisitor, PerAddress)
