"""Which requests become rows, and what a response carries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient

from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Heartbeat, Withdrawal
from django_sessrec.privacy.erasure import erase
from tests.capture.shop import ASKED_IN_THE_LOOP
from tests.support.capture import captured
from tests.support.visits import FIREFOX, visit_in


def session_of(response):
    return visit_in(response.cookies["sessrec"].value)


def test_a_product_view_is_one_row_of_the_visit_that_the_cookie_names(visitor):
    first, second = visitor.get("/product/1/"), visitor.get("/product/2/")
    assert captured() == [("view_item", "1"), ("view_item", "2")]
    assert set(captured("session_id")) == {(session_of(first),)} == {(session_of(second),)}


def test_the_row_is_as_old_as_its_id(visitor):
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    visitor.get("/product/1/")
    event = Event.objects.get()
    assert before <= event.occurred_at <= datetime.now(UTC)
    assert event.event_id.int >> 80 == round(event.occurred_at.timestamp() * 1000)


def test_the_cookie_is_first_party_and_idle_for_half_an_hour_at_most(visitor):
    given = visitor.get("/product/1/", secure=True).cookies["sessrec"]
    assert (given["max-age"], given["httponly"], given["samesite"], given["secure"], given["path"]) == (
        1800,
        True,
        "Lax",
        True,
        "/",
    )
    assert not visitor.get("/product/1/").cookies["sessrec"]["secure"]  # else http pages would lose the visit


def test_a_tracked_page_is_kept_out_of_shared_caches(visitor):
    assert visitor.get("/product/1/").headers["Cache-Control"] == "private"


def test_an_untracked_page_gets_neither_cookie_nor_vary_nor_cache_header(visitor):
    visitor.get("/product/1/")
    response = visitor.get("/about/")
    assert "sessrec" not in response.cookies
    assert not {"Vary", "Cache-Control", "Set-Cookie"} & set(response.headers)
    assert captured() == [("view_item", "1")]


def test_a_tracked_page_never_reads_the_shops_session_or_user(visitor):
    assert "Vary" not in visitor.get("/product/1/").headers


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "garbage",
        "1" * 10_000,
        "." * 10_000,
        str(uuid4()),
        "00000000-0000-0000-0000-000000000000",
        cookie.text_of(uuid7(datetime.now(UTC) + timedelta(days=1))),
        cookie.text_of(uuid7(datetime.now(UTC) - timedelta(hours=25))),
    ],
    ids=["empty", "text", "long", "points", "version 4", "nil", "future", "a day old"],
)
def test_a_cookie_that_is_no_visit_going_on_starts_a_new_one(visitor, garbage):
    visitor.cookies["sessrec"] = garbage
    response = visitor.get("/product/1/")
    assert response.status_code == 200
    assert str(session_of(response)) not in garbage
    assert captured("session_id") == [(session_of(response),)]


def test_a_visit_goes_on_for_a_day(visitor):
    visitor.cookies["sessrec"] = cookie.text_of(session_id := uuid7(datetime.now(UTC) - timedelta(hours=23)))
    visitor.get("/product/1/")
    assert captured("session_id") == [(session_id,)]


@pytest.mark.parametrize("address", ["/gone/1/", "/broken/1/", "/no-such-page/"])
def test_a_page_that_failed_was_not_seen(visitor, address):
    response = visitor.get(address)
    assert response.status_code in {404, 500}
    assert "sessrec" not in response.cookies
    assert captured() == []


@pytest.mark.parametrize("method", ["head", "post", "options"])
def test_only_get_is_a_view(visitor, method):
    assert "sessrec" not in getattr(visitor, method)("/product/1/").cookies
    assert captured() == []


@pytest.mark.parametrize(
    "header",
    [
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"x-purpose": "preview"},
        {"x-moz": "prefetch"},
    ],
)
def test_a_prefetched_page_was_not_seen(visitor, header):
    assert "sessrec" not in visitor.get("/product/1/", headers=header).cookies
    assert captured() == []


def test_a_bots_view_is_kept_and_marked(visitor):
    visitor.get("/product/1/", headers={"user-agent": "Googlebot/2.1 (+http://www.example.com/bot.html)"})
    visitor.get("/product/2/", headers={"user-agent": ""})
    visitor.get("/product/3/")
    assert captured("item_id", "bot") == [("1", True), ("2", True), ("3", False)]


def test_staff_is_not_counted_where_the_page_knows_her(visitor, admin_user):
    visitor.force_login(admin_user)
    assert visitor.get("/account/1/").content == b"hello admin"
    assert captured() == []


def test_ignored_requests_are_not_counted(visitor, shop):
    shop.SESSREC |= {"IGNORE_REQUEST": "tests.capture.shop.internal"}
    visitor.get("/product/1/?internal")
    visitor.get("/product/2/")
    assert captured() == [("view_item", "2")]


def test_a_sensitive_item_leaves_no_trace(visitor):
    response = visitor.get("/product/sensitive/")
    visitor.post("/basket/", {"item": "sensitive"})
    assert "sessrec" not in response.cookies
    assert captured() == []
    assert not FailedEvent.objects.exists()


def test_where_nobody_can_say_what_is_sensitive_nothing_is_captured(visitor, shop, caplog):
    shop.SESSREC |= {"CATALOGUE": "tests.capture.shop.BrokenCatalogue"}
    assert visitor.get("/product/1/").content == b"product 1"
    assert captured() == []
    assert "the shop's own mistake" in caplog.text


def test_what_the_shop_records_is_written_whatever_the_response(visitor):
    assert visitor.post("/basket/", {"item": "5", "quantity": 3}).status_code == 302
    assert captured("name", "item_id", "quantity", "price") == [("add_to_cart", "5", 3, Decimal("9.90"))]


@pytest.mark.parametrize("item", ["", "x" * 201, "nul\x00byte"])
def test_a_wrong_value_is_kept_with_its_reason_and_the_shop_goes_on(visitor, item, caplog):
    assert visitor.post("/basket/", {"item": item}).status_code == 302
    assert captured() == []
    failed = FailedEvent.objects.get()
    assert (failed.code, failed.payload["name"]) == ("item_id", "add_to_cart")
    assert "item id" in caplog.text


def test_a_purchase_is_written_when_its_order_commits(visitor):
    visitor.post("/order/")
    assert captured("name", "item_id", "quantity", "currency") == [
        ("purchase", "7", 2, "EUR"),
        ("purchase", "8", 1, "EUR"),
    ]


def test_a_purchase_is_not_written_when_its_order_rolls_back(visitor):
    assert visitor.post("/order/", {"card": "refused"}).status_code == 409
    assert not Heartbeat.objects.exists()
    assert captured() == []


@pytest.fixture
def atomic_requests(settings):
    from django.db import connection

    connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connection.settings_dict["ATOMIC_REQUESTS"] = False


@pytest.mark.usefixtures("atomic_requests")
def test_atomic_requests_change_nothing(visitor):
    visitor.get("/product/1/")
    visitor.post("/order/")
    visitor.post("/order/", {"card": "refused"})
    assert captured() == [("view_item", "1"), ("purchase", "7"), ("purchase", "8")]


@pytest.mark.parametrize("address", ["/async/1/", "/product/1/"])
@pytest.mark.usefixtures("shop")
def test_the_same_on_the_event_loop(address):
    async def visit():
        client = AsyncClient(headers={"user-agent": FIREFOX})
        client.cookies["consent"] = "session"
        return await client.get(address), await client.get("/about/")

    product, about = async_to_sync(visit)()
    assert product.status_code == 200
    assert captured("item_id", "session_id") == [("1", session_of(product))]
    assert "sessrec" not in about.cookies


def on_the_event_loop(*addresses, client=None):
    """The answers to one browser after another."""
    client = client or AsyncClient(headers={"user-agent": FIREFOX})

    async def visit():
        return [await client.get(address) for address in addresses]

    return async_to_sync(visit)()


@pytest.mark.parametrize("how", ["read", "awaited"])
@pytest.mark.parametrize("staff", [None, False, True])
def test_an_async_checkout_keeps_the_session_of_who_is_signed_in(shop, staff, how):
    client = AsyncClient(headers={"user-agent": FIREFOX})
    client.cookies["consent"] = "session"
    if staff is not None:
        client.force_login(User.objects.create_user("ann", is_staff=staff))
    [answer] = on_the_event_loop(f"/async-checkout/?how={how}", client=client)
    if staff:  # only a thread can tell; the id of nobody's session is harmless
        assert "sessrec" not in answer.cookies
        assert how == "read" or not answer.cookies["order"].value
    else:
        assert answer.cookies["order"].value == str(session_of(answer))


def test_an_async_checkout_awaits_consent_that_takes_a_query(shop):
    shop.SESSREC |= {"CONSENT": "tests.capture.shop.from_the_database"}
    [answer] = on_the_event_loop("/async-checkout/?how=awaited")
    assert answer.cookies["order"].value == str(session_of(answer))


def test_a_refusal_that_a_query_tells_takes_effect_on_the_event_loop(shop):
    shop.SESSREC |= {"CONSENT": "tests.capture.shop.from_the_database"}
    client = AsyncClient(headers={"user-agent": FIREFOX})
    on_the_event_loop("/async/1/", "/about/", client=client)
    assert captured() == [("view_item", "1")]
    Heartbeat.objects.create(name="refused")
    [about] = on_the_event_loop("/about/", client=client)
    assert about.cookies["sessrec"]["max-age"] == 0
    assert captured() == []
    assert Withdrawal.objects.count() == 1


def test_consent_that_blocks_nothing_is_asked_on_the_event_loop(shop):
    ASKED_IN_THE_LOOP.clear()
    shop.SESSREC |= {"CONSENT": "tests.capture.shop.from_the_cookie", "CONSENT_BLOCKS": False}
    client = AsyncClient(headers={"user-agent": FIREFOX})
    client.cookies["consent"] = "session"
    on_the_event_loop("/async/1/", "/about/", client=client)
    assert captured() == [("view_item", "1")]
    assert ASKED_IN_THE_LOOP == [False, True]  # the tracked page goes to a thread anyway
    client.cookies["consent"] = "none"
    [about] = on_the_event_loop("/about/", client=client)
    assert about.cookies["sessrec"]["max-age"] == 0
    assert captured() == []


def test_consent_that_is_wrongly_said_to_block_nothing_refuses_nothing(shop):
    shop.SESSREC |= {"CONSENT": "tests.capture.shop.from_the_database"}
    client = AsyncClient(headers={"user-agent": FIREFOX})
    on_the_event_loop("/async/1/", client=client)
    shop.SESSREC |= {"CONSENT_BLOCKS": False}
    [about] = on_the_event_loop("/about/", client=client)
    assert not about.cookies
    assert captured() == [("view_item", "1")]


def test_an_async_view_records_though_consent_takes_a_query(shop):
    shop.SESSREC |= {"CONSENT": "tests.capture.shop.from_the_database"}
    on_the_event_loop("/async-basket/")
    assert sorted(captured("name", "item_id", "quantity")) == [("add_to_cart", "2", 3), ("view_item", "1", 1)]


def test_withdrawing_takes_effect_in_the_same_request(visitor):
    session_id = session_of(visitor.get("/product/1/"))
    visitor.post("/basket/", {"item": ""})  # a failed event is the visitor's, too
    response = visitor.post("/decline/")
    assert response.cookies["sessrec"]["max-age"] == 0
    assert captured() == []
    assert not FailedEvent.objects.exists()
    assert Withdrawal.objects.get().session_id == session_id


def test_withdrawing_without_a_cookie_sends_none(visitor):
    assert not visitor.post("/decline/").cookies


def test_what_arrives_late_for_a_withdrawn_visit_is_dropped(visitor):
    session_id = session_of(visitor.get("/product/1/"))
    visitor.post("/decline/")
    visitor.cookies["sessrec"] = cookie.text_of(session_id)  # another tab's request, still on its way
    visitor.get("/product/2/")
    visitor.cookies["sessrec"] = cookie.text_of(session_id)
    visitor.post("/basket/", {"item": ""})
    assert captured() == []
    assert not FailedEvent.objects.exists()


def test_after_an_erasure_elsewhere_the_next_page_takes_the_cookie_and_the_one_after_begins_anew(
    visitor, backend
):
    """As staff's, of which the browser knows nothing."""
    erased = session_of(visitor.get("/product/1/"))
    erase(erased)
    assert visitor.get("/product/2/").cookies["sessrec"]["max-age"] == 0
    backend()
    assert captured() == []
    assert session_of(visitor.get("/product/3/")) != erased
    backend()
    assert captured() == [("view_item", "3")]


def test_a_visit_ends_when_the_shops_consent_does(visitor):
    visitor.get("/product/1/")
    visitor.cookies["consent"] = "none"
    assert visitor.get("/product/2/").cookies["sessrec"]["max-age"] == 0
    assert captured() == []
