"""Rates hold over any minute, not only over those of the clock."""

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import RequestFactory

from django_sessrec.api import throttling
from django_sessrec.capture.session_limit import may_begin
from django_sessrec.testing import reset
from tests.capture.shop import LateCache

MINUTE = 60


@pytest.fixture
def clock(monkeypatch, settings):
    """A clock that stands where the test puts it, and a limit of six a minute."""
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "6/min", "NUM_PROXIES": 0}
    cache.clear()
    now = [1_000 * MINUTE]
    monkeypatch.setattr(throttling.time, "time", lambda: now[0])

    def stand(seconds):
        now[0] = 1_000 * MINUTE + seconds

    return stand


def asked(times=1):
    request = RequestFactory().get("/", REMOTE_ADDR="93.184.216.34")
    return [throttling.admitted(request, "THROTTLE_EVENTS") for _ in range(times)]


def test_a_rate_holds_over_the_end_of_a_minute(clock):
    clock(59)
    assert asked(7) == [True] * 6 + [False]
    clock(61)
    assert asked() == [False]
    clock(90)
    assert asked(4) == [True] * 3 + [False], "half of the minute before counts"
    clock(200)
    assert asked(6) == [True] * 6


def test_what_was_refused_does_not_count(clock):
    clock(0)
    asked(60)
    clock(60 + 10)
    assert asked(2) == [True, False]


@pytest.mark.parametrize(("first", "then"), [(0, 30), (59, 60), (59, 100), (10, 69)])
def test_who_waits_as_long_as_is_said_is_admitted(clock, first, then):
    request = RequestFactory().get("/", REMOTE_ADDR="93.184.216.34")
    clock(first)
    asked(6)
    clock(then)
    throttle = throttling.PerVisitor()
    while throttling.admitted(request, "THROTTLE_EVENTS", [throttle]):
        throttle = throttling.PerVisitor()
    assert throttle.wait() > 0
    clock(then + throttle.wait() + 0.001)
    assert asked() == [True]


def test_the_cache_is_read_once_for_all_throttles(clock, settings):
    settings.CACHES = {"default": {"BACKEND": "tests.api.test_throttling.Counting"}}
    clock(1)
    assert asked(3) == [True] * 3
    assert cache.reads == 3


def test_one_request_waits_for_a_cache_that_answers_late_and_the_others_do_not_ask(clock, settings):
    settings.CACHES = {"default": {"BACKEND": "tests.capture.shop.LateCache"}}
    LateCache.asked = 0
    clock(1)
    assert asked(10) == [True] * 10
    assert LateCache.asked == 1
    reset()
    may_begin(RequestFactory().get("/", REMOTE_ADDR="93.184.216.34"))
    assert LateCache.asked == 2
    assert asked() == [True]
    assert LateCache.asked == 2, "what a page has found out holds for the API, too"


class Counting(LocMemCache):
    reads = 0

    def get_many(self, *args, **kwargs):
        self.reads += 1
        return super().get_many(*args, **kwargs)


def test_a_rate_of_none_at_all_refuses_everybody(clock, settings, caplog):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "0/min"}
    clock(1)
    assert asked(2) == [False, False]
    assert not caplog.records


@pytest.mark.parametrize("wrong", ["many", "6/fortnight", "/min", 5])
def test_a_rate_that_is_none_costs_no_request_and_the_default_holds(clock, settings, caplog, wrong):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": wrong}
    clock(1)
    assert asked(200) == [True] * 120 + [False] * 80
    assert caplog.text.count("is no rate; '120/min' is used") == 1
