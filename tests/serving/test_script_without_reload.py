"""The script on pages that change without a reload, with the real Turbo and htmx, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from playwright.sync_api import Page

from django_sessrec.models import Event, Impression
from tests.demo.models import Product
from tests.support.browser import agree, chromium, needs_chromium, until, watch
from tests.support.visits import FIREFOX

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    needs_chromium,
]

VENDOR = Path(__file__).parents[1] / "vendor"
LIBRARIES = {"turbo": "turbo-8.0.13.js", "htmx": "htmx-2.0.4.min.js"}
ASKED_AHEAD: list[str] = []  # why each product page was asked for
KINDS = ("placeholder", "server")
PAGE = """{% load sessrec %}<!doctype html><html><head><title>{{ product }}</title>
<script src="/library/{{ library }}"></script>{% sessrec_scripts %}</head>
<body {% if library == "htmx" %}hx-boost="true"{% endif %}><h1>{{ product }}</h1>
<a id="next" href="/{{ kind }}/{{ library }}/{{ next }}/?{{ request.GET.follow }}">next</a>
{% if kind == "server" %}{% sessrec_recommendations "product_page" item=product %}
{% else %}{% sessrec_placeholder "product_page" item=product %}{% endif %}</body></html>"""


def library(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse((VENDOR / LIBRARIES[name]).read_text(), content_type="text/javascript")


def page_of(request: HttpRequest, kind: str, library: str, pk: int) -> HttpResponse:
    """A product page, and a link to the next product."""
    ASKED_AHEAD.append(request.headers.get("Sec-Purpose", ""))
    product = Product.objects.get(pk=pk)
    following = Product.objects.filter(pk__gt=pk).first() or product
    context = {"product": product, "next": following.pk, "kind": kind, "library": library}
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


def speculating(request: HttpRequest, pk: int) -> HttpResponse:
    """A page whose browser is told to fetch the product's page ahead."""
    rules = f'{{"prefetch": [{{"urls": ["/server/htmx/{pk}/"], "eagerness": "immediate"}}]}}'
    return HttpResponse(
        f'<!doctype html><title>ahead</title><script type="speculationrules">{rules}</script>'
        f'<a id="next" href="/server/htmx/{pk}/">next</a>'
    )


urlpatterns = [
    path("speculating/<int:pk>/", speculating),
    path("library/<str:name>", library),
    path("<str:kind>/<str:library>/<int:pk>/", page_of, name="product"),
    path("demo/", include("tests.demo.urls")),
    path("sessrec/", include("django_sessrec.urls")),
]


