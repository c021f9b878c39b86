"""Throttles per session and per address: two numbers in the cache for each, however high the rate."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.views import APIView

from django_sessrec.capture import cookie
from django_sessrec.capture.cache_waits import cache_may_be_asked, noting_a_late_cache
from django_sessrec.capture.client_address import client_address
from django_sessrec.conf import SETTINGS, sessrec_settings
from django_sessrec.safety import log

ADDRESS_FACTOR = 20  # visitors behind one address, as in an office or a mobile network
SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class PerVisitor:
    """A setting's rate for each session; for each address where there is no session.

    A request without session whose address is not known has no limit: it may be any of the shop's visitors.

    Requests are counted by periods that begin together for everybody. Those of the period before count by
    the share of it that is less than a period ago. Refused requests are not counted.
    """

    factor = 1

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()  # of the counts of this period and the one before; none: no limit
        self._limit, self._seconds = 0, 1  # requests in a period
        self._passed = 0.0  # seconds of this period
        self._begun = False  # whether the cache has its count
        self._wait = 0.0  # seconds

    def ask(self, request: HttpRequest, setting: str) -> Sequence[str]:
        """The keys in the cache of the counts that say whether the request is within the rate."""
        rate, who = rate_of(setting), self.who(request)
        if rate is not None and who is not None:
            number, self._seconds = rate
            self._limit = number * self.factor
            period, self._passed = divmod(time.time(), self._seconds)
            name = f"sessrec:{type(self).__name__}:{setting}:{_hidden(who)}"
            self._keys = f"{name}:{period:.0f}", f"{name}:{period - 1:.0f}"
        return self._keys

    def fits(self, counts: Mapping[str, int]) -> bool:
        """Whether one more request is within the rate, by the counts in the cache."""
        if not self._keys:
            return True
        now, before = (counts.get(key, 0) for key in self._keys)
        self._begun, limit, left = now > 0, self._limit, 1 - self._passed / self._seconds
        if now + math.ceil(before * left) < limit:
            return True
        # Until few enough of the period before count: of this one, where this one alone reaches the limit,
        # which may be 0.
        wait = left - (limit - now - 1) / before if now < limit else left + 1 - (limit - 1) / max(now, 1)
        self._wait = wait * self._seconds
        return False

    def count(self) -> None:
        """Count a request."""
        if self._keys and (self._begun or not cache.add(self._keys[0], 1, 2 * self._seconds)):
            cache.incr(self._keys[0])

    def wait(self) -> float:
        """Seconds until the next request is within the rate."""
        return self._wait

    def who(self, request: HttpRequest) -> str | None:
        """Whose requests are counted together."""
        session_id = cookie.presented(request)
        return str(session_id) if session_id else client_address(request)


class PerAddress(PerVisitor):
    """A limit per address, for clients that invent a new session for each request."""

    factor = ADDRESS_FACTOR

    def who(self, request: HttpRequest) -> str | None:
        return client_address(request)


THROTTLES: Sequence[type[PerVisitor]] = (PerVisitor, PerAddress)


def admitted(request: HttpRequest, setting: str, throttles: Sequence[PerVisitor] | None = None) -> bool:
    """Whether the request is within the rates of all throttles, which then count it; else none does.

    The cache is read once for all of them. If it fails or answers late, the shop goes on: nobody is refused.
    """
    throttles = [each() for each in THROTTLES] if throttles is None else throttles
    try:
        keys = [key for each in throttles for key in each.ask(request, setting)]
        if not keys or not cache_may_be_asked():
            return True
        with noting_a_late_cache():
            counts = cache.get_many(keys)
        fitting = [each.fits(counts) for each in throttles]  # all are asked: each then knows how long to wait
        if not all(fitting):
            return False
        if cache_may_be_asked():
            with noting_a_late_cache():
                for each in throttles:
                    each.count()
    except Exception as error:  # they differ by backend
        log("could not count the API's requests: is the cache reachable?", error)
    return True


class Throttled(APIView):
    """A view within the rates of its `rate_setting`."""

    rate_setting = "THROTTLE_RECOMMENDATIONS"

    def check_throttles(self, request: Request) -> None:
        """Refuse a client over a rate.

        REST framework would ask each throttle by itself, and one would count what another refuses.
        """
        throttles = [each() for each in THROTTLES]
        if not admitted(request._request, self.rate_setting, throttles):
            self.throttled(request, max(each.wait() for each in throttles))


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
