"""The ES module in a real browser, under a strict Content-Security-Policy, on a page for caches."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.db import connections
from django.urls import reverse
from playwright.sync_api import Page

from django_sessrec.models import Event, Impression
from tests.support.axe import violations
from tests.support.browser import agree, chromium, needs_chromium, until, watch

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]


@pytest.fixture
def complaints() -> list[str]:
    """What the console of `page` complains about."""
    return []


@pytest.fixture
def page(settings, monkeypatch, complaints) -> Iterator[Page]:
    """A tab; whatever the console complains about fails the test."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in the test's thread
    settings.MIDDLEWARE = ["tests.demo.security.strict_csp", *settings.MIDDLEWARE]
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:cached": "pk"}}
    with chromium() as browser:
        tab = browser.new_page()
        watch(tab.context, complaints)
        yield tab
        tab.close()
        connections.close_all()  # those of Playwright's loop, which nobody else can reach
    assert complaints == []


ELSEWHERE = """
document.addEventListener("readystatechange", () => {
  for (let number = 0; document.readyState === "interactive" && number < 100; number++) {
    const item = document.createElement("p");
    item.dataset.sessrecItem = crypto.randomUUID();
    document.body.append(item);
  }
});
"""


def test_what_stands_elsewhere_makes_no_address_that_servers_refuse(page, address):
    asked = []
    page.add_init_script("crypto.randomUUID ??= () => `${Math.random()}`.padEnd(36, '0')")  # on plain http
    page.add_init_script(ELSEWHERE)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.locator(".sessrec-placeholder .sessrec__item").first.wait_for()
    [slot] = [url for url in asked if "/slot/" in url]
    assert 3_300 < len(slot) < 3_600
    assert slot.count("leave_out=") > 60


@pytest.fixture
def address(live_server, products) -> str:
    return f"{live_server.url}/demo/product/{products[0].pk}/cached/"


def recorded(count: int) -> list[Event]:
    """The first `count` events, as soon as they are stored; but for those of lists that somebody looks at."""
    events = Event.objects.exclude(name="view_item_list").order_by("event_id")
    until(lambda: events.count() >= count)
    return list(events)


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


@pytest.fixture
def scripted(live_server, products) -> str:
    return f"{live_server.url}/demo/product/{products[0].pk}/scripted/"


def below_the_fold(page: Page) -> None:
    """Push the list down, out of view, before the script looks."""
    page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => {"
        " document.querySelector('.demo-screens').style.height = '3000px' })"
    )


def seen() -> list[Event]:
    return list(Event.objects.filter(name="view_item_list"))


def test_list_in_view_for_a_second_is_seen_once(page, scripted):
    agree(page)
    page.goto(scripted)
    until(seen)
    (event,) = seen()
    assert (event.source, event.impression) == ("browser", Impression.objects.get())
    page.mouse.wheel(0, 3000)
    page.mouse.wheel(0, -3000)
    page.wait_for_timeout(1_500)
    assert len(seen()) == 1


def test_list_below_the_fold_is_seen_once_somebody_gets_there_and_stays(page, scripted):
    agree(page)
    below_the_fold(page)
    page.goto(scripted)
    page.wait_for_timeout(1_500)
    assert seen() == []
    page.evaluate("scrollTo(0, 3000); setTimeout(() => scrollTo(0, 0), 300)")
    page.wait_for_timeout(1_800)
    assert seen() == [], "it flew past"
    page.evaluate("scrollTo(0, 3000)")
    until(seen)
    assert len(seen()) == 1


def test_list_that_a_placeholder_brought_is_seen(page, address):
    agree(page)
    page.goto(address)
    until(seen)
    assert [event.impression for event in seen()] == [Impression.objects.get()]
    assert Event.objects.filter(name="view_item").count() == 1


def test_who_clicks_at_once_has_seen_the_list(page, scripted):
    agree(page)
    page.goto(scripted)
    page.locator(".sessrec__card").first.click()
    until(seen)
    assert len(seen()) == 1


