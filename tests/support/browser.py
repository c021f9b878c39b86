"""The real browser that tests look through, and what a page must never do to it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OFFLINE = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt install chromium")


@contextmanager
def chromium(**options: Any) -> Iterator[Browser]:
    """Start Chromium without a word to anybody outside this machine; `options` are Playwright's."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE, **options)
        yield browser
        browser.close()


def agree(page: Page) -> None:
    """The banner's answer of the shop under test: yes."""
    page.context.add_cookies([{"name": "consent", "value": "yes", "domain": "localhost", "path": "/"}])


def until(happened: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for what a page does by itself; who calls asserts it."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)


def watch(context: BrowserContext, complaints: list[str]) -> None:
    """Note what the context's pages complain of: errors, violated policies, whatever the console shows."""
    context.on("console", lambda message: complaints.append(f"{message.page.url}: {message.text}"))
    context.on("weberror", lambda error: complaints.append(f"{error.page.url}: {error.error}"))
