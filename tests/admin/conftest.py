"""Rows of every kind, and a browser that looks at them."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connections
from playwright.sync_api import Page

from django_sessrec.capture.failed_events import store_failed
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Heartbeat, Impression, Promotion, TrainingRun
from tests.support.admin import a_run
from tests.support.browser import chromium, watch
from tests.support.history import buy, click, happen, minutes, show
from tests.support.placements import NAME


@pytest.fixture
def rows():
    """One of everything; its names carry markup."""
    now = datetime.now(UTC)
    visit = uuid7(now)
    names = {"experiment": "<i>x</i>", "variant": "a", "reasons": ["neighbours", "network"]}
    shown = show(visit, now - minutes(9), ["1", "<b>2</b>"], **names)
    click(visit, now - minutes(8), "1", shown, position=1)
    happen(visit, now - minutes(7), "add_to_cart", "1", price="9.90", currency="EUR")
    buy(visit, now - minutes(6), "1", "9.90")
    store_failed([{"name": "<script>", "session_id": str(visit)}], "name", "event '<script>' is unknown")
    Heartbeat.objects.create(name="worker")
    run = a_run(error="", verdict="<script>alert(1)</script>")
    a_run(state=TrainingRun.State.RUNNING, finished_at=None, progress=0.4, stage="fit", figures={})
    a_run(state=TrainingRun.State.FAILED, error="Traceback\nValueError: no", figures={}, history=[])
    return {
        "trainingrun": run,
        "promotion": Promotion.objects.create(model="neighbours", run=run, promoted_by="schedule"),
        "event": Event.objects.filter(name="select_item").get(),
        "impression": Impression.objects.get(),
    }


@pytest.fixture
def tab(settings, monkeypatch, live_server, admin_client) -> Iterator[Page]:
    """A signed-in tab; whatever the console complains about fails the test."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in the test's thread
    settings.MIDDLEWARE = ["tests.demo.security.strict_csp", *settings.MIDDLEWARE]
    complaints: list[str] = []
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url)
        session = admin_client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        watch(context, complaints)
        yield page
        page.close()
        connections.close_all()  # those of Playwright's loop, which nobody else can reach
    assert complaints == []


@pytest.fixture
def shop(products, trails, promote, sessrec):
    """The demo shop with a model in service and two placements."""
    sessrec["PLACEMENTS"] = {NAME: {"LIMIT": 8, "TITLE": "You may also like"}, "home": {"LIMIT": 4}}
    promote(trails)
    return products