def test_without_consent_a_list_in_view_is_told_to_nobody(page, scripted):
    posted = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    page.goto(scripted)
    page.wait_for_timeout(1_500)
    assert page.locator("[data-sessrec-rec]").count() == 0
    assert posted == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("consented", [True, False])
def test_slot_explanation_and_switch_break_no_rule_of_accessibility(
    page, scripted, live_server, width, consented
):
    page.set_viewport_size({"width": width, "height": 900})
    if consented:
        agree(page)
    page.goto(scripted)
    page.locator(".sessrec-why__summary").click()
    assert violations(page, ".sessrec", ".sessrec-why", ".sessrec-toggle") == []
    page.goto(f"{live_server.url}{reverse('sessrec:why')}")
    assert violations(page) == []


def test_the_script_is_small_and_blocks_neither_parsing_nor_painting(page, scripted):
    """Judged by what the browser reports: nothing that blocks rendering is ours, and no task over 50 ms."""
    page.add_init_script(
        "window.long = []; new PerformanceObserver((list) => window.long.push(...list.getEntries()))"
        ".observe({ type: 'longtask', buffered: true })"
    )
    agree(page)
    page.goto(scripted)
    until(seen)
    (script,) = page.evaluate(
        "performance.getEntriesByType('resource').filter((each) => each.initiatorType === 'script')"
    )
    assert script["name"].endswith("sessrec/sessrec.js")
    assert script["renderBlockingStatus"] == "non-blocking"
    assert page.evaluate("window.long.filter((each) => each.attribution[0].containerType === 'script')") == []
    source = Path(finders.find("sessrec/sessrec.js")).read_bytes()
    assert len(gzip.compress(source)) < 4_096


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


@pytest.mark.parametrize("consented", [True, False])
def test_a_slot_of_a_placement_that_is_gone_loses_no_view(page, address, settings, complaints, consented):
    settings.SESSREC = settings.SESSREC | {"PLACEMENTS": {"another": {}}}
    if consented:
        agree(page)
    page.goto(address)
    if consented:
        assert [each.name for each in recorded(1)] == ["view_item"]
    page.wait_for_timeout(1_000)
    assert Event.objects.exists() == consented
    assert len(complaints) == 1, "the browser's own"
    assert "404" in complaints.pop()


def test_an_answer_that_breaks_off_costs_the_list_alone(page, address):
    page.add_init_script("Response.prototype.text = async () => { throw new Error('broken off') }")
    agree(page)
    page.goto(address)
    assert [each.name for each in recorded(1)] == ["view_item"]
    page.wait_for_timeout(1_000)
    assert page.locator(".sessrec__item").count() == 0


ANOTHER = """
document.addEventListener("readystatechange", () => {
  if (document.readyState !== "interactive") return;
  const another = document.createElement("div");
  another.id = "another";
  another.dataset.sessrecSlot = "/sessrec/slot/product_page/?limit=4";
  document.querySelector("[data-sessrec-slot]").WHERE(another);
});
"""


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_slot_that_never_answers_holds_up_no_other_and_loses_no_view(page, address, products, where):
    """By a clock of the page's that the test moves on: how busy the machine is does not count."""
    now = datetime.now(UTC)
    page.clock.install(time=now)
    page.clock.pause_at(now + timedelta(minutes=5))
    page.add_init_script(ANOTHER.replace("WHERE", where))
    held, asked = [], []
    page.route(
        lambda url: "/slot/" in url and "limit=4" not in url, lambda route: held.append(route)
    )  # never answered
    page.on("request", lambda request: asked.append(request.url) if "limit=4" in request.url else None)
    agree(page)
    page.goto(address)
    until(lambda: page.evaluate("1") and held)
    page.clock.run_for(4_900)
    assert len(asked) == (where == "before"), "each waits for the one before it"
    assert not Event.objects.filter(name="view_item").exists(), "the other list may have been seen by now"
    page.clock.run_for(200)
    page.wait_for_selector("#another .sessrec__item")
    page.clock.resume()
    assert [(each.name, each.item_id) for each in recorded(1)] == [("view_item", str(products[0].pk))]
    assert page.locator(".sessrec-placeholder .sessrec__item").count() == 0


