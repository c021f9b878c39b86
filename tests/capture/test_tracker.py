"""What a request may and may not leave behind: who asks, how, and when a transaction ends."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.template import Context, Template
from django.test import Client, RequestFactory

from django_sessrec import events
from django_sessrec.capture.tracker import Tracker
from django_sessrec.ids import time_of, uuid7
from django_sessrec.middleware import SessrecMiddleware
from django_sessrec.models import Event, FailedEvent, Impression, Withdrawal
from tests.support.capture import captured
from tests.support.visits import FIREFOX, visit_in

CROSS_SITE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def session_of(response):
    return visit_in(response.cookies["sessrec"].value)


def a_request(path="/", method="get", **headers):
    request = getattr(RequestFactory(headers={"user-agent": FIREFOX, **headers}), method)(path)
    request.COOKIES["consent"] = "session"
    request.resolver_match = None
    return request


# Staff


def test_signed_in_staff_are_not_counted_though_the_page_asks_for_no_user(visitor, admin_user):
    visitor.force_login(admin_user)
    response = visitor.get("/product/1/")
    assert "sessrec" not in response.cookies
    assert "Vary" not in response.headers
    assert captured() == []


def test_signed_in_customers_are_counted(visitor, db):
    visitor.force_login(User.objects.create_user("ann"))
    visitor.get("/product/1/")
    assert captured() == [("view_item", "1")]


def test_a_page_whose_session_of_djangos_cant_be_read_is_cached_as_before(visitor):
    visitor.cookies["sessionid"] = "x" * 32
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session RENAME TO elsewhere")
        try:
            response = visitor.get("/product/1/")
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_session")
    assert response.content == b"product 1"
    assert "Vary" not in response.headers


def test_staffs_baskets_are_not_counted_either(visitor, admin_user):
    visitor.force_login(admin_user)
    visitor.post("/basket/", {"item": "5"})
    assert captured() == []


def test_a_page_that_is_not_tracked_reads_no_session(visitor, admin_user, django_assert_num_queries):
    visitor.force_login(admin_user)
    with django_assert_num_queries(0):
        assert "Vary" not in visitor.get("/about/").headers


# A refusal, wherever it is told


def test_a_refusal_told_to_any_page_takes_effect_there(visitor):
    session_id = session_of(visitor.get("/product/1/"))
    visitor.cookies["consent"] = "none"
    response = visitor.get("/about/")
    assert response.cookies["sessrec"]["max-age"] == 0
    assert response.headers["Cache-Control"] == "private"
    assert captured() == []
    assert Withdrawal.objects.get().session_id == session_id


def test_a_page_of_a_visitor_who_agrees_is_left_alone(visitor):
    visitor.get("/product/1/")
    assert not {"Vary", "Cache-Control", "Set-Cookie"} & set(visitor.get("/about/").headers)
    assert len(captured()) == 1


@pytest.mark.parametrize(
    ("before", "now", "gone"),
    [
        (None, "example.com", {"", "example.com"}),
        ("example.com", None, {"", "example.com"}),
        ("example.com", "shop.example.com", {"", "example.com", "shop.example.com"}),
    ],
)
def test_the_cookie_goes_in_whatever_domain_it_was_given_for(shop, before, now, gone):
    shop.ALLOWED_HOSTS = [".example.com"]
    client = Client(headers={"user-agent": FIREFOX}, SERVER_NAME="shop.example.com")
    client.cookies["consent"] = "session"
    shop.SESSREC |= {"COOKIE_DOMAIN": before}
    client.get("/product/1/")
    shop.SESSREC |= {"COOKIE_DOMAIN": now}
    client.cookies["consent"] = "none"
    taken = client.get("/product/2/").cookies.values()
    assert {each["domain"] for each in taken} >= gone
    assert {(each.key, each.value, each["max-age"]) for each in taken} == {("sessrec", "", 0)}


# Requests from which the browser withholds the cookie


@pytest.mark.parametrize(
    "headers",
    [
        CROSS_SITE,
        {"origin": "https://bank.example"},
        {"origin": "null"},
        CROSS_SITE | {"sec-fetch-dest": "iframe"},
    ],
)
def test_a_form_that_another_site_posts_begins_no_session(visitor, headers, caplog):
    assert visitor.post("/order/", headers=headers).content == b"thank you"
    assert "sessrec" not in visitor.cookies
    assert captured() == []
    assert "django_sessrec.events.record" in caplog.text


def test_a_page_embedded_in_another_site_begins_no_session(visitor):
    response = visitor.get("/product/1/", headers=CROSS_SITE | {"sec-fetch-dest": "iframe"})
    assert "sessrec" not in response.cookies


def test_a_form_that_another_site_posts_goes_on_with_a_session_it_brings(visitor):
    visitor.get("/product/1/")
    visitor.post("/order/", headers=CROSS_SITE)
    assert len(set(captured("session_id"))) == 1


@pytest.mark.parametrize(
    "headers", [CROSS_SITE, {"sec-fetch-site": "same-origin"}, {"origin": "http://testserver"}, {}]
)
def test_a_visitor_who_comes_by_another_sites_link_begins_one(visitor, headers):
    assert "sessrec" in visitor.get("/product/1/", headers=headers).cookies


def test_under_strict_a_visitor_who_comes_by_another_sites_link_begins_none(visitor, shop):
    """The browser withholds the cookie of a session that may go on: the visitor's next page brings it."""
    shop.SESSREC["COOKIE_SAMESITE"] = "Strict"
    begun = session_of(visitor.get("/product/1/"))
    withheld = visitor.cookies.pop("sessrec")
    assert "sessrec" not in visitor.get("/product/2/", headers=CROSS_SITE).cookies
    visitor.cookies["sessrec"] = withheld.value
    visitor.get("/product/3/", headers={"sec-fetch-site": "same-origin"})
    assert captured("session_id", "item_id") == [(begun, "1"), (begun, "3")]


