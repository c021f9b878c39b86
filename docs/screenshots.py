"""The pages' pictures: `python -m docs.screenshots [shop] [phone] [today] ...`, in a shop of its own.

Its visitors are simulated, its lists are made by the package. Each picture is a WebP of less than 150 kB
below docs/images/.
"""

import base64
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from example_shop.stack.running import running_shop

IMAGES = Path(__file__).parent / "images"
LARGEST = 150_000  # bytes
PHONE = {"width": 390, "height": 844}
SHOP = {"width": 1200, "height": 900}
ADMIN = {"width": 1280, "height": 780}  # down to the first table
MARGIN = 24  # pixels around the list in its picture
# A headless browser is taken for a bot.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
COCKPIT = {
    "today": "",
    "compare": "trainingrun/compare/?one=2&other=1",
    "inspector": "inspector/?item=100",
    "products": "report/products/",
}
CLICKS = ("mug", "teapot")  # what the visitor looks for before the picture is taken
TO_WEBP = """async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.82).split(",")[1];
}"""


def save(page: Page, name: str, **options: object) -> None:
    """Take a picture of the page and keep it as WebP, which Chromium itself encodes."""
    png = base64.b64encode(page.screenshot(animations="disabled", **options)).decode()
    encoder = page.context.browser.new_page()
    webp = base64.b64decode(encoder.evaluate(TO_WEBP, png))
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


def cockpit(browser: Browser, url: str, names: list[str]) -> None:
    """The pages of staff, Today also in the dark and on a phone."""
    for scheme, size, suffix in (("light", ADMIN, ""), ("dark", ADMIN, "-dark"), ("light", PHONE, "-phone")):
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.goto(f"{url}/admin/login/?next=/admin/sessrec/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", "admin")
        page.click("[type=submit]")
        for name in names if not suffix else [each for each in names if each == "today"]:
            page.goto(f"{url}/admin/sessrec/{COCKPIT[name]}")
            page.wait_for_load_state("networkidle")
            if size == ADMIN and page.locator("#main.shifted").count():
                page.locator("#toggle-nav-sidebar").click()
            save(page, name + suffix)
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
        prepare += ["simulate_lists", "sessrec_rollup", "sessrec_train neighbours"]
    with running_shop("example_shop.settings", ["web"], prepare) as shop, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if "shop" in names:
            product_page(browser, shop.url, "shop", SHOP)
        if "phone" in names:
            product_page(browser, shop.url, "phone", PHONE, device_scale_factor=2)
        cockpit(browser, shop.url, [name for name in COCKPIT if name in names])
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:] or ["shop", "phone", *COCKPIT])
