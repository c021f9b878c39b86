"""What is too old goes, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from django_sessrec import database, events
from django_sessrec.capture import partitions, store
from django_sessrec.capture.event import make
from django_sessrec.capture.failed_events import store_failed
from django_sessrec.figure_models import Attribution, Refund
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import day_of, today
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import Event, FailedEvent, Withdrawal
from django_sessrec.privacy.retention import ImplausiblePurgeError, oldest_rows, purge

pytestmark = pytest.mark.django_db(transaction=True)


def days_ago(days):
    return timezone.now() - timedelta(days)


def fill(days):
    """One event, one failed event and one withdrawal of so many days ago."""
    at = days_ago(days)
    event = make("view_item", str(days), session_id=uuid7())
    event.event_id, event.occurred_at = uuid7(at), at
    store.write([event])
    store_failed([{"name": str(days)}], "name")
    FailedEvent.objects.filter(payload__name=str(days)).update(received_at=at)
    Withdrawal.objects.create(session_id=(withdrawn := uuid7(at)))
    Withdrawal.objects.filter(pk=withdrawn).update(withdrawn_at=at)


def test_what_is_older_than_retention_goes(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    for days in (1, 29, 40, 41):
        fill(days)
    purged = purge()
    assert (purged.failed_events, purged.withdrawals, purged.late_rows) == (2, 2, 0)
    utc_day = datetime.now(UTC).date()
    dropped = {partitions.day_of(name) for name in purged.partitions}
    assert {utc_day - timedelta(40), utc_day - timedelta(41)} <= dropped
    assert max(dropped) < utc_day - timedelta(30)
    assert set(Event.objects.values_list("item_id", flat=True)) == {"1", "29"}
    assert FailedEvent.objects.count() == Withdrawal.objects.count() == 2
    again = purge()
    assert (again.partitions, again.failed_events, again.withdrawals) == ([], 0, 0)


def test_what_a_purge_has_missed_is_seen_by_the_doctor(settings, capsys):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    fill(29)
    assert all(each.within_limit for each in oldest_rows(timezone.now()))
    fill(40)
    late = {each.table for each in oldest_rows(timezone.now()) if not each.within_limit}
    assert late == {"sessrec_event", "sessrec_failedevent", "sessrec_withdrawal"}
    with pytest.raises(SystemExit):
        call_command("sessrec_doctor")
    assert "sessrec_event has rows from 40 days ago" in capsys.readouterr().out
    purge()
    assert all(each.within_limit for each in oldest_rows(timezone.now()))


def test_a_process_whose_clock_runs_ahead_deletes_nothing(settings, monkeypatch):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    for days in (0, 20):
        fill(days)
    ahead = timezone.now() + timedelta(100)
    monkeypatch.setattr(timezone, "now", lambda: ahead)
    purge()
    assert Event.objects.count() == FailedEvent.objects.count() == Withdrawal.objects.count() == 2


def test_a_database_whose_clock_runs_ahead_deletes_nothing_unless_told_to(settings, monkeypatch):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    for days in range(0, 16, 2):
        fill(days)
    ahead = database.now() + timedelta(100)
    monkeypatch.setattr(database, "now", lambda: ahead)
    with pytest.raises(ImplausiblePurgeError, match=f"8 days of rows.*{ahead:%Y-%m-%d}.*--force"):
        purge()
    with pytest.raises(CommandError, match="8 days of rows"):
        call_command("sessrec_prune")
    assert Event.objects.count() == FailedEvent.objects.count() == Withdrawal.objects.count() == 8
    call_command("sessrec_prune", force=True)
    assert not Event.objects.exists()
    monkeypatch.undo()
    partitions.ensure_ahead()


def test_a_week_without_upkeep_is_made_good(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    for days in range(29, 38):
        fill(days)
    purge()
    assert set(Event.objects.values_list("item_id", flat=True)) == {"29", "30"}


def test_empty_days_may_go_in_any_number(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    utc_day = datetime.now(UTC).date()
    partitions.ensure(utc_day - timedelta(60), utc_day - timedelta(40))
    assert len(purge().partitions) >= 42


def test_without_a_limit_nothing_goes(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": None}
    fill(50)
    assert purge().partitions == []
    assert Event.objects.count() == FailedEvent.objects.count() == Withdrawal.objects.count() == 1


def test_a_row_that_slipped_in_while_its_visit_was_withdrawn_goes():
    event = make("view_item", "1", session_id=uuid7())
    store.write([event])
    Withdrawal.objects.create(session_id=event.session_id)
    assert purge().late_rows == 1
    assert not Event.objects.exists()


def test_a_refund_stores_no_session_whose_withdrawal_is_no_longer_known(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30}
    old, known = uuid7(days_ago(40)), uuid7(days_ago(30))
    bought = {
        session_id: {"item_id": "1", "price": 10, "currency": "EUR", "order_id": number}
        for number, session_id in enumerate((old, known))
    }
    for session_id, line in bought.items():
        store.write([make("purchase", session_id=session_id, at=days_ago(29), **line)])
    roll_up(day_of(days_ago(29)))
    for session_id, line in bought.items():
        events.record(name="refund", session_id=session_id, **line)
    roll_up(today())
    assert set(Event.objects.filter(name="refund").values_list("session_id", flat=True)) == {known}
    assert list(Attribution.objects.values_list("refunded", flat=True)) == [10, 10]


@pytest.mark.parametrize("counted", [True, False])
def test_nor_does_an_order(settings, counted, caplog):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30, "COUNT_ALL_ORDERS": counted}
    order = {"name": "purchase", "item_id": "1", "price": 10, "order_id": "1"}
    events.record(session_id=uuid7(days_ago(32)), **order)
    assert list(Attribution.objects.values_list("amount", flat=True)) == [10] * counted
    assert ("a purchase is not recorded" in caplog.text) != counted
    events.record(session_id="till-1", **order | {"order_id": "2"})
    assert Event.objects.count() == 1


def test_order_lines_go_after_their_own_time_and_sums_stay(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": None, "ORDER_LINES_DAYS": 30}
    day = day_of(days_ago(40))
    for number, ordered_on in enumerate((day, day_of(days_ago(5)))):
        Attribution.objects.create(reference=str(number), ordered_on=ordered_on, buyer=1, amount=10)
        Refund.objects.create(event_id=uuid7(), reference=str(number), refunded_on=ordered_on)
        roll_up(ordered_on)
    before = figures(day, today())
    assert before[()].money[""].orders == 2
    assert purge().order_lines == 1
    assert (Attribution.objects.get().reference, Refund.objects.get().reference) == ("1", "1")
    roll_up(day)
    assert figures(day, today()) == before


def test_order_lines_of_implausibly_many_days_stay_until_told_to(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30, "ORDER_LINES_DAYS": 30}
    fill(31)
    for number in range(8):
        day = days_ago(40 + number).date()
        Attribution.objects.create(reference=str(number), ordered_on=day, buyer=1, amount=10)
    with pytest.raises(ImplausiblePurgeError, match=r"8 days of order lines.*ORDER_LINES_DAYS = 30.*--force"):
        purge()
    assert Attribution.objects.count() == 8
    assert not Event.objects.exists(), "whose days are not in doubt"
    assert purge(force=True).order_lines == 8


def test_order_lines_stay_where_events_are_refused(settings):
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 30, "ORDER_LINES_DAYS": 30}
    for days in range(32, 40):
        fill(days)
    Attribution.objects.create(reference="1", ordered_on=days_ago(40).date(), buyer=1, amount=10)
    with pytest.raises(ImplausiblePurgeError, match=r"8 days of rows.*RETENTION_DAYS = 30"):
        purge()
    assert Attribution.objects.exists()
