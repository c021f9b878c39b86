"""Alarms: each rings past its threshold and beyond chance, and none in a shop's first days."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from django_sessrec.figure_models import DailyLists, DailyRevenue, DailyShop
from django_sessrec.measuring.daily import PAIRS
from django_sessrec.measuring.days import ONE, today
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.alarms import alarms, ringing
from django_sessrec.operations.alarms import mail as send_mail
from django_sessrec.operations.upkeep import verbs
from tests.support.admin import FIGURES, a_run

pytestmark = pytest.mark.django_db


def rings():
    return {name for name, now in ringing().items() if now}


def a_day(ago, *, sessions=1000, bots=20, lists=1000, clicked=100, length=8, sales=500, buyers=10):
    """A day's sums, each list of a session of its own and each buyer for the same amount."""
    day = today() - ago * ONE
    DailyShop.objects.create(
        day=day, sessions=sessions, bots=bots, quarantined=0, with_list=sessions, with_basket=0, with_order=0
    )
    counts = {
        "impressions": lists,
        "items_shown": lists * length,
        "seen_impressions": lists,
        "clicked_impressions": clicked,
        "seen_and_clicked": clicked,
        "clicks": clicked,
        "carts": 0,
        "purchases": 0,
    }
    squares = [float(min(counts[one], counts[other])) for one, other in PAIRS]
    DailyLists.objects.create(day=day, grouped_by="", sessions=lists, squares=squares, **counts)
    each = sales / buyers
    DailyRevenue.objects.create(
        day=day, grouped_by="", currency="EUR",
        direct_orders=buyers, assisted_orders=0, orders=buyers,
        direct=sales, assisted=0, total=sales, direct_refunded=0, assisted_refunded=0, total_refunded=0,
        direct_squares=buyers * each**2, direct_by_total=buyers * each**2, total_squares=buyers * each**2,
    )  # fmt: skip


def usual(days=40, *, first=8):
    for ago in range(first, days):
        a_day(ago)


def week(**columns):
    for ago in range(1, 8):
        a_day(ago, **columns)


def test_a_usual_week_rings_nothing():
    usual()
    week()
    assert rings() == set()
    [quiet] = alarms()
    assert quiet.code == "alarm.none"


@pytest.mark.parametrize(
    ("columns", "alarm"),
    [
        ({"sessions": 400}, "traffic"),
        ({"bots": 1500}, "bots"),
        ({"clicked": 50}, "clicks"),
        ({"sales": 100}, "sales"),
        ({"length": 5}, "short_lists"),
    ],
)
def test_each_alarm_rings_by_itself(columns, alarm):
    usual()
    week(**columns)
    assert rings() == {alarm}
    [finding] = alarms()
    assert finding.message
    assert finding.remedy


@pytest.mark.parametrize(
    "columns", [{"sessions": 600}, {"bots": 900}, {"clicked": 80}, {"sales": 300}, {"length": 7}]
)
def test_a_smaller_change_rings_nothing(columns):
    usual()
    week(**columns)
    assert rings() == set()


def test_what_may_be_chance_rings_nothing():
    for ago in range(1, 40):
        few = ago < 8
        a_day(ago, lists=10, clicked=0 if few and ago % 2 else 1, sales=10 if few else 40, buyers=1)
    assert "clicks" not in rings()


def test_the_first_days_are_silent():
    for ago in range(1, 12):
        a_day(ago, sessions=10 if ago == 1 else 1000, bots=5000)
    assert rings() == set()


def test_a_day_without_a_single_row_rings():
    usual(first=2)
    assert "traffic" in rings()


def test_none_turns_an_alarm_off(settings):
    usual()
    week(sessions=100, bots=5000, clicked=1, sales=1, length=1)
    off = ("TRAFFIC_FALL", "BOT_SHARE", "CLICKS_FALL", "SALES_FALL", "LIST_FALL")
    assert rings() == {"traffic", "bots", "clicks", "sales", "short_lists"}
    settings.SESSREC = {**settings.SESSREC, "ALARMS": dict.fromkeys(off)}
    assert rings() == set()


@pytest.fixture
def serving(sessrec):
    """A model with five earlier runs, and the newest of them in service."""

    def served(hit_rate, age):
        for number in range(6):
            figures = {"candidate": {**FIGURES, "hr@20": 50 if number < 5 else hit_rate}}
            run = a_run(figures=figures)
        TrainingRun.objects.filter(pk=run.pk).update(created_at=timezone.now() - age)
        Promotion.objects.create(model="neighbours", run=run, promoted_by="schedule")

    return served


def test_a_model_that_is_not_replaced_rings(serving):
    serving(50, timedelta(hours=73))
    assert rings() == {"model_age"}


def test_a_model_that_predicts_worse_than_those_before_rings(serving):
    serving(39, timedelta(hours=1))
    assert rings() == {"accuracy"}


def test_a_model_as_good_as_those_before_rings_nothing(serving):
    serving(41, timedelta(hours=71))
    assert rings() == set()


def test_managers_get_one_mail_a_day_while_an_alarm_rings(settings, serving):
    settings.MANAGERS = [("Mia", "mia@example.com")]
    assert not send_mail()
    serving(39, timedelta(hours=1))
    assert verbs()["alarms_mailed"]()
    assert not send_mail(), "once a day"
    [sent] = mail.outbox
    assert sent.to == ["mia@example.com"]
    assert "found 39.0 % of the next clicks in its test; 50.0 % are usual" in sent.body
    assert "Compare it with the run before" in sent.body
    settings.SESSREC = {**settings.SESSREC, "ALARMS": {"MAIL": False}}
    assert not send_mail()
