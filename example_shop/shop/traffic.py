"""Simulated visitors at the running shop's door: shoppers with something in mind, and bots."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from example_shop.shop.browser import Browser, Page
from example_shop.shop.history import BASKET_AFTER_VIEW, BUYS_BASKET
from example_shop.shop.visitors import Intent, ShopVisitors

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CRAWLER = "ExampleBot/1.0 (+https://example.com/bot)"
BOTS = 0.06
DECLINES, IGNORES_BANNER = 0.12, 0.08
LOOKS_AT_SUGGESTIONS = 0.35  # share of page views in which she reads the list at all
WALK = 15  # products that a bot looks at
RECOMMENDED = "sessrec="  # in the address of every link that a placement made


@dataclass
class Traffic:
    """What the visitors share: the shop's address, its products' pages, and the counts of what they did.

    Visits run in threads, so `seen` has to be safe in all of them.
    """

    url: str
    visitors: ShopVisitors
    pages: Sequence[str]  # the path of each product's page, by row
    think_seconds: float
    seen: Callable[[str], None]
    enter: Callable[[str, str], Browser] = Browser  # from the shop's address and a user agent
    row_of: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.row_of = {path: row for row, path in enumerate(self.pages)}

    def visit(self, seed: int) -> None:
        """One whole visit, a shopper's or a bot's, as the seed decides."""
        draw = np.random.default_rng(seed)
        if draw.random() < BOTS:
            self._crawl(draw)
        else:
            self._shop(draw)

    def _crawl(self, draw: np.random.Generator) -> None:
        """A walk along the catalogue. Half say that they are bots; half pass for people without cookies."""
        self.seen("bots")
        first = int(draw.integers(len(self.pages)))
        honest = draw.random() < 0.5
        with self.enter(self.url, CRAWLER if honest else BROWSER) as browser:
            if honest:
                self._look(browser.post("/consent/", answer="session", next="/"))
            for row in range(first, first + WALK):
                self._look(browser.get(self.pages[row % len(self.pages)]))

    def _shop(self, draw: np.random.Generator) -> None:
        self.seen("visits")
        with self.enter(self.url, BROWSER) as browser:
            self._answer_banner(browser, draw)
            self._wander(browser, draw)
            if "basket" in browser.cookies and draw.random() < BUYS_BASKET:
                self._buy(browser)

    def _buy(self, browser: Browser) -> None:
        shown = self._look(browser.get("/checkout/")).hidden_fields()
        if "total" in shown:
            self._look(browser.post("/checkout/place/", **shown))
            self.seen("orders")

    def _answer_banner(self, browser: Browser, draw: np.random.Generator) -> None:
        mood = draw.random()
        if mood >= IGNORES_BANNER:
            declined = mood < IGNORES_BANNER + DECLINES
            self._look(browser.post("/consent/", answer="none" if declined else "session", next="/"))

    def _wander(self, browser: Browser, draw: np.random.Generator) -> None:
        visited: list[int] = []
        held: set[str] = set()  # kinds in the basket: one teapot is enough
        mind, page = None, None
        for intent in self.visitors.intents(draw):
            if page is None or intent is not mind:
                link = self.pages[self.visitors.first(intent, draw)]
            elif followed := self._suggestion(page, visited, intent, draw):
                link = followed
                self.seen("recommendations clicked")
            else:
                link = self.pages[self.visitors.next(visited[-1], intent, visited, draw)]
            row = self.row_of[_path(link)]
            mind = intent
            visited.append(row)
            page = self._look(browser.get(link))
            goods = self.visitors.goods[row]
            if draw.random() < BASKET_AFTER_VIEW and goods.kind not in held:
                held.add(goods.kind)
                self._look(browser.post(f"/basket/add/{goods.item_id}/"))
                self.seen("put into baskets")
            if not self.visitors.stays(len(visited), draw):
                return
            time.sleep(float(draw.exponential(self.think_seconds)))

    def _suggestion(
        self, page: Page, visited: Sequence[int], intent: Intent, draw: np.random.Generator
    ) -> str | None:
        """The suggestion that she follows, the likelier the better it suits; None: she finds her own way."""
        if draw.random() > LOOKS_AT_SUGGESTIONS:
            return None
        for link in page.links(RECOMMENDED):
            row = self.row_of[_path(link)]
            if row not in visited and draw.random() < self.visitors.suits(visited[-1], row, intent):
                return link
        return None

    def _look(self, page: Page) -> Page:
        self.seen("pages" if page.status == 200 else f"answers {page.status}")
        return page


def _path(link: str) -> str:
    return link.partition("?")[0]
