"""What visitors do, in their own words: open a product, read the list beside it, buy, sign in."""

import re
from collections.abc import Iterator
from uuid import UUID

from playwright.sync_api import Locator, Page

from example_shop.stack.running import RunningShop
from tests.support.visits import visit_in


def accept(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Accept").wait_for(state="detached")


def open_product(page: Page, shop: RunningShop, kind: str, *, place: int = 0) -> str:
    """Click a product of this kind on the kind's page, the most viewed one at place 0; return its id."""
    [(item_id,)] = shop.rows(
        "SELECT p.id::text FROM shop_product p JOIN sessrec_event e ON e.item_id = p.id::text AND NOT e.bot"
        " WHERE category_id = %s AND stock > 0 AND e.occurred_at < now() - interval '2 minutes'"
        " GROUP BY p.id ORDER BY count(*) DESC, p.id LIMIT 1 OFFSET %s",
        [kind, place],
    )
    page.goto(f"/c/{kind}/")
    card = page.locator(f"main .card:not([data-sessrec-placement] *) a[href^='/product/{item_id}/']")
    while not card.count():
        page.get_by_role("link", name="Next").click()
    follow(page, card)
    return item_id


def follow(page: Page, link: Locator) -> None:
    """Click, and wait until the product's own page stands."""
    path = link.get_attribute("href").split("?")[0]
    link.click()
    page.wait_for_url(f"**{path}**")


def slot(page: Page) -> Locator:
    """The links of the product page's own list."""
    return page.locator("[data-sessrec-placement='product_page'] .card a")


def shown(page: Page) -> list[str]:
    """The item ids of the list, first to last."""
    return [item_of(link.get_attribute("href")) for link in slot(page).all()]


def item_of(url: str) -> str:
    return re.search(r"/product/(\d+)/", url)[1]


def session_of(page: Page) -> UUID | None:
    """What the visit's cookie says, if there is one."""
    found = [cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "sessrec"]
    return visit_in(found[0]) if found else None


def sign_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Site administration").wait_for()


def report(page: Page) -> None:
    """Open the admin's figures."""
    page.goto("/admin/")
    page.get_by_role("link", name="Report", exact=True).click()
    page.get_by_role("heading", name="All figures", exact=True).wait_for()


def main_pages(page: Page) -> Iterator[str]:
    """Lead the page through the whole shop, a purchase and the admin; names each page as it stands."""
    page.goto("/")
    yield "home"
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("link", name="Start in the kitchen").click()
    page.get_by_role("heading", level=1, name="Kitchen").wait_for()
    yield "category"
    follow(page, page.locator("main .card:not(.sold-out) a").first)
    yield "product"
    page.get_by_role("button", name="Add to basket").click()
    page.get_by_role("heading", level=1, name="Your basket").wait_for()
    yield "basket"
    page.get_by_role("link", name="To the checkout").click()
    page.get_by_role("heading", level=1, name="Checkout").wait_for()
    yield "checkout"
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("heading", level=1, name="Thank you").wait_for()
    yield "thanks"
    page.goto("/privacy/")
    yield "privacy"
    page.get_by_role("link", name="How our suggestions are made").click()
    page.get_by_role("heading", level=1, name="How our suggestions are made").wait_for()
    yield "why"
    page.get_by_role("link", name="See what is kept of your visit").click()
    page.get_by_role("heading", level=1, name="What is kept of your visit").wait_for()
    yield "my visit"
    sign_in(page)
    page.goto("/admin/sessrec/report/")
    yield "report"
    page.goto("/admin/sessrec/trainingrun/")
    yield "training runs"
    page.locator("#result_list th a").first.click()
    page.get_by_role("heading", name="neighbours #").first.wait_for()
    yield "training run"
    for name in ("promotion", "event", "impression", "failedevent", "quarantine", "auditentry", "heartbeat"):
        page.goto(f"/admin/sessrec/{name}/")
        yield f"{name} in the admin"
