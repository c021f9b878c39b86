"""Every page of the shop and the admin's own: calm, at home, and usable without a mouse or on a telephone."""

import pytest

from tests.browser import needs_chromium
from tests.e2e.walk import accept, main_pages, open_product

pytestmark = [pytest.mark.e2e, needs_chromium]
DESK = {"viewport": {"width": 1280, "height": 900}}
TELEPHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PAGES = ["home", "category", "product", "basket", "checkout", "thanks", "privacy", "report", "training runs"]

# What a screen reader stumbles over.
OBSTACLES = """() => {
  const wrong = [], shop = !location.pathname.startsWith("/admin/")
  for (const image of document.images) if (!image.hasAttribute("alt")) wrong.push(`no alt: ${image.src}`)
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels.length && !field.ariaLabel) wrong.push(`no label: ${field.outerHTML}`)
  for (const button of document.querySelectorAll("button, a[href]"))
    if (!button.textContent.trim() && !button.ariaLabel && !button.querySelector("img[alt]:not([alt=''])"))
      wrong.push(`no name: ${button.outerHTML}`)
  const levels = [...document.querySelectorAll("main :is(h1, h2, h3, h4)")].map((h) => +h.tagName[1])
  if (shop && levels.filter((level) => level === 1).length !== 1) wrong.push(`not one h1: ${levels}`)
  if (shop && levels.some((level, n) => level > (levels[n - 1] ?? 0) + 1)) wrong.push(`skips: ${levels}`)
  return wrong
}"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("screen", [DESK, TELEPHONE], ids=["desk", "telephone"])
def test_every_page_is_quiet_at_home_accessible_and_fits(visitor, screen):
    """The fixture asserts the first two: no word in the console, no policy violated, no request elsewhere."""
    page = visitor(**screen)
    problems = {}
    for name in main_pages(page):
        page.wait_for_load_state("networkidle")
        problems[name] = page.evaluate(OBSTACLES)
        if page.evaluate(OVERFLOW) > 0:
            problems[name].append(f"scrolls sideways by {page.evaluate(OVERFLOW)} pixels")
    assert problems == {name: [] for name in [*PAGES, "training run"]}


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
    page.wait_for_url(first)