@pytest.fixture
def page(settings, monkeypatch) -> Iterator[Page]:
    """A tab; whatever the console complains about fails the test."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in the test's thread
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"product": "pk"}}
    complaints: list[str] = []
    with chromium() as browser:
        tab = browser.new_page(user_agent=FIREFOX)
        tab.context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        watch(tab.context, complaints)
        yield tab
        tab.close()
        connections.close_all()  # those of Playwright's loop, which nobody else can reach
    assert complaints == []


def views(products: list[Product]) -> list[int]:
    """The places of the viewed products, in order."""
    places = {str(product.pk): place for place, product in enumerate(products)}
    return [places[event.item_id] for event in Event.objects.filter(name="view_item").order_by("event_id")]


def seen() -> int:
    """How many lists were seen, each counted once."""
    return Event.objects.filter(name="view_item_list").count()


def settle(page: Page) -> None:
    page.wait_for_timeout(1_500)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_page_shown_has_its_list_its_view_and_is_seen(page, live_server, products, kind, library):
    agree(page)
    page.goto(f"{live_server.url}/{kind}/{library}/{products[0].pk}/")
    page.evaluate("window.stayed = true")
    page.wait_for_selector(".sessrec__item")
    until(lambda: seen() == 1)
    for number in (1, 2):
        page.dispatch_event("#next", "click")
        page.wait_for_function(f"document.querySelector('h1').textContent == {str(products[number])!r}")
        page.wait_for_selector(".sessrec__item")
        until(lambda number=number: seen() == number + 1)
    assert page.evaluate("window.stayed"), "the pages were loaded anew"
    assert page.locator(".sessrec__item").count() == 8
    assert views(products) == [0, 1, 2]
    assert (Impression.objects.count(), seen()) == (3, 3)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_taken_back_from_memory_counts_no_second_time(page, live_server, products, kind, library):
    agree(page)
    page.goto(f"{live_server.url}/{kind}/{library}/{products[0].pk}/")
    page.wait_for_selector(".sessrec__item")
    until(lambda: seen() == 1)
    page.dispatch_event("#next", "click")
    page.wait_for_function(f"document.querySelector('h1').textContent == {str(products[1])!r}")
    page.wait_for_selector(".sessrec__item")
    until(lambda: seen() == 2)
    page.go_back()
    page.wait_for_function(f"document.querySelector('h1').textContent == {str(products[0])!r}")
    page.wait_for_selector(".sessrec__item")
    settle(page)
    assert page.locator(".sessrec__item").count() == 8
    assert views(products) == [0, 1]
    assert (Impression.objects.count(), seen()) == (2, 2)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_recommendation_followed_without_a_reload_is_a_click(page, live_server, products, library):
    agree(page)
    page.goto(f"{live_server.url}/placeholder/{library}/{products[0].pk}/")
    page.wait_for_selector(".sessrec__item")
    until(lambda: len(views(products)) == 1)
    query = page.locator(".sessrec__card").nth(2).get_attribute("href").partition("?")[2]
    page.goto(f"{live_server.url}/placeholder/{library}/{products[0].pk}/?follow={query}")
    page.wait_for_selector(".sessrec__item")
    page.dispatch_event("#next", "click")
    page.wait_for_function(f"document.querySelector('h1').textContent == {str(products[1])!r}")
    until(lambda: len(views(products)) == 3)
    click = Event.objects.get(name="select_item")
    assert (click.item_id, click.position) == (str(products[1].pk), 3)


def test_a_link_hovered_over_is_no_view(page, live_server, products):
    agree(page)
    page.goto(f"{live_server.url}/server/turbo/{products[0].pk}/")
    with page.expect_response(f"**/server/turbo/{products[1].pk}/*"):
        page.hover("#next")
    settle(page)
    assert views(products) == [0]
    assert Impression.objects.count() == 1


def test_a_page_that_turbo_fetched_ahead_counts_when_it_is_shown(page, live_server, products):
    agree(page)
    page.goto(f"{live_server.url}/server/turbo/{products[0].pk}/")
    until(lambda: seen() == 1)
    with page.expect_response(f"**/server/turbo/{products[1].pk}/*"):
        page.hover("#next")
    page.click("#next")
    page.wait_for_function(f"document.querySelector('h1').textContent == {str(products[1])!r}")
    until(lambda: seen() == 2)
    assert views(products) == [0, 1]
    assert (Impression.objects.count(), seen()) == (2, 2)


def test_a_page_that_the_browser_fetched_ahead_counts_when_it_is_shown(page, live_server, products):
    agree(page)
    ASKED_AHEAD.clear()
    page.goto(f"{live_server.url}/speculating/{products[0].pk}/")
    until(lambda: ASKED_AHEAD)
    assert "prefetch" in ASKED_AHEAD[0]
    settle(page)
    assert not Impression.objects.exists()
    page.click("#next")
    page.wait_for_selector(".sessrec__item")
    until(lambda: seen() == 1)
    assert views(products) == [0]
    assert (Impression.objects.count(), seen()) == (1, 1)


def test_before_consent_pages_without_reload_are_full_and_nothing_is_sent(page, live_server, products):
    posted = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    page.goto(f"{live_server.url}/placeholder/turbo/{products[0].pk}/")
    page.wait_for_selector(".sessrec__item")
    page.dispatch_event("#next", "click")
    page.wait_for_function(f"document.querySelector('h1').textContent == {str(products[1])!r}")
    page.wait_for_selector(".sessrec__item")
    settle(page)
    assert posted == []
    assert not Event.objects.exists()


def test_a_page_that_the_browser_itself_takes_back_counts_once(live_server, products, settings, monkeypatch):
    """The back/forward cache: the page goes on where it was left."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:cached": "pk"}}
    address = f"{live_server.url}/demo/product/{products[0].pk}/cached/"
    with chromium(ignore_default_args=["--disable-back-forward-cache"]) as browser:
        page = browser.new_page(user_agent=FIREFOX)
        agree(page)
        page.goto(address)
        page.evaluate("addEventListener('pageshow', (event) => { window.persisted = event.persisted })")
        page.wait_for_selector(".sessrec__item")
        until(lambda: seen() == 1)
        page.goto(f"{live_server.url}/demo/")
        page.go_back(wait_until="commit")
        page.wait_for_selector(".sessrec__item")
        settle(page)
        restored = page.evaluate("window.persisted")
        page.close()
        connections.close_all()
    assert restored, "this browser keeps no pages"
    assert views(products) == [0]
    assert (Impression.objects.count(), seen()) == (1, 1)
