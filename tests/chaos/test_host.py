"""Whatever is taken from django_sessrec, the shop's pages are the same but for the list, and it sells."""

import os
import re
import shutil
from contextlib import ExitStack

import pytest

from example_shop.shop.browser import Browser
from example_shop.shop.traffic import BROWSER
from tests.chaos.catalogue import FAILS
from tests.support.processes import wait_for
from tests.support.visits import visit_in

pytestmark = pytest.mark.chaos
SLOT = re.compile(r'<section class="(?:recommendations|sessrec-categories)".*?</section>\n', re.DOTALL)
PRODUCT = "/product/1/alma-porcelain-teapot-0-6-l-chalk-white/"
WHY = re.compile(r'<details class="sessrec-why".*?</details>\n', re.DOTALL)  # says what serves now
NUMBER = re.compile('<input type="hidden" name="number".*?>')  # of an order, new for each checkout page
PAGES = ["/", "/c/kitchen/", PRODUCT, "/basket/", "/checkout/", "/privacy/"]


class Faults:
    """Ways to take something away; `undo` brings all of it back."""

    def __init__(self, shop, events_server, undo):
        self.shop, self.events_server, self.undo = shop, events_server, undo

    def events(self, query):
        return self.shop.rows(query, url=self.events_server.url)

    def table_dropped(self):
        self.events("ALTER TABLE sessrec_event RENAME TO away")
        self.undo.callback(self.events, "ALTER TABLE away RENAME TO sessrec_event")

    def migrations_missing(self):
        self.events("ALTER SCHEMA public RENAME TO away")
        self.undo.callback(self.events, "ALTER SCHEMA away RENAME TO public")
        self.restart_web()

    def postgres_stopped(self):
        self.events_server.stop()
        self.undo.callback(self.events_server.start)

    def postgres_and_broker_stopped(self):
        self.postgres_stopped()
        self.shop.valkey.stop()
        self.undo.callback(self.shop.valkey.start)

    def artifact_missing(self):
        artifacts = self.shop.folder / "artifacts"
        artifacts.rename(artifacts.with_name("away"))
        self.undo.callback(artifacts.with_name("away").rename, artifacts)
        self.restart_web()

    def artifact_truncated(self):
        self.artifact_missing()
        broken = self.shop.folder / "artifacts"
        shutil.copytree(broken.with_name("away"), broken)
        self.undo.callback(shutil.rmtree, broken)
        for file in broken.rglob("*.npy"):
            os.truncate(file, file.stat().st_size // 2)

    def catalogue_raising(self):
        (self.shop.folder / FAILS).touch()
        self.undo.callback((self.shop.folder / FAILS).unlink)

    def restart_web(self):
        """A process that has opened a model keeps it: these have seen nothing better."""
        self.shop.programs["web"].stop()
        self.shop.programs["web"].start()


@pytest.fixture
def cookies(shop):
    """Of somebody who said yes and has a basket."""
    with Browser(shop.url, BROWSER) as browser:
        browser.post("/consent/", answer="session")
        browser.post("/basket/add/2/")
        return browser.cookies


def look(shop, cookies):
    """The main pages by address."""
    with Browser(shop.url, BROWSER) as browser:
        browser.cookies = {**cookies}
        return {path: browser.get(path) for path in PAGES}


def outside_the_slot(pages):
    return {
        path: (page.status, NUMBER.sub("", WHY.sub("", SLOT.sub("", page.html))))
        for path, page in pages.items()
    }


def listed(page):
    return [slot.count('class="card"') for slot in SLOT.findall(page.html)]


@pytest.mark.parametrize(
    ("fault", "listed_meanwhile"),
    [
        ("table_dropped", [8]),
        ("migrations_missing", [8]),
        ("postgres_stopped", [8]),
        ("postgres_and_broker_stopped", [8]),
        ("artifact_missing", [8]),
        ("artifact_truncated", [8]),
        ("catalogue_raising", []),
    ],
)
def test_the_shop_goes_on(shop, events_server, cookies, fault, listed_meanwhile):
    healthy = look(shop, cookies)
    assert {page.status for page in healthy.values()} == {200}
    assert listed(healthy[PRODUCT]) == [8]
    with ExitStack() as undo:
        getattr(Faults(shop, events_server, undo), fault)()
        broken = look(shop, cookies)
        assert outside_the_slot(broken) == outside_the_slot(healthy)
        assert listed(broken[PRODUCT]) == listed_meanwhile

        orders = shop.count("shop_order")
        with Browser(shop.url, BROWSER) as buyer:
            buyer.cookies = {**cookies}
            shown = buyer.get("/checkout/").hidden_fields()
            assert buyer.post("/checkout/place/", **shown).status == 200
            assert buyer.post("/consent/", answer="none").status == 200
            assert "sessrec" not in buyer.cookies
        assert shop.count("shop_order") == orders + 1
    assert listed(look(shop, cookies)[PRODUCT]) == [8]


def test_events_go_to_their_own_database_and_the_shops_stays_without(shop, events_server, cookies):
    with Browser(shop.url, BROWSER) as buyer:
        buyer.cookies = {**cookies}
        buyer.get(PRODUCT)
        buyer.post("/checkout/place/", **buyer.get("/checkout/").hidden_fields())
    query = "SELECT name FROM sessrec_event WHERE session_id = %s ORDER BY event_id"
    happened = shop.rows(query, [visit_in(cookies["sessrec"])], url=events_server.url)
    assert happened == [("add_to_cart",), ("view_item",), ("purchase",)]
    assert shop.rows("SELECT to_regclass('sessrec_event')") == [(None,)]


def test_what_happened_while_postgres_was_down_is_made_good(shop, events_server):
    kept = "SELECT count(*) FROM sessrec_event WHERE session_id = %s"
    with ExitStack() as undo:
        faults = Faults(shop, events_server, undo)
        faults.restart_web()  # a process that has met a stopped broker asks it again after half a minute only
        shop.programs["capture"].stop()  # the worker holds rows of the faults before, for later tries
        shop.programs["capture"].start()
        stays, leaves = (undo.enter_context(Browser(shop.url, BROWSER)) for _ in range(2))
        for visitor in (stays, leaves):
            visitor.post("/consent/", answer="session")
            visitor.get(PRODUCT)
        stayed, left = (visit_in(browser.cookies["sessrec"]) for browser in (stays, leaves))
        faults.postgres_stopped()
        for visitor in (stays, leaves):
            visitor.get(PRODUCT)
        leaves.post("/consent/", answer="none")
    wait_for(lambda: shop.rows(kept, [stayed], url=events_server.url) == [(2,)])
    wait_for(lambda: shop.rows(kept, [left], url=events_server.url) == [(0,)])
    keeps_late_rows_out = "SELECT count(*) FROM sessrec_withdrawal WHERE session_id = %s"
    assert shop.rows(keeps_late_rows_out, [left], url=events_server.url) == [(1,)]


def test_the_admin_shows_what_the_events_database_holds(shop):
    with Browser(shop.url, BROWSER) as staff:
        token = re.search('csrfmiddlewaretoken" value="(.+?)"', staff.get("/admin/login/").html)[1]
        staff.post("/admin/login/", username="admin", password="admin", csrfmiddlewaretoken=token)
        runs = staff.get("/admin/sessrec/trainingrun/").html
        assert runs.count("neighbours #1") == 2  # what serves, and the list
        assert "neighbours #1" in staff.get("/admin/sessrec/trainingrun/1/change/").html
        assert "neighbours" in staff.get("/admin/sessrec/promotion/").html
        assert "product viewed" in staff.get("/admin/sessrec/event/").html
