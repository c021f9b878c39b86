"""A whole shop in its own processes, and visitors who look at it through a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from example_shop.shop.traffic import BROWSER
from example_shop.stack.running import RunningShop, running_shop
from tests.support.browser import chromium, watch

Visitor = Callable[..., Page]


@pytest.fixture(scope="package")
def shop() -> Iterator[RunningShop]:
    """The shop with visits of two days, and the neighbours trained on them."""
    prepare = ("fill_shop", "simulate_history --days 2 --sessions-per-day 1500", "sessrec_train neighbours")
    with running_shop("example_shop.settings", ("web", "capture", "train"), prepare) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, shop: RunningShop) -> Iterator[Visitor]:
    """visitor(**context options) opens a private window; no window may complain or leave the shop."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    elsewhere: list[str] = []

    def note(url: str) -> None:
        if not url.startswith((f"{shop.url}/", "data:")):
            elsewhere.append(url)

    def enter(**options: object) -> Page:
        # The headless browser's own name is a bot's.
        context = browser.new_context(base_url=shop.url, user_agent=BROWSER, **options)
        context.set_default_timeout(60_000)
        context.on("request", lambda request: note(request.url))
        watch(context, complaints)
        contexts.append(context)
        return context.new_page()

    yield enter
    for context in contexts:
        context.close()
    assert complaints == []
    assert elsewhere == []
