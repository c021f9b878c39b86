"""What axe-core finds wrong with a page for people who read it by other means than their eyes."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# Preloading writes styles into the page, which its own policy forbids.
OPTIONS = {"resultTypes": ["violations"], "preload": False}
# Of a list in the admin, Django's own toolbar is left out.
ADMIN = {"include": [["#content"]], "exclude": [["#toolbar"]]}

# Colours that change with the scheme may take a moment, in which they are neither the one nor the other.
SETTLE = """async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    for (const each of document.getAnimations())
        if (each.effect.getComputedTiming().endTime < Infinity) each.finish();
}"""


def violations(page: Page, *parts: str) -> list[str]:
    """The rules that these parts of the page break, or the whole page, each with the markup."""
    page.evaluate(SETTLE)
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    context = ADMIN if "/admin/" in page.url else {"include": [[part] for part in parts or ["html"]]}
    found = page.evaluate("given => axe.run(...given).then(found => found.violations)", [context, OPTIONS])
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
