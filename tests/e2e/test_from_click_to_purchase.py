"""The whole way: train in the admin, be recommended to, click, buy, and read of it in the report."""

import pytest
from playwright.sync_api import expect

from tests.browser import needs_chromium
from tests.e2e.walk import accept, follow, open_product, session_of, shown, sign_in, slot

pytestmark = [pytest.mark.e2e, needs_chromium]
REPORT = "/admin/sessrec/report/"
COUNTED = ("Clicks", "In the basket", "Purchases")


def trained_in_the_admin(page):
    """Press the button and watch the list, which moves by itself, until the new run serves; return its id."""
    page.goto("/admin/sessrec/trainingrun/")
    newest = page.locator("#result_list tbody tr").first
    before = newest.locator("th").inner_text()
    card = page.locator(".sessrec-model", has=page.get_by_role("link", name="neighbours", exact=True))
    card.get_by_role("button", name="Train now").click()
    expect(newest.locator("th")).not_to_have_text(before, timeout=30_000)
    newest.locator(".sessrec-serving").wait_for(timeout=60_000)
    return int(newest.locator("th a").inner_text().removeprefix("neighbours #"))


def figures(page):
    """The report's cards: heading to figure."""
    page.goto(REPORT)
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
        "SELECT name, item_id, impression_id, position FROM sessrec_event WHERE session_id = %s"
        " ORDER BY event_id OFFSET 1",
        [session_of(page)],
    )
    bought = item_ids[2]
    assert happened == [
        ("select_item", bought, impression_id, 3),
        ("view_item", bought, None, None),
        ("add_to_cart", bought, None, None),
        ("purchase", bought, None, None),
    ]
    later = figures(staff)
    assert {name: count(later, name) - count(earlier, name) for name in COUNTED} == dict.fromkeys(COUNTED, 1)
    assert "EUR" in later["Revenue after a click"]
