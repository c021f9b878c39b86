"""Every page of the admin in a browser: light, dark, on a phone, by keyboard, under django-unfold, too."""

from collections.abc import Iterator, Mapping

import pytest
from playwright.sync_api import Browser, Page

from example_shop.stack.running import RunningShop, running_shop
from tests.support.axe import violations
from tests.support.browser import chromium, needs_chromium, watch

pytest.importorskip("unfold", reason="django-unfold is not installed: it is in the dependency group test")
pytestmark = [pytest.mark.e2e, pytest.mark.slow, needs_chromium]

ADMIN = "/admin/sessrec/"
OWN, UNFOLD = "example_shop.settings", "tests.shop.unfold_settings"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = {
    "Today": "",
    "Report": "report/",
    "Placements": "ruleset/",
    "Placement": "ruleset/product_page/",
    "Preview": "ruleset/product_page/preview/",
    "Settings": "ruleset/product_page/settings/",
    "Rule": "ruleset/product_page/rule/1/",
    **{f"New {kind}": f"ruleset/product_page/add/{kind}/" for kind in ("hide", "beside", "cap", "price")},
    "Experiments": "experiment/",
    "Experiment that ended": "experiment/1/change/",
    "Experiment that waits": "experiment/2/change/",
    "Draft of an experiment": "experiment/3/change/",
    "New experiment": "experiment/new/",
    "Models": "trainingrun/",
    "Training run": "trainingrun/1/change/",
    "Compare": "trainingrun/compare/",
    "Compared": "trainingrun/compare/?one=2&other=1",
    "Inspector": "inspector/",
    "Inspected product": "inspector/?item=100",
    "Products and data": "report/products/",
    "Health and alerts": "heartbeat/",
    **{f"Raw {name}": f"{name}/" for name in ("event", "impression", "failedevent", "quarantine")},
    **{f"Raw {name}": f"{name}/" for name in ("promotion", "auditentry")},
}
# Of django-unfold's own pages only what is ours is judged.
OURS = {OWN: (), UNFOLD: (".sessrec", ".sessrec-tabs")}
SEEN = """selector => {
    const style = getComputedStyle(document.querySelector(selector));
    const seen = colour => !["transparent", "rgba(0, 0, 0, 0)"].includes(colour);
    return {
        ground: seen(style.backgroundColor),
        border: !["0px", ""].includes(style.borderTopWidth) && seen(style.borderTopColor),
    };
}"""
REACHABLE = """() => {
    const of = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
    const ours = [...document.querySelectorAll(".sessrec-tabs, .sessrec")];
    const all = ours.flatMap(part => [...(part.matches(of) ? [part] : []), ...part.querySelectorAll(of)]);
    const shown = all.filter(each => each.checkVisibility() && !each.disabled && each.tabIndex >= 0);
    shown.forEach((each, number) => { each.dataset.number = number; });
    return shown.length;
}"""
FOCUSED = """() => {
    const each = document.activeElement, style = getComputedStyle(each);
    const marked = style.outlineStyle !== "none" || style.boxShadow !== "none";
    return [each.dataset.number ?? null, marked, each.outerHTML.slice(0, 120)];
}"""


