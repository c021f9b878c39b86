"""The real browser that tests look through, and what a page must never do to it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

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


def watch(context: BrowserContext, complaints: list[str]) -> None:
    """Note what the context's pages complain of: errors, violated policies, whatever the console shows."""
    context.on("console", lambda message: complaints.append(f"{message.page.url}: {message.text}"))
    context.on("weberror", lambda error: complaints.append(f"{error.page.url}: {error.error}"))
