"""Alarms: each rings past its threshold and beyond chance, and none in a shop's first days."""

from datetime import timedelta

import pytest
from django.core import checks, mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings
from django.utils import timezone, translation

from django_sessrec.capture import partitions
from django_sessrec.figure_models import (
    DailyCatalogue,
    DailyLists,
    DailyPages,
    DailyRevenue,
    DailyShop,
    RolledUpDay,
)
from django_sessrec.measuring.daily import PAIRS
from django_sessrec.measuring.days import ONE, first_moment, today
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.alarms import alarms, ringing
from django_sessrec.operations.alarms import mail as send_mail
from django_sessrec.operations.findings import Code
from django_sessrec.operations.upkeep import verbs
from tests.support.admin import FIGURES, a_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def counted():
    """Every day's sums were made after its end."""
    RolledUpDay.objects.bulk_create(
        RolledUpDay(day=today() - ago * ONE, rolled_up_at=timezone.now(), state="") for ago in range(1, 40)
    )


def rings():
    return {name for name, now in ringing().items() if now}


def a_day(
    ago,
    *,
    sessions=1000,
    bots=20,
    lists=1000,
    clicked=100,
    length=8,
    short=10,
    sales=500,
    buyers=10,
    consent=60,
):
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
        "short_impressions": short,
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
    DailyPages.objects.create(day=day, with_consent=10 * consent, without_consent=1000 - 10 * consent)


def usual(days=40, *, first=8):
    for ago in range(first, days):
        a_day(ago)


def churned(share, *, usual=0.05, days=20):
    """A catalogue of which a share of the products in last week's lists is gone today."""
    for ago in range(days):
        gone = round(200 * (usual if ago else share))
        DailyCatalogue.objects.create(day=today() - ago * ONE, looked_at=200, gone=gone)


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
        ({"short": 70}, "full_lists"),
        ({"consent": 45}, "consent"),
    ],
)
def test_each_alarm_rings_by_itself(columns, alarm):
    usual()
    week(**columns)
    assert rings() == {alarm}
    [finding] = alarms()
    assert finding.message
    assert finding.remedy


def test_lists_that_are_gone_ring_as_those_that_are_short():
    usual()
    week(lists=0, clicked=0, short=0)
    assert rings() == {"short_lists"}
    [finding] = alarms()
    assert finding.message == "No list was shown in the last week; 7,000 a week are usual."


def test_no_alarm_can_be_made_to_wait_for_more_days_than_it_looks_at(settings):
    usual()
    week(sessions=400, consent=45)
    churned(0.3, days=28)
    settings.SESSREC = {**settings.SESSREC, "ALARMS": {"MIN_DAYS": 21}}
    assert rings() == {"traffic", "consent", "item_churn"}
    settings.SESSREC = {**settings.SESSREC, "ALARMS": {"MIN_DAYS": 22}}
    [problem] = [each for each in checks.run_checks(tags=["sessrec"]) if "MIN_DAYS" in each.msg]
    assert "21" in f"{problem.msg} {problem.hint}"


def test_the_sales_of_a_young_shop_are_held_against_the_weeks_that_it_has():
    usual(days=22)
    week(sales=150)
    assert rings() == {"sales"}
    [finding] = alarms()
    assert "1,050.00 EUR in the last week; 3,500.00 are usual" in finding.message


def test_figures_are_written_as_in_the_readers_language():
    usual()
    week(sales=150)
    with translation.override("de"):
        [finding] = alarms()
        assert "1.050,00" in finding.message
        assert "3.500,00" in finding.message
    DailyRevenue.objects.all().delete()
    DailyLists.objects.filter(day__gte=today() - 7 * ONE).update(items_shown=5500)
    with translation.override("fr"):
        [finding] = alarms()
        assert "5,5" in finding.message
        assert "8,0" in finding.message


@pytest.mark.parametrize(
    "columns",
    [
        {"sessions": 600},
        {"bots": 900},
        {"clicked": 80},
        {"sales": 300},
        {"length": 7},
        {"short": 55},
        {"consent": 50},
        {"consent": 100},
    ],
)
def test_a_smaller_change_rings_nothing(columns):
    usual()
    week(**columns)
    assert rings() == set()


