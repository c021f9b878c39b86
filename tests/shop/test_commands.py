"""The shop's own commands: interrupted, or without a database."""

import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import call_command

from django_sessrec.capture import store
from django_sessrec.measuring.days import ONE, first_moment, today, whole_days
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up, roll_up_due
from django_sessrec.models import Event, Experiment, Impression, Variant
from django_sessrec.operations.experiments import judgement
from example_shop.shop.past_lists import WINNER, WINNER_DAYS
from example_shop.stack.folders import CHECKOUT
from example_shop.stack.shop import STEPS
from tests.support.processes import database_url, process, wait_for


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_history_leaves_nothing_so_that_the_next_start_makes_it(goods, tmp_path):
    history = ("simulate_history", "--days", "60", "--sessions-per-day", "500")
    with process("-u", "-m", "django", *history, cwd=tmp_path) as child:
        wait_for(lambda: "events" in (tmp_path / "output").read_text(), child)
        child.kill()
        child.wait()
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_simulated_lists_give_the_report_figures_of_each_day(goods):
    history = ("--days", "2", "--sessions-per-day", "60")
    call_command("simulate_history", *history, stdout=StringIO())
    call_command("simulate_lists", "--days", "2", stdout=StringIO())
    roll_up_due()
    days = figures(*whole_days(2), ["day"]).values()
    assert len(days) == 2
    assert all(kpi.impressions > kpi.seen_impressions > 0 for kpi in days)
    assert sum(kpi.clicks for kpi in days) > 0


@pytest.mark.django_db(transaction=True)
def test_the_experiments_of_past_lists_stand_in_the_admin_with_their_figures(goods):
    call_command("simulate_history", "--days", "9", "--sessions-per-day", "40", stdout=StringIO())
    for _twice in range(2):
        call_command("simulate_lists", "--days", "9", stdout=StringIO())
    roll_up_due()
    experiment = Experiment.objects.get()
    assert (experiment.name, experiment.state) == (WINNER, "stopped")
    judged = judgement(experiment)
    assert list(judged.arms) == ["popular", "neighbours"]
    assert all(arm.sessions > 10 for arm in judged.arms.values())
    began, ended = experiment.counted_from, experiment.stopped_at
    assert [began, ended] == [
        first_moment(today() - days * ONE) for days in (WINNER_DAYS[-1], WINNER_DAYS[0] - 1)
    ]


@pytest.mark.django_db(transaction=True)
def test_interrupted_lists_are_made_by_the_next_start(goods, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database_url())
    lists, figures_of_days = (
        next(step for step in STEPS if step.command == (name,))
        for name in ("simulate_lists", "sessrec_rollup")
    )
    call_command("simulate_history", "--days", "9", "--sessions-per-day", "300", stdout=StringIO())
    written = []

    def interrupt(*rows):
        written.append(rows)
        if len(written) > 1:  # in the middle of a day
            raise KeyboardInterrupt
        return write(*rows)

    write = store.write
    with monkeypatch.context() as patch:
        patch.setattr(store, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            call_command("simulate_lists", "--days", "10", stdout=StringIO())
    assert not lists.done()
    call_command("simulate_lists", "--days", "10", stdout=StringIO())
    assert lists.done()
    views = Event.objects.filter(name="view_item", bot=False).count()
    assert Impression.objects.filter(placement="product_page").count() == views
    roll_up(today())
    assert not figures_of_days.done(), "the other days' figures are due"


@pytest.mark.django_db(transaction=True)
def test_interrupted_experiments_of_past_lists_are_made_whole(goods, monkeypatch):
    def interrupt(*_rows):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Variant.objects, "bulk_create", interrupt)
        with pytest.raises(KeyboardInterrupt):
            call_command("simulate_lists", stdout=StringIO())
    assert not Experiment.objects.exists()
    call_command("simulate_lists", stdout=StringIO())
    assert [each.variants.count() for each in Experiment.objects.all()] == [2, 2]


def test_without_a_database_a_command_says_how_to_start_it(tmp_path):
    nowhere = f"postgresql://sessrec@/sessrec?host={tmp_path}"
    done = subprocess.run(
        [sys.executable, "-m", "example_shop.manage", "fill_shop"],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "DATABASE_URL": nowhere,
            "SESSREC_STATE": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "example_shop.settings",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "start it with `make shop`" in line
