"""Every page of the admin in a browser: light, dark, on a phone, by keyboard, under django-unfold, too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page

from example_shop.stack.running import RunningShop, running_shop
from tests.support.axe import violations
from tests.support.browser import chromium, needs_chromium, watch
from tests.support.unfold import with_unfold

pytest.importorskip("unfold", reason="django-unfold is not installed: it is in the dependency group test")
pytestmark = [pytest.mark.e2e, pytest.mark.slow, needs_chromium]

ADMIN = "/admin/sessrec/"
OWN, UNFOLD = "example_shop.settings", "tests.shop.unfold_settings"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOKS = (("light", "wide", WIDE), ("dark", "phone", PHONE))
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
QUESTIONS = {  # name -> the page with the button that asks, and what stands on that
    "Question with a choice": ("experiment/1/change/", "What everybody gets"),
    "Question about a draft": ("ruleset/product_page/", "Go live"),
    "Question about a product": ("ruleset/product_page/", "Hide…"),
    "Question about a rule": ("ruleset/product_page/", "Remove"),
}
# Of django-unfold's own pages only what is ours is judged.
OURS = {OWN: (), UNFOLD: (".sessrec", ".sessrec-tabs")}
OPEN = "document.querySelectorAll('.sessrec details').forEach(each => { each.open = true; })"
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


@dataclass
class Walk:
    """What was found on a walk through every page in every look."""

    addresses: list[str] = field(default_factory=list)
    rules: dict[str, list[str]] = field(default_factory=dict)  # broken ones of accessibility
    widths: dict[str, int] = field(default_factory=dict)  # of pages that are wider than the screen
    lost: dict[str, str] = field(default_factory=dict)  # controls that the keyboard does not reach
    unmarked: dict[str, list[str]] = field(default_factory=dict)  # controls that don't show the focus
    complaints: list[str] = field(default_factory=list)  # of the console, a violated policy among them


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    """A shop with a few days behind it, two runs, and an experiment that ended."""
    prepare = (
        "fill_shop",
        "simulate_history --days 10 --sessions-per-day 100",
        "sessrec_train neighbours",
        "simulate_lists --days 10",
        "sessrec_rollup",
        "sessrec_train neighbours",
    )
    with running_shop(OWN, ("web",), prepare) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def signed_in(browser: Browser, url: str, complaints: list[str] | None = None) -> Page:
    context = browser.new_context(base_url=url, viewport=WIDE)
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
    page = signed_in(browser, shop.url)
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
    page.get_by_label("Why?").fill("the page is long")
    page.get_by_role("button", name="Save as draft").click()
    page.get_by_text("A draft: no session takes part yet.").wait_for()
    page.context.close()
    return shop


@pytest.fixture(scope="module")
def unfold(rows) -> str:
    """The address of the same shop with django-unfold."""
    return with_unfold(rows)


@pytest.fixture(scope="module", params=[OWN, UNFOLD])
def admin(request, rows) -> tuple[str, str]:
    """Whose templates the admin has, and its address."""
    own = request.param == OWN
    return request.param, rows.url if own else request.getfixturevalue("unfold")


@pytest.fixture(scope="module")
def walk(browser, admin) -> Walk:
    """Every page, loaded once and looked at in each scheme, in each size and by keyboard."""
    settings, url = admin
    walk = Walk()
    page = signed_in(browser, url, walk.complaints)
    for name in walked(page):
        walk.addresses.append(page.url)
        assert page.locator(".sessrec-tabs").count() == 1, name
        by_keyboard(page, name, walk)
        for scheme, size_name, size in LOOKS:
            page.emulate_media(color_scheme=scheme)
            if (settings, scheme) == (UNFOLD, "dark"):
                page.reload()  # it asks for the scheme only once
            page.evaluate(OPEN)
            page.set_viewport_size(size)
            look = f"{name}, {scheme}, {size_name}"
            if broken := violations(page, *OURS[settings]):
                walk.rules[look] = broken
            width = page.evaluate("document.documentElement.scrollWidth")
            # Lists of raw rows are Django's own tables, which scroll.
            if settings == OWN and width > size["width"] and not name.startswith(("Raw", "Models")):
                walk.widths[look] = width
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light")
    page.context.close()
    return walk


def walked(page: Page) -> Iterator[str]:
    """Go to every page, a session in the inspector and the question of an act among them."""
    for name, address in PAGES.items():
        answer = page.goto(ADMIN + address)
        assert answer is not None
        assert answer.status == 200, name
        yield name
    page.goto(f"{ADMIN}inspector/")
    page.get_by_role("button", name="Inspect session").first.click()
    page.wait_for_selector(".sessrec-timeline")
    yield "Inspected session"
    page.goto(f"{ADMIN}trainingrun/")
    page.get_by_role("button", name="Train now").first.click()
    page.wait_for_selector("#id_reason")
    yield "Question"
    for name, (address, button) in QUESTIONS.items():
        page.goto(ADMIN + address)
        page.get_by_role("button", name=button).first.click()
        page.wait_for_selector("#id_reason")
        yield name
    page.goto(f"{ADMIN}ruleset/product_page/add/hide/")
    page.evaluate("document.querySelectorAll('form').forEach(each => { each.noValidate = true; })")
    page.get_by_role("button", name="Save in the draft").click()
    page.wait_for_selector(".sessrec-error")
    yield "Refused form"


def by_keyboard(page: Page, name: str, walk: Walk) -> None:
    """Press Tab until every control of ours has had the focus."""
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
        walk.lost[name] = f"{controls - len(reached)} of {controls} are not reached"
    if unmarked := [html for marked, html in reached.values() if not marked]:
        walk.unmarked[name] = unmarked


def test_every_page_is_walked(walk):
    assert len(walk.addresses) == len(PAGES) + 2 + len(QUESTIONS) + 1


def test_no_page_breaks_a_rule_of_accessibility(walk):
    assert walk.rules == {}


def test_no_page_is_wider_than_its_screen(walk):
    assert walk.widths == {}


def test_every_control_is_reached_by_keyboard_and_shows_where_one_is(walk):
    assert (walk.lost, walk.unmarked) == ({}, {})


def test_the_console_tells_nothing(walk, admin):
    """Django's own admin keeps the strict policy; unfold's scripts may not."""
    assert admin[0] == UNFOLD or walk.complaints == []


@pytest.fixture
def tab(browser, admin) -> Iterator[Page]:
    page = signed_in(browser, admin[1])
    yield page
    page.context.close()


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