def test_what_may_be_chance_rings_nothing():
    for ago in range(1, 40):
        few = ago < 8
        clicked, short = (0, 2) if few and ago % 2 else (1, 1)
        a_day(ago, lists=10, clicked=clicked, short=short, sales=10 if few else 40, buyers=1)
    assert not rings() & {"clicks", "full_lists"}


def test_a_week_with_less_consent_than_one_before_is_not_yet_alarming():
    for ago in range(1, 40):
        a_day(ago, consent=45 if ago < 8 or 15 <= ago < 22 else 60)
    assert rings() == set()


def test_a_shop_that_counts_no_pages_is_not_told_of_consent():
    usual()
    week(consent=1)
    DailyPages.objects.all().delete()
    assert rings() == set()


def test_the_first_days_are_silent():
    for ago in range(1, 12):
        a_day(ago, sessions=10 if ago == 1 else 1000, bots=5000, consent=1 if ago < 8 else 60)
    assert rings() == set()


def test_a_day_without_a_single_row_rings():
    usual(first=2)
    assert "traffic" in rings()


@pytest.mark.parametrize("ago", [1, 4, 7])
def test_a_day_of_the_week_that_is_counted_in_part_rings_nothing(ago):
    """The schedule stood still; a page that rolls up first would see no alarm either."""
    partitions.ensure(today() - 10 * ONE, today())
    usual()
    week(sessions=400, sales=100)
    assert rings() == {"traffic", "sales"}
    day = today() - ago * ONE
    in_the_evening = first_moment(day) + timedelta(hours=20)
    RolledUpDay.objects.filter(day=day).update(rolled_up_at=in_the_evening, state="other rows")
    assert rings() == set()
    RolledUpDay.objects.filter(day=day).delete()
    assert rings() == set()
    roll_up(day)
    assert "sales" in rings()


def test_a_day_on_which_capture_failed_in_the_evening_rings():
    """Nothing came after its last roll-up, so it is not made anew."""
    usual()
    week(sessions=400)
    day = today() - ONE
    roll_up(day)
    DailyShop.objects.filter(day=day).update(sessions=400)
    RolledUpDay.objects.filter(day=day).update(rolled_up_at=first_moment(day) + timedelta(hours=20))
    assert "traffic" in rings()


@pytest.mark.parametrize(("share", "expected"), [(0.3, {"item_churn"}), (0.2, set())])
def test_products_that_go_in_great_number_ring(share, expected):
    churned(share)
    assert rings() == expected


def test_a_shop_of_flash_sales_is_used_to_churn():
    churned(1.0, usual=0.9)
    assert rings() == set()


def test_the_first_days_of_a_catalogue_are_silent():
    churned(1.0, days=14)
    assert rings() == set()


def test_none_turns_an_alarm_off(settings):
    usual()
    week(sessions=100, bots=5000, clicked=1, sales=1, length=1, short=999, consent=1)
    churned(0.9)
    off = (
        *("TRAFFIC_FALL", "BOT_SHARE", "CLICKS_FALL", "SALES_FALL", "LIST_FALL", "FULL_LISTS_FALL"),
        *("CONSENT_FALL", "ITEM_CHURN"),
    )
    every = {"traffic", "bots", "clicks", "sales", "short_lists", "full_lists", "consent", "item_churn"}
    assert rings() == every
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


def test_a_mail_that_no_server_took_is_sent_by_the_next_upkeep(settings, serving):
    settings.MANAGERS = [("Mia", "mia@example.com")]
    serving(39, timedelta(hours=1))
    with override_settings(EMAIL_BACKEND=f"{__name__}.NoServer"), pytest.raises(ConnectionRefusedError):
        send_mail()
    assert send_mail()
    [sent] = mail.outbox
    assert sent.subject.endswith("Recommendations: 1 alarm")


class NoServer(BaseEmailBackend):
    def send_messages(self, email_messages):
        raise ConnectionRefusedError


def test_a_model_of_baskets_falls_in_words_of_baskets(serving):
    serving(39, timedelta(hours=1))
    TrainingRun.objects.update(counts={"learns_from": "baskets"})
    [finding] = [each for each in alarms() if each.code == Code.ALARM_ACCURACY]
    assert "found 39.0 % of the baskets' products in its test" in finding.message
