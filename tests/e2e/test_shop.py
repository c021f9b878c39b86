"""What people do in the shop, seen through a real browser: visits, choices, purchases, the admin.

One file, so that one shop is started for all of it, however many processes run the tests.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.walk import accept, follow, main_pages, open_product, report, session_of, shown, sign_in, slot
from tests.support.axe import violations
from tests.support.browser import needs_chromium

pytestmark = [pytest.mark.e2e, needs_chromium]
KEPT = ("sessrec_event", "sessrec_impression", "sessrec_failedevent")
ALL_ROWS = "SELECT (SELECT count(*) FROM sessrec_event), (SELECT count(*) FROM sessrec_impression)"
COUNTED = ("Clicks", "In the basket", "Purchases")
DESK = {"viewport": {"width": 1280, "height": 900}}
TELEPHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
NARROW = {"viewport": {"width": 320, "height": 740}}  # a desk's page at four times its size
OBSTACLES = Path(__file__).with_name("obstacles.js").read_text()
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BEHIND_THE_BANNER = """() => {
    const focused = document.activeElement, banner = document.querySelector(".consent");
    const outside = focused !== document.body && !banner.contains(focused);
    const hidden = focused.getBoundingClientRect().top >= banner.getBoundingClientRect().top;
    return outside && hidden ? [focused.outerHTML] : [];
}"""


def kinds(shop, item_ids):
    """The kind of each of these products."""
    found = dict(shop.rows("SELECT id::text, category_id FROM shop_product"))
    return [found[item_id] for item_id in item_ids]


def test_the_list_follows_each_click_to_the_newest_intent(visitor, shop):
    page = visitor()
    accept(page)
    lists = []
    for kind, place in (("teapots", 0), ("teapots", 1), ("tents", 0)):
        open_product(page, shop, kind, place=place)
        lists.append(shown(page))
    assert [len(set(each)) for each in lists] == [8, 8, 8]
    assert len({tuple(each) for each in lists}) == 3
    tents = [kinds(shop, each).count("tents") for each in lists]
    assert tents[:2] == [0, 0]
    assert tents[2] >= 2


def test_a_visitor_nobody_knows_gets_a_full_list_of_what_fits(visitor, shop):
    page = visitor()
    accept(page)
    item_id = open_product(page, shop, "tents")
    assert len(set(shown(page))) == 8
    assert item_id not in shown(page)
    assert kinds(shop, shown(page)).count("tents") >= 2


@pytest.mark.parametrize("refusal", ["declines", "sends GPC"])
def test_who_does_not_agree_gets_a_full_list_and_leaves_no_trace(visitor, shop, refusal):
    before = shop.rows(ALL_ROWS)
    page = visitor(extra_http_headers={"Sec-GPC": "1"}) if refusal == "sends GPC" else visitor()
    page.goto("/")
    if refusal == "declines":
        page.get_by_role("button", name="Decline").click()
        page.get_by_role("button", name="Decline").wait_for(state="detached")
    for kind in ("teapots", "tents"):
        item_id = open_product(page, shop, kind)
        assert len(set(shown(page))) == 8
        assert kinds(shop, shown(page)).count(kind) >= 2
        assert item_id not in shown(page)
    slot(page).first.click()
    page.wait_for_url(lambda url: f"/product/{item_id}/" not in url)
    kept = {cookie["name"] for cookie in page.context.cookies()}
    assert kept == ({"consent"} if refusal == "declines" else set())
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert shop.rows(ALL_ROWS) == before


def test_a_change_of_mind_deletes_what_was_kept_at_once(visitor, shop):
    page = visitor()
    accept(page)
    open_product(page, shop, "teapots")
    session_id = session_of(page)
    traces = " + ".join(f"(SELECT count(*) FROM {table} WHERE session_id = %(id)s)" for table in KEPT)
    assert shop.rows(f"SELECT {traces}", {"id": session_id}) >= [(2,)]
    page.goto("/privacy/")
    with page.expect_response("**/consent/") as answer:
        page.get_by_role("main").get_by_role("button", name="Decline").click()
    assert "sessrec=" in answer.value.header_value("Set-Cookie")
    assert shop.rows(f"SELECT {traces}", {"id": session_id}) == [(0,)]
    page.get_by_text("You declined: nothing is remembered.").wait_for()
    assert session_of(page) is None
    open_product(page, shop, "tents")
    assert session_of(page) is None
    assert shop.rows(f"SELECT {traces}", {"id": session_id}) == [(0,)]


def test_a_visitor_reads_what_is_kept_and_erases_it_without_javascript(visitor, shop):
    before = shop.rows(ALL_ROWS)
    page = visitor(java_script_enabled=False)
    accept(page)
    open_product(page, shop, "teapots")
    name = page.get_by_role("heading", level=1).inner_text()
    page.goto("/privacy/")
    page.get_by_role("link", name="Everything we keep of it").click()
    page.get_by_role("main").get_by_text(f"Product viewed: {name}").wait_for()
    page.get_by_role("button", name="Erase this visit").click()
    page.get_by_text("Your visit has been erased.").wait_for()
    assert session_of(page) is None
    assert shop.rows(ALL_ROWS) == before


def test_one_click_at_the_foot_of_the_page_ends_it_without_javascript(visitor, shop):
    before = shop.rows(ALL_ROWS)
    page = visitor(java_script_enabled=False)
    accept(page)
    open_product(page, shop, "teapots")
    assert shop.rows(ALL_ROWS) > before
    here = page.url
    page.get_by_role("button", name="Switch personal suggestions off").click()
    page.get_by_text("You have switched personal suggestions off.").wait_for()
    assert page.url == here
    assert shop.rows(ALL_ROWS) == before
    item_id = open_product(page, shop, "tents")
    assert len(set(shown(page))) == 8
    assert item_id not in shown(page)
    page.get_by_text("Why these products?").click()
    page.get_by_text("We use only the product, category or search on the page").wait_for()
    assert {cookie["name"] for cookie in page.context.cookies()} == {"consent", "sessrec_off"}
    assert shop.rows(ALL_ROWS) == before


def trained_in_the_admin(page):
    """Press the button and watch the list, which moves by itself, until the new run serves; return its id."""
    page.goto("/admin/sessrec/trainingrun/")
    newest = page.locator("#result_list tbody tr").first
    before = newest.locator("th").inner_text()
    card = page.locator(".sessrec-model", has=page.get_by_role("link", name="neighbours", exact=True))
    card.get_by_role("button", name="Train now").click()
    page.get_by_label("Why?").fill("The range has changed.")
    page.get_by_role("button", name="Train neighbours").click()
    expect(newest.locator("th")).not_to_have_text(before, timeout=300_000)
    newest.locator(".sessrec-serving").wait_for(timeout=300_000)
    return int(newest.locator("th a").inner_text().removeprefix("neighbours #"))


def figures(page):
    """The report's cards: heading to figure."""
    report(page)
    cards = page.locator(".sessrec-card")
    return {card.locator("dt").inner_text(): card.locator("dd").first.inner_text() for card in cards.all()}


