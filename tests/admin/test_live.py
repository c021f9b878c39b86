"""A running training moves on the page that shows it, in a real browser under a strict policy."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from django_sessrec.models import TrainingRun
from tests.support.admin import a_run
from tests.support.browser import needs_chromium

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]


def test_the_list_follows_a_training_to_its_end(tab):
    run = a_run(state="running", stage="fit", progress=0.25, figures={}, history=[], finished_at=None)
    tab.goto(reverse("admin:sessrec_trainingrun_changelist"))
    state = tab.locator(f"#sessrec-run-{run.pk}-state")
    expect(state.locator("progress")).to_have_attribute("value", "0.135")
    TrainingRun.objects.update(progress=0.75)
    expect(state.locator("progress")).to_have_attribute("value", "0.365")
    TrainingRun.objects.update(state="published", figures={"candidate": {"hr@20": 51.5}})
    expect(state).to_have_text("published")
    expect(tab.locator(f"#sessrec-run-{run.pk}-hr")).to_have_text("51.50")


def test_a_queued_training_that_ends_between_two_looks_is_shown(tab):
    earlier = a_run()
    tab.goto(reverse("admin:sessrec_trainingrun_changelist") + "#sessrec-queued")
    expect(tab.locator("#result_list tbody tr")).to_have_count(1)
    quick = a_run()
    expect(tab.locator("#result_list tbody th")).to_have_text([str(quick), str(earlier)])


PAUSES = """
window.pauses = []
const later = window.setTimeout
window.setTimeout = (act, pause) => { window.pauses.push(pause); return later(act, 0) }
"""


def test_a_queued_training_that_no_worker_takes_is_asked_for_less_and_less_often(tab):
    """The page may stand open overnight."""
    tab.add_init_script(PAUSES)
    tab.goto(reverse("admin:sessrec_trainingrun_changelist") + "#sessrec-queued")
    tab.wait_for_function("pauses.filter((each) => each === 30000).length > 1")
    pauses = tab.evaluate("pauses.filter((each) => each >= 2000)")
    assert pauses == sorted(pauses)
    assert pauses[0] == 2_000
    assert sum(pauses) < 5 * 60_000
    a_run(state="running", figures={}, history=[], finished_at=None)
    tab.wait_for_function("pauses.at(-1) < 30000")


def test_a_runs_page_draws_its_curve_as_it_grows(tab):
    points = [{"progress": step / 10, "loss": 7 - step} for step in range(4)]
    run = a_run(state="running", progress=0.3, figures={}, history=points[:2], finished_at=None)
    tab.goto(reverse("admin:sessrec_trainingrun_change", args=[run.pk]))
    dots = tab.locator(".sessrec-dot")
    expect(dots).to_have_count(2)
    figures = tab.locator(".sessrec-chart td")
    tab.locator(".sessrec-chart summary").click()
    expect(figures.first).to_be_visible()
    TrainingRun.objects.update(history=points)
    expect(dots).to_have_count(4)
    expect(figures).to_have_count(4)
    expect(figures.first).to_be_visible()
