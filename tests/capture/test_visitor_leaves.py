"""Visitors who leave before the answer: Django cancels the request, and what was done counts all the same."""

import asyncio
import threading
import time

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from django_sessrec.capture import cookie, store
from django_sessrec.capture.tracker import Tracker
from django_sessrec.ids import uuid7
from django_sessrec.models import Heartbeat
from tests.capture import urls as shop_urls
from tests.support.capture import captured, event
from tests.support.visits import FIREFOX

pytestmark = pytest.mark.django_db(transaction=True)

BEGUN, GONE = threading.Event(), threading.Event()


@csrf_exempt
def slow_order(request):
    with transaction.atomic():
        Heartbeat.objects.update_or_create(name="order")
        request.sessrec.record("purchase", "7", price=5, currency="EUR", order_id=1)
        take_long()
    return HttpResponse("thank you")


@csrf_exempt
def slow_decline(request):
    request.sessrec.withdraw()
    take_long()
    return HttpResponse("as you like")


def take_long():
    BEGUN.set()
    GONE.wait(60)
    time.sleep(0.3)


urlpatterns = [
    *shop_urls.urlpatterns,
    path("slow-order/", slow_order),
    path("slow-decline/", slow_decline),
]


@pytest.fixture(autouse=True)
def _shop(shop, monkeypatch):
    shop.ROOT_URLCONF = __name__
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)  # each request has a thread of its own
    BEGUN.clear()
    GONE.clear()


def visit(address, *cookies, leaves):
    headers = {"host": "localhost", "user-agent": FIREFOX, "content-length": "0"}
    headers["cookie"] = "; ".join(("consent=session", *cookies))
    scope = {
        "type": "http",
        "method": "POST",
        "path": address,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    body = iter([{"type": "http.request"}])

    async def receive():
        if (message := next(body, None)) is not None:
            return message
        await asyncio.to_thread(BEGUN.wait, 60)
        GONE.set()
        if not leaves:
            await asyncio.sleep(60)  # until the answer is there
        return {"type": "http.disconnect"}

    async def send(_message):
        pass

    asyncio.run(ASGIHandler()(scope, receive, send))
    connections.close_all()


def sync_middleware(get_response):
    return lambda request: get_response(request)


@pytest.mark.parametrize("inside", [False, True])
def test_a_purchase_counts_beside_a_middleware_that_is_sync(shop, inside):
    own = f"{__name__}.sync_middleware"
    shop.MIDDLEWARE = [*shop.MIDDLEWARE, own] if inside else [own, *shop.MIDDLEWARE]
    visit("/slow-order/", f"sessrec={cookie.text_of(uuid7())}", leaves=True)
    assert captured() == [("purchase", "7")]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_purchase_counts(leaves):
    visit("/slow-order/", f"sessrec={cookie.text_of(uuid7())}", leaves=leaves)
    assert Heartbeat.objects.filter(name="order").exists()
    assert captured() == [("purchase", "7")]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_withdrawal_counts(leaves):
    clicked = event()
    store.write([clicked])
    visit("/slow-decline/", f"sessrec={cookie.text_of(clicked.session_id)}", leaves=leaves)
    assert captured() == []


@pytest.mark.parametrize("behind_sync", [False, True])
@pytest.mark.parametrize(
    ("address", "kept"),
    [("/slow-order/", [("view_item", "9"), ("purchase", "7")]), ("/slow-decline/", [])],
)
def test_what_a_view_did_counts_where_the_visitor_leaves_at_its_end(
    shop, monkeypatch, address, kept, behind_sync
):
    """Before a thread has begun to write it: the event loop hears of both at once."""

    def ask_late(_tracker):
        BEGUN.set()
        time.sleep(0.3)
        return False

    if behind_sync:
        shop.MIDDLEWARE = [f"{__name__}.sync_middleware", *shop.MIDDLEWARE]
    monkeypatch.setitem(globals(), "take_long", lambda: None)
    monkeypatch.setattr(Tracker, "must_ask_shop", property(ask_late))
    viewed = event("9")
    store.write([viewed])
    visit(address, f"sessrec={cookie.text_of(viewed.session_id)}", leaves=True)
    assert captured() == kept


def test_nothing_is_kept_of_a_session_whose_cookie_never_arrives():
    visit("/slow-order/", leaves=True)
    assert Heartbeat.objects.filter(name="order").exists()
    assert captured() == []
