"""POST events/: how many a visitor and an address may send."""

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from tests.support.api import BROWSER, an_event, send

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.urls")]


def test_a_flood_is_slowed_down(visitor, settings):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "2/day"}
    send(visitor, an_event())  # brings the cookie that the next ones are counted by
    assert [send(visitor, an_event()).status_code for _number in range(3)] == [202, 202, 429]
    assert send(visitor, an_event()).json()["code"] == "throttled"


def test_a_rate_that_is_empty_is_no_limit(visitor, settings, caplog):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": ""}
    assert [send(visitor, an_event()).status_code for _number in range(3)] == [202, 202, 202]
    assert caplog.text == ""


def test_without_a_cache_nobody_is_limited_and_the_log_says_it_once(visitor, settings, caplog):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "1/day"}
    settings.CACHES = {"default": {"BACKEND": "tests.api.test_events_throttled.CacheAway"}}
    assert [send(visitor, an_event()).status_code for _number in range(3)] == [202, 202, 202]
    counted = [each for each in caplog.records if "is the cache reachable" in each.message]
    assert len(counted) == 1
    assert counted[0].exc_info


class CacheAway(LocMemCache):
    def get(self, *args, **kwargs):
        raise ConnectionError("refused")


def test_new_sessions_from_one_address_are_bounded_too(settings):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "1/day"}
    statuses = []
    for _number in range(21):
        client = Client(headers=BROWSER, REMOTE_ADDR="93.184.216.34")
        client.cookies["consent"] = "yes"
        client.cookies["sessrec"] = cookie.text_of(uuid7())
        statuses.append(send(client, an_event()).status_code)
    assert statuses == [202] * 20 + [429]


def test_an_address_that_stands_for_the_whole_shop_is_not_bounded(settings):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "1/day"}
    for number in range(25):
        client = Client(headers=BROWSER | {"X-Forwarded-For": f"84.20.1.{number}"}, REMOTE_ADDR="172.64.10.1")
        client.cookies["consent"] = "yes"
        assert send(client, an_event()).status_code == 202


def test_an_invented_forwarded_address_passes_no_throttle(settings):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "1/day", "NUM_PROXIES": 1}
    statuses = []
    for number in range(2):
        headers = BROWSER | {"X-Forwarded-For": f"84.20.1.{number}, 93.184.216.34:{50_000 + number}"}
        statuses.append(send(Client(headers=headers), an_event()).status_code)
    assert statuses == [202, 429]


@pytest.mark.parametrize(
    "address", ["events/", "recommendations/?placement=product_page", "my-data/", "schema/"]
)
def test_who_goes_on_over_the_rate_uses_up_nothing_of_the_address(settings, address):
    limits = {"THROTTLE_EVENTS": "1/day", "THROTTLE_RECOMMENDATIONS": "1/day"}
    settings.SESSREC = settings.SESSREC | limits

    def asked(session_id):
        client = Client(headers=BROWSER, REMOTE_ADDR="93.184.216.34")
        client.cookies["sessrec"] = cookie.text_of(session_id)
        return send(client, an_event()) if address == "events/" else client.get(f"/sessrec/{address}")

    script = uuid7()
    first, *others = [asked(script) for _number in range(25)]
    assert first.status_code < 300
    assert {each.status_code for each in others} == {429}
    assert 0 < int(others[-1]["Retry-After"]) <= 2 * 24 * 60 * 60
    assert asked(uuid7()).status_code == first.status_code
