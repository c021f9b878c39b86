"""A client that begins visit after visit, as programs without cookies do."""

import pytest
from django.core.cache import cache
from django.test import Client

from django_sessrec.models import Event, FailedEvent
from tests.capture.shop import LateCache
from tests.support.capture import captured
from tests.support.visits import FIREFOX

PROGRAM = "93.184.216.34"


@pytest.fixture(autouse=True)
def bounded(shop):
    cache.clear()
    shop.SESSREC = shop.SESSREC | {"SESSIONS_PER_CLIENT": 3}
    return shop


def come(address=PROGRAM, path="/product/1/", **headers):
    """A new browser, without a cookie of ours, opens a page."""
    client = Client(REMOTE_ADDR=address, headers={"user-agent": FIREFOX, **headers})
    client.cookies["consent"] = "session"
    return client.get(path)


def test_past_its_bound_a_client_gets_pages_without_cookie_or_row(caplog):
    answers = [come() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert ["sessrec" in answer.cookies for answer in answers] == [True] * 3 + [False] * 2
    assert len(captured()) == 3
    assert caplog.text.count("began 3 sessions in an hour, its limit") == 1
    assert PROGRAM not in caplog.text


@pytest.mark.parametrize("page", ["/product/1/", "/remembered/1/"])  # the latter asks for the session's id
def test_pages_that_begin_no_session_use_none_up(bounded, admin_user, page):
    bounded.SESSREC = bounded.SESSREC | {"IGNORE_REQUEST": "tests.capture.shop.internal"}
    for _ in range(4):
        come(path=page, **{"sec-purpose": "prefetch"})
        come(path=f"{page}?internal")
        staff = Client(REMOTE_ADDR=PROGRAM, headers={"user-agent": FIREFOX})
        staff.force_login(admin_user)
        staff.cookies["consent"] = "session"
        staff.get(page)
    assert "sessrec" in come().cookies


def test_sessions_that_begin_with_wrong_input_are_counted():
    for _ in range(5):
        client = Client(REMOTE_ADDR=PROGRAM, headers={"user-agent": FIREFOX})
        client.cookies["consent"] = "session"
        client.post("/basket/", {"item": ""})
    assert FailedEvent.objects.count() == 3


def test_others_are_not_bounded_by_it():
    for _ in range(4):
        come()
    assert "sessrec" in come("93.184.216.35").cookies


def test_a_visit_that_goes_on_is_no_new_one(visitor):
    visitor.defaults["REMOTE_ADDR"] = PROGRAM
    for item in range(9):
        visitor.get(f"/product/{item}/")
    assert len(captured()) == 9


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "fd00::1", "", "unix:"])
def test_an_address_that_stands_for_everybody_is_not_bounded(address):
    """A proxy that NUM_PROXIES does not tell of."""
    assert all("sessrec" in come(address).cookies for _ in range(5))


def test_behind_proxies_the_client_is_whom_the_last_trusted_one_saw(bounded):
    bounded.SESSREC = bounded.SESSREC | {"NUM_PROXIES": 1}
    forged = [come("10.0.0.1", **{"x-forwarded-for": f"8.8.8.{n}, {PROGRAM}"}) for n in range(5)]
    assert sum("sessrec" in answer.cookies for answer in forged) == 3


def test_a_cdns_edge_bounds_nobody_where_no_proxy_is_told_of():
    answers = [come("172.64.10.1", **{"x-forwarded-for": f"84.20.1.{n}"}) for n in range(6)]
    assert all("sessrec" in answer.cookies for answer in answers)


def test_a_port_behind_the_address_is_no_other_client(bounded):
    bounded.SESSREC = bounded.SESSREC | {"NUM_PROXIES": 1}
    answers = [come("10.0.0.6", **{"x-forwarded-for": f"84.20.1.7:{50_000 + n}"}) for n in range(6)]
    assert sum("sessrec" in answer.cookies for answer in answers) == 3


def test_the_devices_of_one_ipv6_customer_count_together():
    answers = [come(f"2606:2800:220:1:248:1893:25c8:{n:x}") for n in range(5)]
    assert sum("sessrec" in answer.cookies for answer in answers) == 3


def test_without_a_cache_pages_go_on(bounded):
    bounded.CACHES = {"default": {"BACKEND": "tests.capture.shop.NoCache"}}
    assert all("sessrec" in come().cookies for _ in range(5))
    assert Event.objects.count() == 5


def test_none_turns_it_off(bounded):
    bounded.SESSREC = bounded.SESSREC | {"SESSIONS_PER_CLIENT": None}
    assert all("sessrec" in come().cookies for _ in range(5))


def test_one_page_waits_for_a_cache_that_answers_late_and_the_others_do_not_ask(bounded):
    bounded.CACHES = {"default": {"BACKEND": "tests.capture.shop.LateCache"}}
    LateCache.asked = 0
    assert all("sessrec" in come().cookies for _ in range(3))
    assert LateCache.asked == 1
    assert len(captured()) == 3