NEXT_PAGE = """(item) => {
  history.pushState({}, "", "?next");
  for (const limit of [4, 5]) {
    const slot = document.createElement("div");
    slot.id = `of-${limit}`;
    slot.dataset.sessrecSlot = `/sessrec/slot/product_page/?limit=${limit}`;
    if (limit === 4) slot.dataset.sessrecView = item;
    document.body.append(slot);
  }
}"""


def test_what_was_refused_on_the_page_before_is_no_answer_for_the_next_one(page, address, products):
    """The visitor agrees, and the next page comes without a reload; its own slot never answers."""
    page.clock.install()
    page.route(lambda url: "limit=4" in url, lambda route: None)
    page.goto(address)
    page.wait_for_selector(".sessrec-placeholder .sessrec__item")
    agree(page)
    page.evaluate(NEXT_PAGE, str(products[3].pk))
    page.clock.run_for(5_100)
    page.wait_for_selector("#of-5 .sessrec__item")
    assert [(each.name, each.item_id) for each in recorded(1)] == [("view_item", str(products[3].pk))]


def test_shop_hears_when_a_slot_is_filled(page, address):
    page.add_init_script(
        "document.addEventListener('sessrec:filled', (event) => { event.target.title = 'heard' })"
    )
    page.goto(address)
    page.wait_for_selector(".sessrec__item")
    assert page.locator(".sessrec-placeholder").get_attribute("title") == "heard"


@pytest.mark.parametrize("button", ["left", "middle"])
def test_a_clicked_recommendation_leads_to_the_address_that_caches_know(page, scripted, products, button):
    agree(page)
    page.goto(scripted)
    card = page.locator(".sessrec__card").nth(1)
    address = card.get_attribute("href")
    assert "?sessrec=" in address
    shown = Impression.objects.get()
    if button == "left":
        card.click()
        page.wait_for_url("**/product/*/")
        assert page.url.endswith(address.partition("?")[0])
    else:
        with page.context.expect_page() as opened:
            card.click(button="middle")
        opened.value.wait_for_load_state()
        assert opened.value.url.endswith(address.partition("?")[0])
    until(lambda: Event.objects.filter(name="select_item").exists())
    (click,) = Event.objects.filter(name="select_item")
    assert (click.impression_id, click.position, click.source) == (shown.pk, 2, "browser")
    assert click.item_id == shown.item_ids[1]


def test_a_link_keeps_its_other_arguments_and_counts_once(page, scripted):
    agree(page)
    page.goto(scripted)
    page.evaluate(
        "document.addEventListener('click', (event) => event.preventDefault());"
        "document.querySelectorAll('.sessrec__card').forEach((link, n) => {"
        " const tag = link.href.split('?')[1];"
        " const three = [`/a/?${tag}&x=%C3%A9+1`, `/b/?y=2&${tag}#top`, `/c/?y=2&${tag}&z=3`];"
        " link.href = three[n] ?? link.href })"
    )
    cards = page.locator(".sessrec__card")
    for n, left in enumerate(["/a/?x=%C3%A9+1", "/b/?y=2#top", "/c/?y=2&z=3"]):
        cards.nth(n).click()
        cards.nth(n).click()
        assert cards.nth(n).get_attribute("href") == left
    until(lambda: Event.objects.filter(name="select_item").count() == 3)
    clicks = Event.objects.filter(name="select_item").order_by("position")
    assert [click.position for click in clicks] == [1, 2, 3]


def test_a_list_that_does_not_name_its_items_leaves_the_click_to_the_server(page, scripted):
    agree(page)
    page.goto(scripted)
    page.evaluate(
        "for (const each of document.querySelectorAll('.sessrec__item')) delete each.dataset.sessrecItem"
    )
    page.locator(".sessrec__card").first.click()
    page.wait_for_url("**/product/*/?sessrec=*")
