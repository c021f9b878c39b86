"""Throttles per session and per address: two numbers in the cache for each, however high the rate."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from django_sessrec.capture import cookie
from django_sessrec.capture.client_address import client_address
from django_sessrec.conf import SETTINGS, sessrec_settings
from django_sessrec.safety import log

ADDRESS_FACTOR = 20  # visitors behind one address, as in an office or a mobile network
SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class PerVisitor(BaseThrottle):
    """The view's `rate_setting` for each session; for each address where there is no session.

    A request without session whose address is not known has no limit: it may be any of the shop's visitors.

    Requests are counted by periods that begin together for everybody. Those of the period before count by
    the share of it that is less than a period ago. Refused requests are not counted.
    """

    factor = 1

    def __init__(self) -> None:
        self._key: str | None = None  # of the count of this period; None where nothing is counted
        self._begun = False  # whether the cache has that count
        self._wait = 0.0  # seconds

    def allow_request(self, request: Request, view: Any) -> bool:
        if not self.has_room(request._request, view.rate_setting):
            return False
        self.count()
        return True

    def has_room(self, request: HttpRequest, setting: str) -> bool:
        """Whether one more request is within the rate. The cache's own errors allow it: the shop goes on."""
        try:
            rate, who = rate_of(setting), self.who(request)
            if rate is None or who is None:
                return True
            number, self._seconds = rate
            return self._fits(f"sessrec:{type(self).__name__}:{setting}:{_hidden(who)}", number * self.factor)
        except Exception as error:  # they differ by backend
            log("could not count the API's requests: is the cache reachable?", error)
            return True

    def count(self) -> None:
        """Count the request that has_room() was asked about."""
        if self._key is None:
            return
        try:
            if self._begun or not cache.add(self._key, 1, 2 * self._seconds):
                cache.incr(self._key)
        except Exception as error:
            log("could not count the API's requests: is the cache reachable?", error)

    def wait(self) -> float:
        """Seconds until the next request is within the rate."""
        return self._wait

    def who(self, request: HttpRequest) -> str | None:
        """Whose requests are counted together."""
        session_id = cookie.presented(request)
        return str(session_id) if session_id else client_address(request)

    def _fits(self, name: str, limit: int) -> bool:
        period, passed = divmod(time.time(), self._seconds)
        key, key_before = f"{name}:{period:.0f}", f"{name}:{period - 1:.0f}"
        counts = cache.get_many([key, key_before])
        now, before = counts.get(key, 0), counts.get(key_before, 0)
        left = 1 - passed / self._seconds
        if now + math.ceil(before * left) < limit:
            self._key, self._begun = key, key in counts
            return True
        # Until few enough of the period before count: of this one, where this one alone reaches the limit.
        self._wait = left - (limit - now - 1) / before if now < limit else left + 1 - (limit - 1) / now
        self._wait *= self._seconds
        return False


class PerAddress(PerVisitor):
    """A limit per address, for clients that invent a new session for each request."""

    factor = ADDRESS_FACTOR

    def who(self, request: HttpRequest) -> str | None:
        return client_address(request)


THROTTLES: Sequence[type[PerVisitor]] = (PerVisitor, PerAddress)


def admitted(request: HttpRequest, setting: str, classes: Iterable[type[PerVisitor]] = THROTTLES) -> bool:
    """Whether all throttles have room for the request, which is then counted; else it is not."""
    throttles = [each() for each in classes]
    if not all(each.has_room(request, setting) for each in throttles):
        return False
    for each in throttles:
        each.count()
    return True


def rate_of(setting: str) -> tuple[int, int] | None:
    """Requests and seconds of the setting, of its default where it is no rate; None for no limit."""
    rate = getattr(sessrec_settings, setting)
    try:
        return parsed(rate) if rate else None
    except Exception as error:  # a check says so, too
        default = SETTINGS[setting].default
        log(f"SESSREC[{setting!r}] = {rate!r} is no rate; {default!r} is used", error)
        return parsed(default)


@lru_cache
def parsed(rate: str) -> tuple[int, int]:
    """Requests and seconds of a rate such as "120/min"."""
    number, period = rate.split("/")
    return int(number), SECONDS[period[0]]


def _hidden(who: str) -> str:
    """Keyed with the shop's secret, so that no address can be read out of the cache."""
    return salted_hmac("django_sessrec.throttle", who, algorithm="sha256").hexdigest()
