"""A running training moves on the page that shows it, in a real browser under a strict policy."""

from collections.abc import Iterator

import pytest
from django.db import connections
from django.urls import reverse
from playwright.sync_api import Page, expect

from django_sessrec.models import TrainingRun
from tests.admin.test_pages import a_run
from tests.browser import chromium, needs_chromium, watch

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]


@pytest.fixture
def page(settings, monkeypatch, live_server, admin_client) -> Iterator[Page]:
    """A signed-in tab; whatever the console complains about fails the test."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in the test's thread
    settings.MIDDLEWARE = ["tests.demo.security.strict_csp", *settings.MIDDLEWARE]
    complaints: list[str] = []
    with chromium() as browser:
        context = browser.new_context(base_url=live_server.url)
        session = admin_client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        tab = context.new_page()
        tab.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        watch(context, complaints)
        yield tab
        tab.close()
        connections.close_all()  # those of Playwright's loop, which nobody else can reach
    assert complaints == []


def test_the_list_follows_a_training_to_its_end(page):
    run = a_run(state="running", stage="fit", progress=0.25, figures={}, history=[], finished_at=None)
    page.goto(reverse("admin:sessrec_trainingrun_changelist"))
    state = page.locator(f"#sessrec-run-{run.pk}-state")
    expect(state.locator("progress")).to_have_attribute("value", "0.250")
    TrainingRun.objects.update(progress=0.75)
    expect(state.locator("progress")).to_have_attribute("value", "0.750")
    TrainingRun.objects.update(state="published", figures={"candidate": {"hr@20": 51.5}})
    expect(state).to_have_text("published")
    expect(page.locator(f"#sessrec-run-{run.pk}-hr")).to_have_text("51.50")


def test_a_queued_training_that_ends_between_two_looks_is_shown(page):
    earlier = a_run()
    page.goto(reverse("admin:sessrec_trainingrun_changelist") + "#sessrec-queued")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    quick = a_run()
    expect(page.locator("#result_list tbody th")).to_have_text([str(quick), str(earlier)])


def test_a_runs_page_draws_its_curve_as_it_grows(page):
    points = [{"progress": step / 10, "loss": 7 - step} for step in range(4)]
    run = a_run(state="running", progress=0.3, figures={}, history=points[:2], finished_at=None)
    page.goto(reverse("admin:sessrec_trainingrun_change", args=[run.pk]))
    dots = page.locator(".sessrec-dot")
    expect(dots).to_have_count(2)
    TrainingRun.objects.update(history=points)
    expect(dots).to_have_count(4)