def test_the_shops_own_forms_begin_one(visitor):
    visitor.post("/order/", headers={"origin": "http://testserver", "sec-fetch-site": "same-origin"})
    assert len(captured()) == 2


# Lists that nobody sees


def an_impression(session_id):
    return Impression(
        impression_id=(impression_id := uuid7()),
        shown_at=time_of(impression_id),
        session_id=session_id,
        placement="home",
        step="popular",
        item_ids=["1"],
        reasons=["popular"],
    )


@pytest.mark.parametrize(
    ("method", "status", "shown"),
    [
        ("get", 200, 1),
        ("post", 200, 1),
        ("get", 404, 1),
        ("head", 200, 0),
        ("options", 200, 0),
        ("get", 302, 0),
        ("get", 503, 0),
    ],
)
def test_a_list_counts_as_shown_where_its_page_is_looked_at(shop, method, status, shown):
    def page(request):
        request.sessrec.show(an_impression(request.sessrec.session_id))
        return HttpResponse("a list", status=status)

    SessrecMiddleware(page)(a_request(method=method))
    assert Impression.objects.count() == shown


# A session that is kept with an order


def test_the_session_kept_with_an_order_is_one_that_its_visitor_can_erase(visitor):
    kept = UUID(visitor.post("/checkout/").cookies["order"].value)
    assert visit_in(visitor.cookies["sessrec"].value) == kept
    again = visitor.post("/checkout/")
    assert (UUID(again.cookies["order"].value), "private" in again["Cache-Control"]) == (kept, True)
    events.record(session_id=kept, name="purchase", item_id="7", price=5, order_id=1)
    assert captured() == [("purchase", "7")]
    visitor.cookies["consent"] = "none"
    visitor.get("/product/1/")
    assert captured() == []


def test_staff_and_pages_fetched_ahead_have_no_session_to_keep(visitor, admin_user):
    assert not visitor.post("/checkout/", headers={"purpose": "prefetch"}).cookies["order"].value
    visitor.force_login(admin_user)
    response = visitor.post("/checkout/")
    assert not response.cookies["order"].value
    assert "sessrec" not in response.cookies


# Views that the browser records


@pytest.mark.parametrize("item", ["1", 'a "quoted" <name> & more'])
def test_a_view_that_a_cached_page_leaves_to_the_browser_is_not_recorded_twice(item, shop):
    """cache_page and {% cache %} bring the placeholder without rendering it."""

    def page(request):
        request.sessrec.view(item)
        if kept:
            return HttpResponse(kept[0])
        tag = Template("{% load sessrec %}{% sessrec_placeholder 'product_page' item=item %}")
        kept.append(tag.render(Context({"request": request, "item": item})))
        return HttpResponse(kept[0])

    kept = []
    for _asked in range(2):
        response = SessrecMiddleware(page)(a_request())
        assert "sessrec" not in response.cookies
        assert not response.has_header("Cache-Control")
    assert captured() == []


# Events recorded late


def test_an_event_is_written_when_a_transaction_around_the_middleware_commits(shop):
    def page(request):
        request.sessrec.record("purchase", "7")
        return HttpResponse("thank you")

    with transaction.atomic():
        response = SessrecMiddleware(page)(a_request())
        assert captured() == []
    assert captured("name", "item_id", "session_id") == [("purchase", "7", session_of(response))]


def test_an_event_is_gone_when_a_transaction_around_the_middleware_rolls_back(shop):
    def page(request):
        request.sessrec.record("purchase", "7")
        return HttpResponse("thank you")

    with transaction.atomic():
        SessrecMiddleware(page)(a_request())
        transaction.set_rollback(True)
    assert captured() == []


