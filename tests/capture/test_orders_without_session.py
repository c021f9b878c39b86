"""Orders of visitors without consent add to the shop's total where the shop wants it, and to nothing else."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from django_sessrec import events
from django_sessrec.capture import cookie
from django_sessrec.capture.event import EventError
from django_sessrec.capture.tracker import Tracker
from django_sessrec.figure_models import Attribution
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import today
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.middleware import SessrecMiddleware
from django_sessrec.models import Event
from django_sessrec.privacy.erasure import erase
from tests.support.capture import carry_out, reconnected
from tests.support.tables import rows_of_the_app
from tests.support.visits import FIREFOX

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def count_all(shop):
    shop.SESSREC = {**shop.SESSREC, "COUNT_ALL_ORDERS": True}


def order(*lines, number="1001", name="purchase", consent="none", user_agent=FIREFOX, session_id=None):
    """A thank-you page that records an order's lines."""

    def page(request):
        for item_id, price in lines:
            request.sessrec.record(name, item_id, price=price, currency="EUR", order_id=number)
        return HttpResponse("thank you")

    request = RequestFactory(headers={"user-agent": user_agent}).get("/")
    request.resolver_match = None
    request.COOKIES["consent"] = consent
    if session_id is not None:
        request.COOKIES["sessrec"] = cookie.text_of(session_id)
    with transaction.atomic():
        return SessrecMiddleware(page)(request)


def money():
    roll_up(today())
    whole = figures(today(), today()).get(())
    return whole and whole.money["EUR"]


def test_by_default_nothing_is_kept_of_them(shop):
    before = list(rows_of_the_app())
    assert not order(("1", "10")).cookies
    assert list(rows_of_the_app()) == before


def test_the_total_holds_them_and_nothing_else_does(count_all):
    order(("1", "10"), ("2", "5.50"))
    assert (money().total, money().without_session, money().recorded) == (
        Decimal("15.50"),
        Decimal("15.50"),
        0,
    )
    assert (money().orders, money().direct) == (1, 0)
    assert (money().share, money().share_of_all, money().share_interval) == (None, 0, None)
    assert not Event.objects.exists()
    assert set(Attribution.objects.values_list("item_id", "in_session")) == {("", False)}


def test_a_page_loaded_again_counts_once_and_a_refund_finds_its_order(count_all):
    for _load in range(3):
        order(("1", "10"))
    order(("1", "4"), name="refund")
    assert (money().total, money().total_refunded) == (6, 4)


def test_two_refunds_of_one_line_and_moment_are_both_taken(count_all):
    order(("1", "40"))
    refund = {"name": "refund", "item_id": "1", "order_id": "1001", "currency": "EUR", "at": timezone.now()}
    for key, price in (("refund 1", 10), ("refund 2", 25), ("refund 2", 25)):
        events.record(session_id=None, **refund, price=price, key=key)
    assert money().total_refunded == 35


def test_two_lines_of_one_product_both_add_to_the_total(count_all):
    for size, price in (("S", "10"), ("M", "20")):
        events.record(
            session_id=None, name="purchase", item_id="1", price=price, currency="EUR", order_id=1, line=size
        )
    assert (money().total, money().orders) == (30, 1)


def test_an_order_that_is_told_with_a_session_as_well_counts_once(count_all):
    order(("1", "10"))
    order(("1", "10"), consent="session")
    assert (money().total, money().without_session) == (10, 0)


@pytest.mark.parametrize("begun_before", [False, True])
@pytest.mark.parametrize("commits_late", [False, True])
@pytest.mark.parametrize("consent", ["none", "session"])
def test_the_order_of_a_visitor_who_left_adds_to_the_total(count_all, consent, commits_late, begun_before):
    request = RequestFactory(headers={"user-agent": FIREFOX}).get("/")
    request.COOKIES["consent"] = consent
    if begun_before:
        request.COOKIES["sessrec"] = cookie.text_of(uuid7())
    tracker = Tracker(request)
    with transaction.atomic():
        tracker.record("purchase", "7", price=5, currency="EUR", order_id=1)
        if commits_late:
            tracker.finish_unseen()
    if not commits_late:
        tracker.finish_unseen()
    assert money().total == 5
    assert Event.objects.exists() == (consent == "session" and begun_before)


