"""Roll-ups: made twice, killed, late, and longer kept than what they are made of."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error, connection
from django.utils import timezone

from django_sessrec import database
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.orders_without_session import keep, order_event
from django_sessrec.ids import time_of, uuid7
from django_sessrec.measuring import rollups
from django_sessrec.measuring.days import ONE, day_of, first_moment, today
from django_sessrec.measuring.kpis import Kpi, figures, sessions
from django_sessrec.measuring.rollups import Rollup, due_days, parameters, roll_up, roll_up_due
from django_sessrec.models import Attribution, DailyItem, Event, Quarantine, Refund, RolledUpDay
from django_sessrec.privacy.retention import purge
from tests.support.experiments import a_running_one, takes_part
from tests.support.history import NOON, buy, click, happen, minutes, order_line, show
from tests.support.rollups import age, money
from tests.support.tables import rows_of_the_app

DAY = day_of(NOON)
TABLES = ("sessrec_attribution", *(rollup.table for rollup in rollups.ROLLUPS))
TABLES += tuple(table for rollup in rollups.ROLLUPS for table in rollup.also)

pytestmark = pytest.mark.django_db


def all_sums():
    sums = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT (to_jsonb(whole) - 'id')::text FROM {table} whole ORDER BY 1")
            sums[table] = cursor.fetchall()
    return sums


def test_a_day_made_twice_is_the_same(busy_day):
    a_running_one(NOON - minutes(9))
    takes_part(NOON, "new", spends=5)
    assert roll_up(DAY)
    once = all_sums()
    assert all(once.values())
    roll_up(DAY)
    assert all_sums() == once


def test_sessions_and_items_of_a_day(busy_day):
    held = uuid7(NOON)
    show(held, NOON, ["1"])
    Quarantine.objects.create(session_id=held, reason="flood", clicks=30)
    roll_up(DAY)
    (day,) = sessions(DAY, DAY).values()
    assert (day.sessions, day.with_list, day.with_order, day.bots, day.quarantined) == (2, 2, 2, 1, 1)
    items = DailyItem.objects.order_by("item_id").values_list(
        "item_id", "shown", "seen", "clicked", "bought", "sold"
    )
    assert list(items) == [("1", 2, 2, 2, 2, 2), ("2", 2, 2, 0, 0, 2)]


def test_a_roll_up_that_is_killed_half_way_leaves_the_day_as_it_was(busy_day, monkeypatch):
    roll_up(DAY)
    before = all_sums()
    visit = uuid7(NOON)
    order_line(visit, "purchase", "late", NOON)
    broken = Rollup("sessrec_dailyshop", "SELECT 1 / 0")
    monkeypatch.setattr(rollups, "ROLLUPS", (*rollups.ROLLUPS, broken))
    with pytest.raises(Error, match="division by zero"), database.atomic():
        roll_up(DAY)
    assert all_sums() == before


@pytest.mark.django_db(transaction=True)
def test_a_roll_up_whose_connection_is_cut_leaves_the_day_as_it_was(busy_day, monkeypatch):
    roll_up(DAY)
    before = all_sums()
    order_line(uuid7(NOON), "purchase", "late", NOON)
    endless = Rollup("sessrec_dailyshop", "SELECT pg_sleep(60)")
    monkeypatch.setattr(rollups, "ROLLUPS", (*rollups.ROLLUPS, endless))
    problems = []

    def work():
        try:
            roll_up(DAY)
        except Error as problem:
            problems.append(problem)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    cut = False
    with connection.cursor() as cursor:
        while thread.is_alive() and not cut:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE query = 'SELECT pg_sleep(60)' AND state = 'active' AND datname = current_database()"
            )
            cut = cursor.fetchone()[0] == 1
    thread.join()
    assert len(problems) == 1
    assert all_sums() == before
    monkeypatch.undo()
    assert roll_up(DAY), "the lock went with the connection"
    assert money().total == 46


@pytest.mark.django_db(transaction=True)
def test_two_at_once_take_turns_and_count_once(busy_day):
    failures = []

    def work():
        try:
            roll_up(DAY)
        except Exception as problem:
            failures.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (money().direct, money().assisted, money().total) == (30, 6, 36)


@pytest.mark.django_db(transaction=True)
def test_a_page_waits_for_nobody(busy_day):
    locked, finish = threading.Event(), threading.Event()

    def work():
        with database.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [rollups.LOCK])
            locked.set()
            finish.wait(300)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    locked.wait(300)
    try:
        assert roll_up_due(seconds=2.0) == []
    finally:
        finish.set()
        thread.join()
    assert DAY in roll_up_due(seconds=60.0)


def test_figures_and_refunds_outlive_the_raw_rows(busy_day, settings):
    roll_up(DAY)
    before = figures(DAY, DAY)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sessrec_event")
        cursor.execute("DELETE FROM sessrec_impression")
    assert not roll_up(DAY)
    assert figures(DAY, DAY) == before
    order_line(uuid7(), "refund", "order 1", NOON + timedelta(days=2), price="20")
    roll_up(day_of(NOON + timedelta(days=2)))
    assert (money().direct, money().direct_refunded, money().total) == (10, 20, 16)
    assert figures(DAY, DAY)[()].impressions == 2


def test_a_day_near_the_end_of_retention_keeps_its_figures(busy_day, settings):
    roll_up(DAY)
    before = figures(DAY, DAY)
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 3}
    click(uuid7(NOON), NOON, "1", show(uuid7(NOON), NOON, ["1"]))
    assert DAY not in due_days()
    assert not roll_up(DAY)
    assert figures(DAY, DAY) == before


def test_sums_of_orders_without_a_session_outlive_their_lines(settings):
    settings.SESSREC = {**settings.SESSREC, "COUNT_ALL_ORDERS": True, "ORDER_LINES_DAYS": 2}
    order_line(uuid7(NOON), "purchase", "1001", NOON, price="50")
    keep(order_event("purchase", "1", order_id="W", at=NOON, price=70, currency="EUR"), "W")
    roll_up_due()
    before = figures(DAY, DAY)
    assert (money().total, money().without_session) == (120, 70)
    purge()
    assert not Attribution.objects.exists()
    age()
    assert DAY not in roll_up_due()
    roll_up(DAY)
    assert figures(DAY, DAY) == before


def test_today_is_counted_however_short_rows_are_kept(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 1}
    now = timezone.now()
    show(uuid7(now), now, ["1"])
    roll_up(today())
    show(uuid7(now), now, ["1"])
    age()
    assert today() in due_days()
    assert roll_up(today())
    assert figures(today(), today())[()].impressions == 2


def test_an_order_told_on_two_days_counts_on_the_first():
    visit = uuid7(NOON)
    order_line(visit, "purchase", "1001", NOON)
    order_line(visit, "purchase", "1001", NOON + timedelta(days=1))
    for day in (DAY + ONE, DAY, DAY + ONE):
        roll_up(day)
    assert money().total == 10
    assert figures(DAY + ONE, DAY + ONE) == {}


@pytest.mark.parametrize(
    "again", [None, timedelta(hours=1), timedelta(days=1)], ids=["same", "next", "next day's"]
)
def test_an_order_told_again_after_a_click_brought_that_click_s_list_nothing(again):
    buyer = uuid7(NOON)
    order_line(buyer, "purchase", "1001", NOON)
    at = NOON + (again or minutes(5))
    session = uuid7(at) if again else buyer
    shown = show(session, at, ["1"])
    click(session, at + minutes(1), "1", shown)
    order_line(session, "purchase", "1001", at + minutes(2))
    for day in (DAY + ONE, DAY, DAY + ONE):
        roll_up(day)
    assert (money().direct, money().total) == (0, 10)
    day = day_of(at)
    assert (figures(day, day)[()].clicks, figures(day, day)[()].purchases) == (1, 0)
    assert not DailyItem.objects.exclude(bought=0).exists()


def test_a_refund_may_come_before_its_order():
    visit = uuid7(NOON)
    order_line(visit, "refund", "1001", NOON - minutes(5), price="4")
    roll_up(DAY)
    assert figures(DAY, DAY) == {}
    order_line(visit, "purchase", "1001", NOON)
    roll_up(DAY)
    assert (money().total, money().total_refunded) == (6, 4)


def test_a_refund_that_finds_a_later_line_leaves_the_first_one():
    visit = uuid7(NOON)
    buy(visit, NOON, "1", 50)
    buy(visit, NOON + minutes(60), "1", 50, name="refund")
    roll_up(DAY)
    assert (money().total, money().total_refunded) == (0, 50)
    buy(visit, NOON + minutes(30), "1", 50)  # it came late
    roll_up(DAY)
    assert (money().total, money().total_refunded) == (50, 50)


def test_a_refund_on_the_day_before_its_order_is_known_leaves_another_order():
    visit, later = uuid7(NOON), NOON + timedelta(hours=20)
    order_line(visit, "purchase", "A", NOON, price="50")
    order_line(visit, "purchase", "B", NOON + minutes(5), price="50")
    order_line(visit, "refund", "A", later, price="50")
    assert {DAY, DAY + ONE} <= {*roll_up_due()}  # the latest day first: the refund knows no line of its own
    first = Refund.objects.get().reference
    age()
    assert DAY + ONE in roll_up_due()
    assert Refund.objects.get().reference != first
    assert (money().total, money().total_refunded) == (50, 50)


def test_currencies_are_never_added_up():
    visit = uuid7(NOON)
    order_line(visit, "purchase", "1001", NOON, price="10", currency="EUR")
    order_line(visit, "purchase", "1002", NOON, price="20", currency="CHF")
    order_line(visit, "purchase", "1003", NOON, price="5", currency="")
    roll_up(DAY)
    sums = {currency: each.total for currency, each in figures(DAY, DAY)[()].money.items()}
    assert sums == {"": 5, "CHF": 20, "EUR": 10}


def test_a_refund_in_another_currency_takes_back_the_pieces():
    visit = uuid7(NOON)
    order_line(visit, "purchase", "1001", NOON, price="10", quantity=3)
    order_line(visit, "refund", "1001", NOON + minutes(5), price="950", quantity=2, currency="JPY")
    roll_up(DAY)
    assert (money().total, money().total_refunded) == (10, 20)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Cairo"])  # midnight itself is left out in Cairo
def test_days_on_which_clocks_change_are_whole(settings, zone):
    settings.TIME_ZONE = zone
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": None}
    start = datetime(2026, 1, 1, tzinfo=UTC).date()
    days = [start + number * ONE for number in range(365)]
    changes = [day for day in days if first_moment(day + ONE) - first_moment(day) != ONE]
    hours = [
        parameters(day)["end"].astimezone(UTC) - parameters(day)["start"].astimezone(UTC) for day in days
    ]
    assert sorted(set(hours)) == [timedelta(hours=each) for each in (23, 24, 25)]
    assert all(parameters(day)["end"] == parameters(day + ONE)["start"] for day in days[:-1]), changes
    assert {parameters(day)["start"] - parameters(day)["before"] for day in days} == {timedelta(days=1)}
    long_day = next(day for day, length in zip(days, hours, strict=True) if length == timedelta(hours=25))
    for at in (first_moment(long_day), first_moment(long_day + ONE) - minutes(1)):
        show(uuid7(at), at, ["1"])
    for day in (long_day - ONE, long_day, long_day + ONE):
        roll_up(day)
    assert figures(long_day - ONE, long_day + ONE, ("day",)) == {(long_day,): Kpi(2, 2)}


@pytest.mark.parametrize(("zone", "other"), [("UTC", "Europe/Berlin"), ("Europe/Berlin", "UTC")])
def test_in_another_time_zone_money_moves_with_its_lists(settings, zone, other):
    settings.TIME_ZONE = zone
    for hours in (0, 11, 24):
        at = NOON + timedelta(hours=hours, minutes=15)
        visit = uuid7(at)
        order_line(visit, "purchase", f"{hours}", at + minutes(5))
        order_line(visit, "refund", f"{hours}", at + minutes(9), price="3")
        click(visit, at + minutes(1), "1", show(visit, at, ["1"]))

    def told():
        age()
        roll_up_due()
        age()
        roll_up_due()
        return [
            (day, kpi.impressions, kpi.money["EUR"].direct, kpi.money["EUR"].total_refunded)
            for (day,), kpi in sorted(figures(DAY, DAY + ONE, ("day",)).items())
        ]

    days = {
        "UTC": [(DAY, 2, 14, 6), (DAY + ONE, 1, 7, 3)],
        "Europe/Berlin": [(DAY, 1, 7, 3), (DAY + ONE, 2, 14, 6)],
    }
    assert told() == days[zone]
    settings.TIME_ZONE = other
    assert told() == days[other]


@pytest.mark.django_db(transaction=True)
def test_an_erased_visitor_leaves_sums_that_nobody_can_tell_apart(busy_day):
    roll_up(DAY)
    visit = Event.objects.filter(name="purchase").first().session_id
    erase_sessions([visit])
    assert money().total == 36
    roll_up(DAY)
    assert money().total == 36  # the shop has sold it
    assert figures(DAY, DAY)[()].impressions == 1  # a day that is made anew counts what is still there
    held = [row for row in rows_of_the_app() if str(visit) in row]
    assert len(held) == 1  # the withdrawal, which keeps late rows out
    assert Attribution.objects.count() == 4


def test_after_an_erasure_each_session_is_still_a_buyer_of_its_own():
    visits = [uuid7(NOON + minutes(n)) for n in range(4)]
    for n, visit in enumerate(visits, 1):
        order_line(visit, "purchase", f"{n}", NOON + minutes(10), price=str(10 * n))
    roll_up(DAY)
    before = money()
    erase_sessions(visits[:1])
    for _again in range(2):
        roll_up(DAY)
        assert money() == before
    assert before.orders == 4


def test_assisted_is_the_latest_list_that_was_seen():
    visit = uuid7(NOON)
    seen = show(visit, NOON, ["1"], placement="home")
    happen(visit, time_of(seen), "view_item_list", "", seen, source="browser")
    show(visit, NOON + minutes(1), ["1"], placement="basket")
    order_line(visit, "purchase", "1001", NOON + minutes(2))
    stranger = uuid7(NOON)
    show(stranger, NOON + minutes(5), ["1"], placement="basket")
    order_line(stranger, "purchase", "1002", NOON + minutes(2))  # before the list
    roll_up(DAY)
    credited = Attribution.objects.order_by("credit").values_list("credit", "placement")
    assert list(credited) == [("assisted", "home"), ("none", "")]
    assert (money().direct, money().assisted, money().total) == (0, 10, 20)


def test_the_share_of_sales_knows_its_uncertainty():
    for number in range(40):
        visit = uuid7(NOON)
        shown = show(visit, NOON, ["1"])
        if number % 4 == 0:
            click(visit, NOON + minutes(1), "1", shown)
        order_line(visit, "purchase", f"order {number}", NOON + minutes(2))
    roll_up(DAY)
    assert money().share == 0.25
    low, high = money().share_interval
    assert (low, high) == pytest.approx((0.114, 0.386), abs=0.002)  # 1.96 * sqrt(0.25 * 0.75 / 39)


@pytest.mark.django_db(transaction=True)
def test_the_command_makes_what_is_due_or_a_range(busy_day, capsys):
    call_command("sessrec_rollup")
    assert f"to {today()}" in capsys.readouterr().out
    assert RolledUpDay.objects.filter(day=DAY).exists()
    call_command("sessrec_rollup")
    assert capsys.readouterr().out == "0 days rolled up\n"
    call_command("sessrec_rollup", "--since", f"{DAY}", "--until", f"{DAY + ONE}")
    assert capsys.readouterr().out == f"2 days rolled up, {DAY} to {DAY + ONE}\n"
    with pytest.raises(CommandError, match="swap the two days"):
        call_command("sessrec_rollup", "--since", f"{DAY + ONE}", "--until", f"{DAY}")


def test_the_command_says_where_to_go_on(busy_day, monkeypatch):
    monkeypatch.setattr(rollups, "ROLLUPS", (Rollup("sessrec_dailyshop", "SELECT 1 / 0"),))
    with pytest.raises(
        CommandError, match=rf"division by zero. The 0 days after it are done: continue with --until {DAY}"
    ):
        call_command("sessrec_rollup", "--since", f"{DAY}", "--until", f"{DAY}")
