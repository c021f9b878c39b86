"""The pages' pictures: `python -m docs.screenshots [shop] [phone] [today] ...`, in a shop of its own.

Its visitors are simulated, its lists are made by the package. Each picture is a WebP of less than 150 kB
below docs/images/. A page of staff has four: light, dark, on a phone, and with django-unfold.
"""

import base64
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from example_shop.stack.running import running_shop
from tests.support.unfold import with_unfold

IMAGES = Path(__file__).parent / "images"
LARGEST = 150_000  # bytes
PHONE = {"width": 390, "height": 844}
SHOP = {"width": 1200, "height": 900}
ADMIN = {"width": 1280, "height": 780}  # down to the first table
MARGIN = 24  # pixels around the list in its picture
# A headless browser is taken for a bot.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
COCKPIT = {  # name -> address below the admin's
    "today": "",
    "report": "report/",
    "placements": "ruleset/",
    "placement": "ruleset/product_page/?product=100",
    "experiments": "experiment/",
    "experiment": "experiment/2/change/",
    "models": "trainingrun/",
    "run": "trainingrun/1/change/",
    "compare": "trainingrun/compare/?one=2&other=1",
    "inspector": "inspector/?item=100",
    "products": "report/products/",
    "health": "heartbeat/",
    "events": "event/",
}
LOOKS = {  # suffix -> scheme and size; the address's port tells whether it is django-unfold's
    "": ("light", ADMIN),
    "-dark": ("dark", ADMIN),
    "-phone": ("light", PHONE),
    "-unfold": ("light", ADMIN),
}
CLICKS = ("mug", "teapot")  # what the visitor looks for before the picture is taken
TO_WEBP = """async ([png, quality]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""


def save(page: Page, name: str, quality: float = 0.82, **options: object) -> None:
    """Take a picture of the page and keep it as WebP, which Chromium itself encodes."""
    png = base64.b64encode(page.screenshot(animations="disabled", **options)).decode()
    encoder = page.context.browser.new_page()
    webp = base64.b64decode(encoder.evaluate(TO_WEBP, [png, quality]))
    encoder.close()
    if len(webp) > LARGEST:
        raise ValueError(f"{name}.webp takes {len(webp)} bytes; at most {LARGEST} are allowed")
    (IMAGES / f"{name}.webp").write_bytes(webp)


def product_page(browser: Browser, url: str, name: str, size: dict[str, int], **context: object) -> None:
    """A visitor who consented and viewed a few products sees a list that follows these clicks."""
    page = browser.new_page(viewport=size, user_agent=USER_AGENT, **context)
    page.context.add_cookies([{"name": "consent", "value": "session", "url": url}])
    for word in CLICKS:
        page.goto(f"{url}/search/?q={word}")
        page.locator("main a[href^='/product/']").first.click()
        page.wait_for_url("**/product/**")
        page.wait_for_load_state("networkidle")
    if size == PHONE:
        page.locator("[data-sessrec-placement]").first.evaluate("list => list.scrollIntoView()")
        save(page, name)
    else:
        save(page, name, full_page=True, clip=around(page, "[data-sessrec-placement]"))
    page.close()


def around(page: Page, selector: str) -> dict[str, float]:
    """The first such part of the page, across the page's whole width, for a picture's `clip`."""
    box = page.locator(selector).first.bounding_box()
    top = box["y"] + page.evaluate("scrollY") - MARGIN
    return {"x": 0, "y": top, "width": page.viewport_size["width"], "height": box["height"] + 2 * MARGIN}


def cockpit(browser: Browser, urls: dict[str, str], names: list[str]) -> None:
    """The pages of staff in each look."""
    for suffix, (scheme, size) in LOOKS.items():
        page = browser.new_page(viewport=size, color_scheme=scheme)
        url = urls["unfold" if suffix == "-unfold" else "own"]
        page.goto(f"{url}/admin/login/?next=/admin/sessrec/experiment/")  # takes in what the settings declare
        page.fill("#id_username", "admin")
        page.fill("#id_password", "admin")
        page.click("[type=submit]")
        for name in names:
            answer = page.goto(f"{url}/admin/sessrec/{COCKPIT[name]}")
            if answer is None or not answer.ok:
                raise RuntimeError(f"{page.url} is no page to take a picture of: {page.title()}")
            page.wait_for_load_state("networkidle")
            if page.locator("#main.shifted").count() and size == ADMIN:
                page.locator("#toggle-nav-sidebar").click()
            page.evaluate("scrollTo(0, 0)")
            save(page, name + suffix, 0.82 if not suffix else 0.7)
        page.close()


def main(names: list[str]) -> None:
    """The named pictures, or all."""
    days = 35 if COCKPIT.keys() & {*names} else 5
    prepare = [
        "fill_shop",
        f"simulate_history --days {days} --sessions-per-day 300",
        "sessrec_train neighbours",
    ]
    if days > 5:
        prepare += ["simulate_lists", "sessrec_rollup", "sessrec_train neighbours bought_together"]
    with running_shop("example_shop.settings", ["web"], prepare) as shop, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if "shop" in names:
            product_page(browser, shop.url, "shop", SHOP)
        if "phone" in names:
            product_page(browser, shop.url, "phone", PHONE, device_scale_factor=2)
        if pages := [name for name in COCKPIT if name in names]:
            cockpit(browser, {"own": shop.url, "unfold": with_unfold(shop)}, pages)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:] or ["shop", "phone", *COCKPIT])
