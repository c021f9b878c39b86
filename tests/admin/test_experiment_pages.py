"""What an experiment's page says: the verdict, its figures and checks."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime

from django_sessrec.admin.experiment_words import guards
from django_sessrec.experiment_models import INTERLEAVED, Experiment
from django_sessrec.figure_models import RolledUpDay
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import today
from django_sessrec.models import Heartbeat, Promotion
from django_sessrec.operations.experiments import judgement, start
from tests.support.admin import a_run, page
from tests.support.axe import violations
from tests.support.browser import needs_chromium
from tests.support.experiments import a_running_one, an_experiment, page_of, takes_part
from tests.support.history import click, happen, minutes, show

pytestmark = pytest.mark.django_db

LIST = "admin:sessrec_experiment_changelist"
NEW = "admin:sessrec_experiment_new"


@pytest.fixture(autouse=True)
def shop(fresh_process, placement):
    placement()


def sessions_of(experiment, clicks=(0, 0), number=100):
    """So many sessions of either arm with two lists, of which these shares per cent are clicked."""
    at = timezone.now() - timedelta(hours=2)
    for arm, percent in zip(("old", "new"), clicks, strict=True):
        for each in range(number):
            takes_part(
                at,
                arm,
                lists=2,
                clicks=2 * (each < percent),
                experiment=experiment.name,
                spends=each % 9 or None,
            )


def test_an_empty_list_says_what_an_experiment_is(admin_client):
    assert "No experiment yet" in page(admin_client, reverse(LIST))


def test_the_settings_experiments_are_listed_and_not_changed_here(admin_client, placement):
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1}}})
    html = page(admin_client, reverse(LIST))
    assert ">declared</a>" in html, "as the settings write it"
    assert "<h1>declared</h1>" in page(admin_client, page_of(Experiment.objects.get()))
    html = page(admin_client, page_of(Experiment.objects.get()))
    assert "settings declare this experiment" in html
    assert "Stop…" not in html


def test_the_cap_of_a_session_s_sales_is_written_as_money(admin_client):
    assert "count up to" not in page(admin_client, page_of(an_experiment()))
    experiment = an_experiment(name="dear", state="stopped", cap=Decimal("1234.5"), currency="EUR")
    assert "<dd>1,234.50 EUR</dd>" in page(admin_client, page_of(experiment))


def test_an_experiment_without_traffic_says_so(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1))
    html = page(admin_client, page_of(experiment))
    assert "1,000 sessions" in html
    at = date_format(localtime(RolledUpDay.objects.get(day=today()).rolled_up_at), "DATETIME_FORMAT")
    takes_part(timezone.now(), "old", experiment=experiment.name)
    for address in (page_of(experiment), reverse(LIST)):
        assert f"Up to {at} no session was counted." in page(admin_client, address)
    assert f"Counted up to {at}" in page(admin_client, reverse(LIST))
    Experiment.objects.update(counted_from=timezone.now() + timedelta(seconds=1))
    assert "It has just begun: no session is counted yet." in page(admin_client, page_of(experiment))


def test_one_that_was_stopped_while_it_waited_does_not_wait(admin_client):
    html = page(admin_client, page_of(an_experiment(state="stopped", stopped_at=timezone.now())))
    assert "Stopped before every variant served: nothing was compared." in html
    assert "Waiting" not in html


def test_an_experiment_that_waits_for_nothing_but_the_schedule_says_whether_that_runs(
    admin_client, placement
):
    variants = {"old": {"SHARE": 1}, "new": {"SHARE": 1, "LIMIT": 3}}
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": variants})
    Promotion.objects.create(model="neighbours", run=a_run(), promoted_by="command")
    begins = "Every variant serves: the schedule begins it within five minutes."
    html = page(admin_client, reverse(LIST))
    assert "Every variant serves. The schedule that begins it does not run" in html
    Heartbeat.objects.create(name="beat")
    assert begins not in page(admin_client, page_of(Experiment.objects.get())), "nobody does what beat sends"
    Heartbeat.objects.create(name="worker")
    for address in (reverse(LIST), page_of(Experiment.objects.get())):
        assert begins in page(admin_client, address)
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=6))
    assert begins not in page(admin_client, page_of(Experiment.objects.get()))


def test_a_plan_that_was_unknown_stays_unknown_after_the_start(admin_client):
    for model in ("itemknn", "neighbours"):
        Promotion.objects.create(model=model, run=a_run(model=model), promoted_by="test")
    experiment = an_experiment()
    assert "Unknown: too few sessions of this placement in the last days." in page(
        admin_client, page_of(experiment)
    )
    start(experiment)
    html = page(admin_client, page_of(experiment))
    assert "Unknown: too few sessions of this placement before it began." in html
    assert "10,000" not in html


def test_the_list_counts_one_session_as_one(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1))
    takes_part(timezone.now() - timedelta(hours=2), "old", experiment=experiment.name)
    assert "· 1 session</p>" in page(admin_client, reverse(LIST))


def test_a_close_race_is_too_early(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1), goal="clicks")
    sessions_of(experiment, (50, 52))
    html = page(admin_client, page_of(experiment))
    assert "Too early. “new” brings between" in html
    assert "shows after about" in html
    assert "as planned (p = 1.00)" in html
    assert html.count("sessrec-forest-line") == 3
    assert "Too early" in page(admin_client, reverse(LIST))


def test_one_that_is_paused_does_not_say_when_it_ends(admin_client, placement):
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": {"old": {"SHARE": 1}, "new": {"SHARE": 1}}})
    variants = {"old": {}, "new": {}}
    yesterday = timezone.now() - timedelta(days=1)
    declared = a_running_one(yesterday, "declared", goal="clicks", declared=True, variants=variants)
    sessions_of(declared, (50, 52))
    assert "shows after about" in page(admin_client, page_of(declared))
    a_running_one(yesterday)
    html = page(admin_client, page_of(declared))
    assert "Paused: “Does it pay?” stands in its place. Too early. “new” brings between" in html
    assert "shows after about" not in html


def test_a_guard_rail_of_which_nothing_is_known_does_not_hold_yet(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1))
    sessions_of(experiment, number=60)
    html = page(admin_client, page_of(experiment))
    told = [(str(title), holds) for title, holds, _note in guards(judgement(experiment))]
    assert told == [
        ("Full lists, of 100 lists: new", True),
        ("Refunded order lines, of 100: new", None),
        ("Time that a list takes: new", None),
    ]
    assert html.count("not known") == 2


def test_whether_the_split_is_as_planned_is_told_in_the_readers_language(admin_client, settings):
    settings.LANGUAGE_CODE = "de"
    experiment = a_running_one(timezone.now() - timedelta(days=1), goal="clicks")
    sessions_of(experiment, (50, 52), number=60)
    assert "wie geplant (p = 1,00)" in page(admin_client, page_of(experiment))


def test_a_winner_is_named_with_its_interval(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1), goal="clicks", tuned_for=200)
    sessions_of(experiment, (10, 80))
    html = page(admin_client, page_of(experiment))
    assert "“new” is better: between +" in html
    assert "sessrec-forest-better" in html


def test_a_broken_split_is_told_before_any_winner(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1), goal="clicks")
    sessions_of(experiment, (10, 80))
    experiment.variants.filter(name="old").update(share=5)
    html = page(admin_client, page_of(experiment))
    assert "not split as planned" in html
    assert "not as planned (p = 0.000)" in html


def test_the_share_that_a_variants_own_model_answered_is_shown(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1))
    at = timezone.now() - timedelta(hours=2)
    for model in ("neighbours", "itemknn"):
        takes_part(at, "new", model=model)
    assert "50.0\N{NO-BREAK SPACE}%</td>" in page(admin_client, page_of(experiment))


def test_a_removed_variant_is_told(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1))
    takes_part(timezone.now() - timedelta(hours=1), "gone")
    assert "1 session belongs to a variant that was removed" in page(admin_client, page_of(experiment))


def test_interleaving_says_which_model_wins_clicks(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1), kind="interleaving")
    at = timezone.now() - timedelta(hours=2)
    for number in range(80):
        session = uuid7(at)
        shown = show(session, at, ["1", "2"], experiment=experiment.name, variant=INTERLEAVED)
        click(session, at + minutes(1), "12"[number % 2], shown)
    html = page(admin_client, page_of(experiment))
    assert "“new” brings between" in html
    assert "Clicks won, per 100 sessions" in html


def test_clicks_are_split_by_session_length(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1), goal="clicks")
    at = timezone.now() - timedelta(hours=2)
    for number in range(40):
        takes_part(at, "old", clicks=number % 2, session_clicks=1)
        takes_part(at, "new", clicks=1, session_clicks=1)
        takes_part(at, "new", clicks=0, session_clicks=7)
    table = admin_client.get(page_of(experiment)).context["by_length"]
    shown = {key: [cell.text for _heading, cell in cells] for key, cells in table["rows"]}
    per_cent = "\N{NO-BREAK SPACE}%"
    assert shown == {
        ("1", "old"): ["40", f"50.0{per_cent}", "\N{EN DASH}"],
        ("1", "new"): ["40", f"100.0{per_cent}", "+50.0 points"],
        ("5-9", "new"): ["40", f"0.0{per_cent}", "\N{EN DASH}"],
    }
    assert "Clicked lists by session length" in page(admin_client, page_of(experiment))


def test_clicks_that_a_holdout_can_not_have_decide_nothing(admin_client):
    yesterday = timezone.now() - timedelta(days=1)
    held = {"as it is": {}, "none": None}
    experiment = a_running_one(yesterday, goal="clicks", variants=held)
    at = timezone.now() - timedelta(hours=2)
    for number in range(60):
        takes_part(at, "as it is", clicks=1, spends=number % 3 or None, session_clicks=1)
        columns = {"variant": "none", "model": "", "step": "holdout", "session_clicks": 1}
        show(uuid7(at), at, [], experiment=experiment.name, **columns)
    answer = admin_client.get(page_of(experiment))
    assert "a holdout has no lists to click" in answer.content.decode()
    assert answer.context["verdict"] == "uncompared"
    titles = [str(line.title) for line in answer.context["figures"].lines]
    assert titles == ["Sessions with an order, of 100", "Sales per 100 sessions"]
    assert {variant for (_length, variant), _cells in answer.context["by_length"]["rows"]} == {"as it is"}


def test_an_interleaved_list_is_not_split(admin_client):
    experiment = a_running_one(timezone.now() - timedelta(days=1), kind="interleaving")
    takes_part(timezone.now() - timedelta(hours=1), INTERLEAVED, session_clicks=1)
    assert "by session length" not in page(admin_client, page_of(experiment))


@pytest.mark.e2e
@pytest.mark.django_db(transaction=True)
@needs_chromium
def test_no_page_breaks_a_rule_of_accessibility(tab):
    experiment = a_running_one(timezone.now() - timedelta(days=1), goal="clicks", tuned_for=200)
    sessions_of(experiment, (10, 80))
    for address in (reverse(LIST), page_of(experiment), reverse(NEW)):
        for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
            tab.set_viewport_size(size)
            tab.goto(address)
            assert violations(tab) == []
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), address


def test_today_says_the_verdict_of_open_experiments(admin_client):
    an_experiment("Waits?", state="waiting", placement="home")
    a_running_one(timezone.now() - timedelta(days=1))
    takes_part(timezone.now() - timedelta(hours=1), "old")
    html = page(admin_client, reverse("admin:app_list", args=["sessrec"]))
    assert "Waiting for itemknn, neighbours" in html
    assert "Too early: there are too few sessions to say anything." in html


def test_a_pilot_in_the_shadow_says_what_it_would_show(admin_client, products, trails, promote):
    promote(trails)
    experiment = an_experiment(
        state="running",
        part=0,
        kind="pilot",
        counted_from=timezone.now(),
        variants={"old": {}, "new": {"LIMIT": 4}},
    )
    at = timezone.now() - timedelta(hours=1)
    session = uuid7(at)
    happen(session, at, "view_item", str(products[8].pk))
    show(session, at, ["1"], placement="product_page")
    html = page(admin_client, page_of(experiment))
    assert "“new” would start 0.0" in html
    assert "of the latest 1 sessions" in html
