"""The ES module in a real browser, under a strict Content-Security-Policy, on a page for caches."""

import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connections
from playwright.sync_api import Page

from django_sessrec.models import Event, Impression
from tests.browser import chromium, needs_chromium, watch

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]


@pytest.fixture
def page(settings, monkeypatch) -> Iterator[Page]:
    """A tab; whatever the console complains about fails the test."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in the test's thread
    settings.MIDDLEWARE = ["tests.demo.security.strict_csp", *settings.MIDDLEWARE]
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:cached": "pk"}}
    complaints: list[str] = []
    with chromium() as browser:
        tab = browser.new_page()
        tab.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        watch(tab.context, complaints)
        yield tab
        tab.close()
        connections.close_all()  # those of Playwright's loop, which nobody else can reach
    assert complaints == []


@pytest.fixture
def address(live_server, products) -> str:
    return f"{live_server.url}/demo/product/{products[0].pk}/cached/"


def agree(page: Page) -> None:
    page.context.add_cookies([{"name": "consent", "value": "yes", "domain": "localhost", "path": "/"}])


def recorded(count: int) -> list[Event]:
    """The first `count` events, as soon as they are stored."""
    until(lambda: Event.objects.count() >= count)
    return list(Event.objects.order_by("event_id"))


def until(happened: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_placeholder_is_filled_and_the_view_recorded(page, address, products):
    agree(page)
    page.goto(address)
    page.wait_for_selector(".sessrec__item")
    assert page.locator(".sessrec__item").count() == 8
    (view,) = recorded(1)
    assert (view.name, view.item_id, view.source) == ("view_item", str(products[0].pk), "browser")
    assert view.session_id == Impression.objects.get().session_id


def test_click_on_a_recommendation_is_recorded_before_the_view_it_led_to(page, address, live_server):
    agree(page)
    page.goto(address)
    page.wait_for_selector(".sessrec__item")
    recorded(1)
    link = page.locator(".sessrec__card").nth(2).get_attribute("href")
    shown = Impression.objects.get()
    path, query = link.split("?")
    page.goto(f"{live_server.url}{path}cached/?{query}")
    _, click, view = recorded(3)
    assert (click.name, click.impression_id, click.position) == ("select_item", shown.pk, 3)
    assert click.item_id == view.item_id == shown.item_ids[2]
    assert view.name == "view_item"


def test_before_consent_the_slot_is_full_and_nothing_is_stored_or_sent(page, address):
    posted = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    page.goto(address)
    page.wait_for_selector(".sessrec__item")
    page.wait_for_load_state("networkidle")
    assert page.locator(".sessrec__item").count() == 8
    assert posted == []
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert not Event.objects.exists()
    assert not Impression.objects.exists()


def test_shop_hears_when_a_slot_is_filled(page, address):
    page.add_init_script(
        "document.addEventListener('sessrec:filled', (event) => { event.target.title = 'heard' })"
    )
    page.goto(address)
    page.wait_for_selector(".sessrec__item")
    assert page.locator(".sessrec-placeholder").get_attribute("title") == "heard"
