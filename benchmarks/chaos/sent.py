"""What the visitors sent and the shop answered, told from outside: what the tables must hold in the end."""

import json
import math
import re
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from threading import Lock
from uuid import UUID

from django_sessrec.ids import uuid7
from example_shop.shop.browser import Browser, Page

PRODUCT = re.compile(r"^/product/(\d+)/")
INTO_BASKET = re.compile(r"^/basket/add/(\d+)/")
REC_ID = re.compile(r"[?&;]sessrec=([\w-]{43})\.")
IMPRESSION_CHARACTERS = 22  # of a rec_id: 16 bytes and a few bits of its signature
SLOW_SECONDS = 2.0
NEW = "new-process"  # in the Server-Timing of the pages that a web process makes first
EVENTS = "/sessrec/events/"
TELLS_EVERY = 4  # product page that was looked at, with a script's own events
TELLS_AGAIN_EVERY = 3  # time a script thinks that its events did not arrive

Happened = tuple[str, str, str]  # session, event, item


@dataclass
class Fault:
    """A time in which programs are away, of time.monotonic()."""

    programs: str
    since: float
    until: float = math.inf


@dataclass
class Sent:
    """Counts of everything sent; visits run in threads."""

    answered: Counter[Happened] = field(default_factory=Counter)
    unanswered: Counter[Happened] = field(default_factory=Counter)  # stored or not, nobody can tell
    impressions: set[UUID] = field(default_factory=set)
    told: Counter[UUID] = field(default_factory=Counter)  # how often a script's event was accepted, by its id
    refused: Counter[str] = field(default_factory=Counter)  # the same of those that were refused
    requests_unanswered: int = 0
    server_errors: int = 0
    pages: int = 0
    slow_pages: list[str] = field(default_factory=list)  # over SLOW_SECONDS while no program was away
    slow_in_new_processes: list[str] = field(default_factory=list)  # which had answered no page yet
    slow_in_faults: int = 0
    slowest: float = 0.0  # seconds, of all pages
    faults: list[Fault] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @property
    def rows(self) -> int:
        """Events and impressions sent, the refused ones among them, each as often as it was sent."""
        return self.answered.total() + len(self.impressions) + self.told.total() + self.refused.total()

    @contextmanager
    def fault(self, programs: Iterable[str]) -> Iterator[None]:
        """A time in which these programs are away."""
        fault = Fault(", ".join(programs), time.monotonic())
        self.faults.append(fault)
        yield
        fault.until = time.monotonic()

    def took(self, address: str, began: float, ended: float, timing: str) -> None:
        """Note how long a page took, and the server's own word on that."""
        self.slowest = max(self.slowest, ended - began)
        if ended - began <= SLOW_SECONDS:
            return
        if any(began < each.until and ended > each.since for each in self.faults):
            self.slow_in_faults += 1
            return
        before = [each for each in self.faults if each.until <= began]
        last = f", {began - before[-1].until:.1f} s after {before[-1].programs}" if before else ""
        slow = self.slow_in_new_processes if timing.endswith(NEW) else self.slow_pages
        slow.append(f"{address}: {ended - began:.1f} s{last} ({timing})")


class CountedBrowser(Browser):
    """A browser that notes what its requests should leave behind, and whether they were answered."""

    def __init__(self, sent: Sent, url: str, agent: str) -> None:
        super().__init__(url, agent)
        self.sent = sent
        self.basket: set[str] = set()

    def _ask(self, method: str, path: str, body: str | None = None) -> Page:
        began = time.monotonic()
        try:
            page = super()._ask(method, path, body)
        except ConnectionRefusedError:  # nobody was there to send it to
            raise
        except (OSError, HTTPException):
            with self.sent.lock:
                self.sent.requests_unanswered += 1
                self.sent.unanswered.update(self._happenings(method, path))
            raise
        with self.sent.lock:
            self.sent.server_errors += page.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            self.sent.pages += page.status == HTTPStatus.OK
            self.sent.took(f"{method} {path.partition('?')[0]}", began, time.monotonic(), page.timing)
            if page.status < HTTPStatus.BAD_REQUEST:
                self.sent.answered.update(self._happenings(method, path))
                self.sent.impressions.update(map(_impression, REC_ID.findall(page.html)))
        self._keep_basket(method, path)
        return page

    def get(self, path: str) -> Page:
        page = super().get(path)
        product = PRODUCT.match(path)
        if product and self.session and self.sent.pages % TELLS_EVERY == 0:
            self._tell(product[1])
        return page

    @property
    def session(self) -> str:
        """The visit's id, empty without consent."""
        return self.cookies.get("sessrec", "").partition(".")[0]  # what follows is its signature

    def _happenings(self, method: str, path: str) -> list[Happened]:
        if not self.session:
            return []
        if method == "GET" and (product := PRODUCT.match(path)):
            names = ["select_item", "view_item"] if "sessrec=" in path else ["view_item"]
            return [(self.session, name, product[1]) for name in names]
        if added := INTO_BASKET.match(path):
            return [(self.session, "add_to_cart", added[1])]
        if path == "/checkout/place/":
            return [(self.session, "purchase", item_id) for item_id in self.basket]
        return []

    def _keep_basket(self, method: str, path: str) -> None:
        if self.session and (added := INTO_BASKET.match(path)):
            self.basket.add(added[1])
        if path == "/checkout/place/":
            self.basket.clear()

    def _tell(self, item_id: str) -> None:
        """Post as a script on the page does: an event, one that is none, now and then all of it again."""
        wish = {"event_id": str(uuid7()), "event": "add_to_wishlist", "items": [{"item_id": item_id}]}
        events = [wish, {"event_id": str(uuid7()), "event": "dance"}]
        body = json.dumps({"events": events})
        for _ in range(2 if self.sent.told.total() % TELLS_AGAIN_EVERY == 0 else 1):
            page = self._ask("POST", EVENTS, body)
            if page.status != HTTPStatus.ACCEPTED:
                return
            answer = json.loads(page.html)
            with self.sent.lock:
                self.sent.told[UUID(wish["event_id"])] += answer["accepted"] + answer["duplicates"]
                self.sent.refused.update(events[each["index"]]["event_id"] for each in answer["rejected"])


def _impression(rec_id: str) -> UUID:
    return UUID(bytes=urlsafe_b64decode(rec_id[: IMPRESSION_CHARACTERS + 2])[:16])