def test_orders_of_a_withdrawn_session_add_to_the_total_as_those_without_one(count_all, backend):
    """The webhook that tells them knows nothing of the withdrawal."""
    erase(session_id := uuid7())
    lines = [("purchase", "1", "10"), ("purchase", "1", "10"), ("purchase", "2", "5"), ("refund", "1", "4")]
    for name, item_id, price in lines:
        given = {"name": name, "item_id": item_id, "price": price, "currency": "EUR", "order_id": "7"}
        events.record(session_id=session_id, **given)
    backend()
    assert (money().total, money().total_refunded, money().without_session) == (11, 4, 11)
    assert money().orders == 1
    assert not Event.objects.exists()


def test_so_do_those_that_a_page_tells_of_a_session_that_was_erased_elsewhere(count_all, backend):
    erase(session_id := uuid7())
    order(("1", "10"), ("2", "5.50"), consent="session", session_id=session_id)
    backend()
    assert (money().total, money().without_session, money().orders) == (Decimal("15.50"), Decimal("15.50"), 1)
    assert not Event.objects.exists()


def test_a_withdrawn_sessions_order_adds_nothing_where_the_shop_does_not_count_all(shop, backend):
    erase(session_id := uuid7())
    order(("1", "10"), consent="session", session_id=session_id)
    events.record(session_id=session_id, name="purchase", item_id="1", price="10", order_id="7")
    backend()
    assert money() is None


def test_bots_and_sensitive_products_add_nothing(count_all):
    order(("sensitive", "10"))
    order(("1", "10"), user_agent="Googlebot/2.1 (+http://www.google.com/bot.html)")
    assert money() is None


def test_a_wrong_amount_is_logged_and_counts_nothing(count_all, caplog):
    assert order(("1", "cheap")).content == b"thank you"
    assert "price 'cheap' is not an amount" in caplog.text
    assert money() is None


def test_a_webhook_tells_them_without_a_session(count_all):
    at = timezone.now() - timedelta(seconds=5)
    given = {"name": "purchase", "item_id": "1", "at": at, "price": "10", "currency": "EUR", "order_id": "7"}
    first = events.record(session_id=None, **given)
    assert events.record(session_id=None, **given).hex[-19:] == first.hex[-19:]
    assert money().without_session == 10
    with pytest.raises(EventError, match="price"):
        events.record(session_id=None, **{**given, "price": "cheap"})


def test_an_order_that_is_rolled_back_counts_nothing(count_all):
    with transaction.atomic():
        order(("1", "10"))
        transaction.set_rollback(True)
    assert money() is None


def told(name="purchase", number="1001"):
    """An order that a webhook tells."""
    events.record(session_id=None, name=name, item_id="1", price="4", currency="EUR", order_id=number)


@pytest.mark.parametrize(
    ("name", "number", "total", "refunded"), [("purchase", "1002", 14, 0), ("refund", "1001", 6, 4)]
)
def test_an_order_of_an_outage_is_counted_once_the_database_is_back(
    count_all, queue, name, number, total, refunded
):
    order(("1", "10"))
    with reconnected(PORT="1"):
        told(number=number, name=name)
    message = queue.get(timeout=300)
    message.ack()
    carry_out(message)
    carry_out(message)
    assert (money().total, money().total_refunded) == (total, refunded)


def test_an_order_is_said_not_to_be_counted_where_nobody_takes_it(count_all, no_broker, caplog):
    with reconnected(PORT="1"):
        told()
    assert "is not counted: neither database nor broker took it" in caplog.text


def test_a_webhook_never_hears_of_a_catalogue_that_cant_say_what_is_sensitive(shop, count_all):
    shop.SESSREC |= {"CATALOGUE": "tests.capture.shop.BrokenCatalogue"}
    told()
    assert money() is None