@pytest.mark.parametrize("inner", ["default", "orders"])
@pytest.mark.parametrize("fails", ["the inner one", "the outer one", "none"])
def test_an_event_awaits_the_commit_of_every_database(shop, orders_database, inner, fails):
    request = a_request()
    outer = "default" if inner == "orders" else "orders"
    with suppress(PermissionError), transaction.atomic(using=outer):
        with suppress(PermissionError), transaction.atomic(using=inner):
            request.sessrec = Tracker(request)
            request.sessrec.record("purchase", "7", price=5, order_id=1)
            events.record(session_id=uuid7(), name="purchase", item_id="8", price=5, order_id=2)
            if fails == "the inner one":
                raise PermissionError
        if fails == "the outer one":
            raise PermissionError
    request.sessrec.finish(HttpResponse())
    assert sorted(captured()) == ([("purchase", "7"), ("purchase", "8")] if fails == "none" else [])


def test_an_event_is_written_that_a_streamed_body_records(visitor):
    visitor.get("/product/1/")
    assert b"".join(visitor.get("/streamed/").streaming_content) == b"onetwo"
    assert captured() == [("view_item", "1"), ("add_to_cart", "5")]


def test_a_streamed_body_begins_no_session(visitor, caplog):
    """Its cookie could not be sent any more: the visitor's next page would begin another one."""
    response = visitor.get("/streamed/?name=purchase")
    assert b"".join(response.streaming_content) == b"onetwo"
    assert "sessrec" not in visitor.cookies
    assert captured() == []
    assert "django_sessrec.events.record" in caplog.text


def test_a_streamed_body_withdraws_from_a_session_that_began_with_it(shop):
    def page(request):
        request.sessrec.record("add_to_cart", "1")

        def body():
            yield request.sessrec.withdraw() or "gone"

        return StreamingHttpResponse(body())

    response = SessrecMiddleware(page)(a_request())
    assert captured() == [("add_to_cart", "1")]
    list(response.streaming_content)
    assert captured() == []


def test_a_streamed_body_is_told_no_session_whose_cookie_was_not_given(shop):
    told = []

    def page(request):
        assert request.sessrec.own_session_id

        def body():
            told.append(request.sessrec.session_id)
            yield ""

        return StreamingHttpResponse(body())

    list(SessrecMiddleware(page)(a_request()).streaming_content)
    assert told == [None]


@pytest.mark.parametrize("item", ["1", ""])
def test_a_streamed_body_keeps_nothing_of_a_session_whose_cookie_was_not_given(shop, item):
    """As after an empty list, which has asked for the session."""

    def page(request):
        assert request.sessrec.own_session_id

        def body():
            yield request.sessrec.record("add_to_cart", item) or request.sessrec.level

        return StreamingHttpResponse(body())

    assert list(SessrecMiddleware(page)(a_request()).streaming_content) == [b"contextual"]
    assert captured() == []
    assert not FailedEvent.objects.exists()


def test_nothing_is_kept_that_commits_after_a_visitor_left_without_a_cookie(shop):
    tracker = Tracker(a_request())
    with transaction.atomic():
        tracker.record("add_to_cart", "7")
        tracker.finish_unseen()
    assert captured() == []


def test_a_wrong_event_of_a_streamed_body_is_kept_with_its_reason(visitor):
    visitor.get("/product/1/")
    list(visitor.get("/streamed/?item=").streaming_content)
    assert FailedEvent.objects.get().code == "item_id"


def test_what_is_recorded_after_a_withdrawal_is_not_written(shop):
    request = a_request()
    tracker = Tracker(request)
    tracker.withdraw()
    tracker.answered = True
    tracker.record("purchase", "7")
    assert captured() == []


# Item ids


@pytest.mark.parametrize("item", ["7", 7, 7.0, UUID(int=7)])
def test_text_whole_numbers_and_uuids_are_item_ids(shop, item):
    tracker = Tracker(a_request())
    tracker.record("purchase", item)
    assert tracker.pending[0].item_id == str(int(item) if isinstance(item, float) else item)


class Unsaved:
    pk = None


@pytest.mark.parametrize(
    "item", [None, float("nan"), 7.5, True, b"7", ["a"], {"pk": 1}, ("7",), object(), Unsaved(), datetime.now]
)
def test_what_names_no_item_is_refused_and_kept(shop, item):
    tracker = Tracker(a_request())
    tracker.record("purchase", item, price="3")
    assert tracker.pending == []
    assert [refused.code for refused in tracker._refused] == ["item_id"]


def test_an_objects_id_is_its_catalogues(shop):
    tracker = Tracker(a_request())
    tracker.record("add_to_cart", User(pk=5, username="the title"))
    assert tracker.pending[0].item_id == "5"


# Prefetches


@pytest.mark.parametrize("header", ["sec-purpose", "x-sec-purpose", "purpose", "x-purpose", "x-moz"])
def test_a_page_fetched_ahead_was_not_seen_whoever_fetched_it(visitor, header):
    visitor.get("/product/1/", headers={header: "prefetch"})
    assert not Event.objects.exists()
