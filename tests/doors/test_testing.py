"""A shop's own tests, by the public door: with Django's TestCase and with pytest."""

from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client, TestCase, override_settings
from django.urls import path

from django_sessrec import events as events_door
from django_sessrec.capture import page_counts
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Attribution, DailyPages, Event, FailedEvent
from django_sessrec.testing import capture_events, override_sessrec, reset
from tests.support.visits import FIREFOX


def basket(request):
    request.sessrec.record("add_to_cart", request.POST["product"])
    return HttpResponse("added")


def charge(card):
    if card == "refused":
        raise PermissionError("the bank says no")


def order(request):
    try:
        with transaction.atomic():
            request.sessrec.record("purchase", request.POST["product"])
            charge(request.POST.get("card"))
    except PermissionError:
        return HttpResponse("try again", status=409)
    return HttpResponse("thank you")


def product(request, pk):
    request.sessrec.view(pk)
    return HttpResponse("tea")


def always(request):
    return "session"


def refuse(request):
    request.sessrec.withdraw()
    return HttpResponse("as you like")


urlpatterns = [
    path("refuse/", refuse),
    path("basket/", basket),
    path("order/", order),
    path("product/<int:pk>/", product),
]


def named(events):
    return [(event.name, event.item_id) for event in events]


@override_settings(ROOT_URLCONF=__name__)
@override_sessrec(CONSENT=f"{__name__}.always")
class BasketTests(TestCase):
    """As a shop writes it."""

    def test_a_view_is_captured(self):
        with capture_events() as events:
            self.client.get("/product/7/")
        assert named(events) == [("view_item", "7")]

    def test_the_basket_is_recorded(self):
        with capture_events() as events:
            self.client.post("/basket/", {"product": 7})
        assert named(events) == [("add_to_cart", "7")]
        assert not Event.objects.exists()

    def test_an_order_is_recorded_though_the_tests_transaction_never_commits(self):
        with capture_events() as events:
            self.client.post("/order/", {"product": 7})
        assert named(events) == [("purchase", "7")]

    def test_an_order_that_is_rolled_back_is_not(self):
        with capture_events() as events:
            self.client.post("/order/", {"product": 7, "card": "refused"})
        assert named(events) == []

    def test_a_webhook_is_captured(self):
        with capture_events() as events:
            events_door.record(session_id="order 1", name="purchase", item_id="7")
        assert named(events) == [("purchase", "7")]

    def test_the_shops_own_callbacks_are_left_to_it(self):
        ran = []
        with capture_events():
            transaction.on_commit(lambda: ran.append("mail"))
            self.client.post("/order/", {"product": 7})
        assert (ran, len(connection.run_on_commit)) == ([], 1)

    def test_events_are_stored_where_that_is_asked_for(self):
        with capture_events(store_them=True) as events:
            self.client.post("/basket/", {"product": 7})
        assert named(events) == named(Event.objects.all())
        assert Event.objects.count() == 1

    def test_wrong_events_and_withdrawals_reach_no_database_either(self):
        with capture_events(store_them=True):
            self.client.post("/basket/", {"product": 7})
        with capture_events(), self.assertNumQueries(0):
            self.client.post("/basket/", {"product": ""})
            self.client.post("/refuse/")
        assert Event.objects.count() == 1

    @override_sessrec(CONSENT=None, COUNT_ALL_ORDERS=True)
    def test_nor_do_orders_and_pages_without_consent(self):
        with patch.object(page_counts, "SECONDS", 0), capture_events():
            self.client.post("/order/", {"product": 7}, headers={"user-agent": FIREFOX})
            self.client.get("/product/7/")
        assert not Attribution.objects.exists()
        assert not DailyPages.objects.exists()

    @override_sessrec(CONSENT=None, COUNT_ALL_ORDERS=True)
    def test_an_order_without_consent_is_counted_where_that_is_asked_for(self):
        with capture_events(store_them=True) as events:
            self.client.post("/order/", {"product": 7}, headers={"user-agent": FIREFOX})
        assert events == []
        assert Attribution.objects.get().in_session is False

    def test_a_withdrawal_is_carried_out_where_that_is_asked_for(self):
        with capture_events(store_them=True):
            self.client.post("/basket/", {"product": 7})
        assert Event.objects.count() == 1
        with capture_events(store_them=True):
            self.client.post("/basket/", {"product": ""})
            assert FailedEvent.objects.count() == 1
            self.client.post("/refuse/")
        assert not Event.objects.exists()

    def test_djangos_own_way_stores_an_order_too(self):
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post("/order/", {"product": 7})
        assert named(Event.objects.all()) == [("purchase", "7")]

    @override_sessrec(CONSENT=None)
    def test_without_consent_nothing_is_recorded(self):
        with capture_events() as events:
            self.client.post("/basket/", {"product": 7})
        assert named(events) == []


@override_sessrec(COOKIE_NAME="outer")
class InheritedTests(BasketTests):
    """A subclass keeps what its base has changed."""

    def test_both_are_in_force(self):
        assert sessrec_settings.COOKIE_NAME == "outer"
        assert f"{__name__}.always" == sessrec_settings.CONSENT


@pytest.mark.django_db
@pytest.mark.urls(__name__)
@override_sessrec(CONSENT=f"{__name__}.always")
def test_the_same_with_pytest():
    with capture_events() as events:
        Client(headers={"user-agent": FIREFOX}).post("/basket/", {"product": 7})
    assert named(events) == [("add_to_cart", "7")]


def test_keys_are_changed_over_the_others_and_restored():
    with override_sessrec(SESSION_IDLE_MINUTES=5):
        with override_sessrec(COOKIE_NAME="mine"):
            assert (sessrec_settings.SESSION_IDLE_MINUTES, sessrec_settings.COOKIE_NAME) == (5, "mine")
        assert (sessrec_settings.SESSION_IDLE_MINUTES, sessrec_settings.COOKIE_NAME) == (5, "sessrec")
    assert sessrec_settings.SESSION_IDLE_MINUTES == 30


@pytest.mark.parametrize(
    ("key", "remedy"),
    [("CONSNET", "did you mean 'CONSENT'"), ("consent", "'CONSENT'"), ("ZZZ", "known keys: ")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key, remedy):
    with pytest.raises(TypeError, match=f"unknown key '{key}'; .*{remedy}"):
        override_sessrec(**{key: None})


def test_a_process_made_new_asks_a_service_that_failed_again():
    from django_sessrec.capture.fast_query import database_breaker

    database_breaker.rest()
    reset()
    assert not database_breaker.resting


@pytest.mark.django_db
def test_events_are_captured_where_two_databases_have_a_transaction_open(orders_database, client):
    with (
        override_settings(ROOT_URLCONF=__name__),
        override_sessrec(CONSENT=f"{__name__}.always"),
        transaction.atomic(using="orders"),
        capture_events() as events,
    ):
        client.post("/basket/", {"product": 7}, headers={"user-agent": FIREFOX})
    assert [(each.name, each.item_id) for each in events] == [("add_to_cart", "7")]