def count(cards, name):
    return int(cards.get(name, "0"))  # before the first list there are no cards


def test_from_training_to_an_attributed_purchase(visitor, shop):
    staff, page = visitor(), visitor()
    sign_in(staff)
    earlier = figures(staff)
    run_id = trained_in_the_admin(staff)

    accept(page)
    open_product(page, shop, "teapots")
    [(impression_id, model, run, item_ids)] = shop.rows(
        "SELECT impression_id, model, run_id, item_ids FROM sessrec_impression"
        " WHERE session_id = %s AND placement = 'product_page'",
        [session_of(page)],
    )
    assert (model, run) == ("neighbours", run_id)
    assert item_ids == shown(page)

    follow(page, slot(page).nth(2))
    page.get_by_role("button", name="Add to basket").click()
    page.get_by_role("link", name="To the checkout").click()
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    happened = shop.rows(
        "SELECT name, item_id, impression_id, position FROM sessrec_event"
        " WHERE session_id = %s AND name <> 'view_item_list' ORDER BY event_id OFFSET 1",
        [session_of(page)],
    )
    bought = item_ids[2]
    assert happened == [
        ("select_item", bought, impression_id, 3),
        ("view_item", bought, None, None),
        ("add_to_cart", bought, None, None),
        ("purchase", bought, None, None),
    ]
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    shop.manage(f"sessrec_rollup --since {yesterday}")  # the schedule counts today every five minutes
    later = figures(staff)
    assert {name: count(later, name) - count(earlier, name) for name in COUNTED} == dict.fromkeys(COUNTED, 1)
    assert "EUR" in later["Sales after a click"]


@pytest.mark.parametrize("screen", [DESK, TELEPHONE, NARROW], ids=["desk", "telephone", "narrow"])
def test_every_page_is_quiet_at_home_accessible_and_fits(visitor, screen):
    """The fixture asserts the first two: no word in the console, no policy violated, no request elsewhere."""
    page = visitor(**screen)
    problems = {}
    for name in main_pages(page):
        page.wait_for_load_state("networkidle")
        problems[name] = page.evaluate(OBSTACLES) + violations(page)
        if page.evaluate(OVERFLOW) > 0:
            problems[name].append(f"scrolls sideways by {page.evaluate(OVERFLOW)} pixels")
    assert "training run" in problems
    assert {name: found for name, found in problems.items() if found} == {}


@pytest.mark.parametrize("address", ["/", "/privacy/"])
@pytest.mark.parametrize("screen", [DESK, TELEPHONE, NARROW], ids=["desk", "telephone", "narrow"])
def test_the_banner_hides_nothing_that_has_the_focus(visitor, screen, address):
    page = visitor(**screen)
    page.goto(address)
    hidden, stops = [], 0
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement !== document.body"):
        hidden += page.evaluate(BEHIND_THE_BANNER)
        page.keyboard.press("Tab")
        stops += 1
    assert stops > 20
    assert hidden == []


def test_a_keyboard_reaches_the_list_and_follows_it(visitor, shop):
    page = visitor()
    accept(page)
    open_product(page, shop, "teapots")
    in_the_list = "document.activeElement.closest('[data-sessrec-placement]') !== null"
    stops = 0
    while not page.evaluate(in_the_list):
        page.keyboard.press("Tab")
        stops += 1
        assert stops < 40, "the list is not on the keyboard's way"
    first = page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    page.wait_for_url(first.partition("?")[0])  # the script took the argument out
