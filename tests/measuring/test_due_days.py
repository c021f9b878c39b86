"""Which days are rolled up anew, and when."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from django_sessrec.capture import partitions
from django_sessrec.ids import uuid7
from django_sessrec.measuring import rollups
from django_sessrec.measuring.days import ONE, day_of, first_moment, today
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import due_days, roll_up, roll_up_due
from django_sessrec.models import Event, Quarantine, RolledUpDay
from django_sessrec.operations.quarantine import release, take_out
from tests.support.history import NOON, happen, minutes, order_line, show
from tests.support.rollups import age, money

DAY = day_of(NOON)

pytestmark = pytest.mark.django_db


def all_flushed():
    """Statistics of inserts reach the others within a second or so, or at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")


def all_made():
    """Every day is made of what is there, and old enough to be made anew."""
    roll_up_due()
    all_flushed()
    age()
    roll_up_due()
    age()


def judge_a_buyer():
    """Take a session with an order for a program's."""
    visit = Event.objects.filter(name="purchase").first().session_id
    Quarantine.objects.create(session_id=visit, reason="flood", clicks=30)


@pytest.mark.django_db(transaction=True)
def test_late_rows_make_their_day_due(busy_day):
    partitions.ensure(DAY - 4 * ONE, today() + ONE)
    all_flushed()
    all_made()
    assert due_days() == [today()]
    happen(uuid7(NOON), NOON, "view_item", "7")
    all_flushed()
    assert DAY in due_days()
    assert DAY - 4 * ONE not in due_days(), "its lists are older than what an order may count for"


@pytest.mark.django_db(transaction=True)
def test_a_verdict_on_a_session_makes_its_day_due(busy_day):
    all_made()
    judge_a_buyer()
    assert DAY in due_days()
    before = money().total
    roll_up_due()
    assert 0 < money().total < before
    Quarantine.objects.update(released_at=timezone.now() + minutes(1))
    age()
    roll_up_due()
    assert money().total == before


@pytest.mark.django_db(transaction=True)
def test_a_session_that_is_taken_out_once_more_makes_its_day_due(busy_day):
    all_made()
    judge_a_buyer()
    visit = Quarantine.objects.get()
    release([visit.pk], "ada")
    Quarantine.objects.update(found_at=timezone.now() - timedelta(days=5))
    age()
    roll_up_due()
    before = money().total
    assert take_out(visit.pk, "ada", "a bot after all")
    age()
    assert DAY in roll_up_due()
    assert 0 < money().total < before


@pytest.mark.django_db(transaction=True)
def test_a_refund_hides_no_verdict_from_the_day_of_its_order(busy_day):
    roll_up_due()
    all_flushed()
    age(hours=0.5)
    judge_a_buyer()
    order_line(uuid7(), "refund", "order 1", timezone.now(), price="1")
    roll_up(today())
    assert DAY in due_days(timezone.now() + timedelta(hours=1))


@pytest.mark.django_db(transaction=True)
def test_a_refund_completes_no_day_whose_sums_were_made_before_its_end(busy_day):
    roll_up_due()
    before = first_moment(DAY + ONE) - minutes(1)
    RolledUpDay.objects.filter(day=DAY).update(rolled_up_at=before, state="rows came since")
    order_line(uuid7(), "refund", "order 1", timezone.now(), price="1")
    roll_up(today())
    assert RolledUpDay.objects.get(day=DAY).rolled_up_at == before
    assert not rollups.are_complete(DAY, DAY)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("made_by", ["the schedule", "the command"])
def test_a_verdict_is_not_forgotten_though_its_day_could_not_be_made_for_days(busy_day, monkeypatch, made_by):
    """While the other days are."""
    all_made()
    judge_a_buyer()

    def locked(day, **_keys):
        if day == DAY:
            raise OperationalError("the table is locked")
        return roll_up(day)

    if made_by == "the command":
        call_command("sessrec_rollup", "--since", str(today()))
    else:
        monkeypatch.setattr(rollups, "roll_up", locked)
        with pytest.raises(OperationalError):
            roll_up_due()
    days_later = timezone.now() + timedelta(days=3)
    RolledUpDay.objects.filter(day=today()).update(rolled_up_at=days_later)
    assert DAY in due_days(days_later)


@pytest.mark.django_db(transaction=True)
def test_the_day_that_an_order_leaves_is_made_anew():
    visit = uuid7(NOON)
    order_line(visit, "purchase", "1001", NOON)
    order_line(visit, "purchase", "1001", NOON + timedelta(days=1))
    roll_up_due()  # the later day first
    age()
    roll_up_due()
    assert money().total == 10
    assert figures(DAY + ONE, DAY + ONE) == {}


def test_no_day_is_made_anew_within_minutes(busy_day):
    partitions.ensure(DAY - ONE, today() + ONE)
    roll_up_due()
    assert due_days() == []
    RolledUpDay.objects.filter(day=today()).update(rolled_up_at=timezone.now() - rollups.FRESH)
    assert due_days() == [today()]


@pytest.mark.django_db(transaction=True)
def test_yesterday_is_made_anew_soon_after_its_end(busy_day):
    """Not an hour later: alarms wait for it."""
    all_made()
    midnight = first_moment(DAY + ONE)
    RolledUpDay.objects.filter(day=DAY).update(state="rows came since", rolled_up_at=midnight - minutes(2))
    assert DAY not in due_days(midnight + minutes(2))
    assert DAY in due_days(midnight + minutes(4))
    RolledUpDay.objects.filter(day=DAY).update(rolled_up_at=midnight + minutes(4))
    assert DAY not in due_days(midnight + minutes(50))
    assert DAY in due_days(midnight + minutes(65))


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_was_put_back_stops_no_roll_up(busy_day):
    roll_up_due()
    ahead = timezone.now() + timedelta(days=400)
    RolledUpDay.objects.update(rolled_up_at=ahead)
    all_flushed()
    assert today() in due_days()
    happen(uuid7(NOON), NOON, "view_item", "7")
    all_flushed()
    assert {DAY, today()} <= set(due_days())
    judge_a_buyer()
    assert {DAY, today()} <= set(roll_up_due(seconds=60.0))
    assert not RolledUpDay.objects.filter(day=DAY, rolled_up_at=ahead).exists()


def test_another_time_zone_makes_every_day_due(busy_day, settings):
    roll_up_due()
    age()
    settings.TIME_ZONE = "Asia/Tokyo"
    assert {DAY, today()} <= set(due_days())


def test_rows_of_a_day_to_come_wait_for_it():
    tomorrow = timezone.now() + timedelta(days=1)
    show(uuid7(tomorrow), tomorrow, ["1"])
    assert roll_up_due()
    assert figures(today(), today() + 2 * ONE) == {}
