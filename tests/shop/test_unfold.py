"""Our pages of the admin under django-unfold, which replaces templates and stylesheets."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from example_shop.stack.running import RunningShop, running_shop
from tests.support.browser import chromium, needs_chromium

pytest.importorskip("unfold", reason="django-unfold is not installed: it is in the dependency group test")
pytestmark = [pytest.mark.e2e, needs_chromium]

PAGES = (
    *("", "trainingrun/", "trainingrun/compare/", "inspector/", "inspector/?item=1", "report/"),
    *("report/products/", "heartbeat/", "auditentry/", "event/"),
)
SEEN = """selector => {
    const style = getComputedStyle(document.querySelector(selector));
    const seen = colour => !["transparent", "rgba(0, 0, 0, 0)"].includes(colour);
    return {
        ground: seen(style.backgroundColor),
        border: !["0px", ""].includes(style.borderTopWidth) && seen(style.borderTopColor),
    };
}"""


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    prepare = (
        "fill_shop",
        "simulate_history --days 2 --sessions-per-day 300",
        "sessrec_train neighbours",
        "simulate_lists --days 2",
        "sessrec_rollup",
    )
    with running_shop("tests.shop.unfold_settings", ("web",), prepare) as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def tab(shop, request) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(color_scheme=request.param, base_url=shop.url)
        page.goto("/admin/login/?next=/admin/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", "admin")
        page.click("[type=submit]")
        yield page


def test_every_page_has_its_strip_and_fits_a_phone(tab):
    tab.set_viewport_size({"width": 390, "height": 844})
    for address in PAGES:
        answer = tab.goto(f"/admin/sessrec/{address}")
        assert answer is not None
        assert answer.status == 200, address
        assert tab.locator(".sessrec-tabs").count() == 1, address
        assert tab.locator(".sessrec-tabs").is_visible(), address


def test_cards_buttons_and_fields_are_seen(tab):
    tab.goto("/admin/sessrec/")
    assert tab.evaluate(SEEN, ".sessrec-card") == {"ground": True, "border": True}
    assert tab.evaluate(SEEN, ".sessrec-button")["border"]
    tab.goto("/admin/sessrec/inspector/")
    assert tab.evaluate(SEEN, "#sessrec-q")["border"]
    tab.goto("/admin/sessrec/trainingrun/")
    assert tab.get_by_role("button", name="Train now").first.is_visible()
    assert tab.get_by_role("link", name="Compare two runs on the same clicks").is_visible()


def test_an_act_asks_for_its_reason(tab):
    tab.goto("/admin/sessrec/trainingrun/")
    tab.get_by_role("button", name="Train now").first.click()
    tab.get_by_label("Why?").fill("to see it")
    assert tab.evaluate(SEEN, "#id_reason")["border"]
    assert tab.get_by_role("button", name="Train neighbours").is_visible()