@pytest.fixture(scope="module", params=[OWN, UNFOLD], ids=["own", "unfold"])
def settings_of_shop(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def shop(settings_of_shop) -> Iterator[RunningShop]:
    """A shop with a few days behind it, two runs, and an experiment that ended."""
    prepare = (
        "fill_shop",
        "simulate_history --days 10 --sessions-per-day 100",
        "sessrec_train neighbours",
        "simulate_lists --days 10",
        "sessrec_rollup",
        "sessrec_train neighbours",
    )
    with running_shop(settings_of_shop, ("web",), prepare) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def signed_in(browser: Browser, shop: RunningShop, complaints: list[str] | None = None) -> Page:
    context = browser.new_context(base_url=shop.url, viewport=WIDE)
    if complaints is not None:
        watch(context, complaints)
    page = context.new_page()
    page.goto("/admin/login/?next=/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")
    return page


@pytest.fixture(scope="module")
def rows(browser, shop) -> RunningShop:
    """A rule in a draft and a draft of an experiment, made as a merchant makes them."""
    page = signed_in(browser, shop)
    page.goto(f"{ADMIN}ruleset/product_page/add/pin/")
    page.fill("#id_item", "100")
    page.get_by_label("Why?").fill("the season begins")
    page.get_by_role("button", name="Save in the draft").click()
    page.wait_for_url("**/product_page/")
    page.goto(f"{ADMIN}experiment/")
    page.get_by_role("link", name="New experiment").click()
    page.wait_for_url("**/new/")
    page.fill("#id_name", "Are six enough?")
    page.fill("#id_variants-0-name", "eight")
    page.fill("#id_variants-1-name", "six")
    page.select_option("#id_variants-1-model_1", "neighbours")
    page.fill("#id_variants-1-limit", "6")
    page.get_by_role("button", name="Save as draft").click()
    page.get_by_text("A draft: no session takes part yet.").wait_for()
    page.context.close()
    return shop


@pytest.fixture
def tab(browser, rows, settings_of_shop) -> Iterator[Page]:
    """A tab of which the console tells nothing, a violated policy among them; unfold's scripts may."""
    complaints: list[str] = []
    page = signed_in(browser, rows, complaints if settings_of_shop == OWN else None)
    yield page
    page.context.close()
    assert complaints == []


def walked(tab: Page) -> Iterator[tuple[str, Page]]:
    """Every page, a session in the inspector and the question of an act among them."""
    for name, address in PAGES.items():
        answer = tab.goto(ADMIN + address)
        assert answer is not None
        assert answer.status == 200, name
        yield name, tab
    tab.goto(f"{ADMIN}inspector/")
    tab.get_by_role("button", name="Inspect session").first.click()
    yield "Inspected session", tab
    tab.goto(f"{ADMIN}trainingrun/")
    tab.get_by_role("button", name="Train now").first.click()
    yield "Question", tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_page_breaks_a_rule_of_accessibility_or_is_too_wide(tab, settings_of_shop, scheme, size):
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size(size)
    found: dict[str, object] = {}
    for name, page in walked(tab):
        assert page.locator(".sessrec-tabs").count() == 1, name
        page.evaluate("document.querySelectorAll('.sessrec details').forEach(each => { each.open = true; })")
        if broken := violations(page, *OURS[settings_of_shop]):
            found[name] = broken
        # Lists of raw rows are Django's own tables, which scroll.
        if settings_of_shop == OWN and not name.startswith(("Raw", "Models")):
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > size["width"]:
                found[f"{name}: width"] = width
    assert found == {}


def test_every_control_is_reached_by_keyboard_and_shows_where_one_is(tab):
    lost: dict[str, object] = {}
    for name, page in walked(tab):
        controls = page.evaluate(REACHABLE)
        page.evaluate("document.activeElement?.blur()")
        reached: Mapping[str, tuple[bool, str]] = {}
        for _press in range(3 * controls + 120):
            page.keyboard.press("Tab")
            number, marked, html = page.evaluate(FOCUSED)
            if number is not None:
                reached = {**reached, number: (marked, html)}
            if len(reached) == controls:
                break
        if len(reached) < controls:
            lost[name] = f"{controls - len(reached)} of {controls} are not reached"
        if unmarked := [html for marked, html in reached.values() if not marked]:
            lost[f"{name}: focus"] = unmarked
    assert lost == {}


def test_cards_buttons_and_fields_are_seen(tab):
    tab.goto(ADMIN)
    assert tab.evaluate(SEEN, ".sessrec-card") == {"ground": True, "border": True}
    assert tab.evaluate(SEEN, ".sessrec-button")["border"]
    tab.goto(f"{ADMIN}inspector/")
    assert tab.evaluate(SEEN, "#sessrec-q")["border"]
    tab.goto(f"{ADMIN}trainingrun/")
    assert tab.get_by_role("link", name="Compare two runs on the same clicks").is_visible()


def test_an_act_asks_for_its_reason(tab):
    tab.goto(f"{ADMIN}trainingrun/")
    tab.get_by_role("button", name="Train now").first.click()
    tab.get_by_label("Why?").fill("to see it")
    assert tab.evaluate(SEEN, "#id_reason")["border"]
    assert tab.get_by_role("button", name="Train neighbours").is_visible()
