"""Each row once, whoever sends it how often; and the session's items out again."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from django_sessrec.capture import partitions, store
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.event import to_payload
from django_sessrec.capture.failed_events import store_failed
from django_sessrec.capture.fast_query import patient
from django_sessrec.capture.session_events import session_events
from django_sessrec.capture.store import WriteResult
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Impression, Quarantine
from tests.support.capture import event, event_of, in_the_ledger, shown

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_and_impressions_are_stored_as_they_are():
    session_id = uuid7()
    impression = shown(session_id, "2", 'it\'s "quoted", {braced}, back\\slashed %s')
    click = event("2", name="select_item", session_id=session_id, impression_id=impression.pk, position=1)
    purchase = event("2", name="purchase", session_id=session_id, quantity=3, price="19.99", currency="EUR")
    assert store.write([click, purchase], [impression]) == WriteResult(stored=3)
    assert [to_payload(each) for each in Event.objects.order_by("event_id")] == [
        to_payload(click),
        to_payload(purchase),
    ]
    assert to_payload(Impression.objects.get()) == to_payload(impression)


def test_a_list_says_how_it_was_asked_for_and_one_of_an_older_version_does_not():
    lists = [shown(uuid7(), "1"), shown(uuid7(), "1")]
    told = {"wanted": 8, "session_clicks": 3, "session_intents": 2, "duration_us": 4_200}
    for column, value in told.items():
        setattr(lists[0], column, value)
    payloads = [to_payload(each) for each in lists]
    payloads[1] = {name: value for name, value in payloads[1].items() if name not in told}
    assert store.write_json(json.dumps(payloads), "[]") == WriteResult(stored=2)
    stored = dict(Impression.objects.values_list("pk", "wanted"))
    assert stored == {lists[0].pk: 8, lists[1].pk: None}
    assert Impression.objects.filter(**told).get().pk == lists[0].pk


def test_an_event_by_itself_is_stored_as_it_is():
    """It goes a shorter way than several do."""
    session_id = uuid7()
    for alone in (
        event(),
        event('it\'s "quoted", {braced}, back\\slashed %s ü', session_id=session_id),
        event("2", name="select_item", session_id=session_id, impression_id=uuid7(), position=1, bot=True),
        event("2", name="purchase", quantity=3, price="19.99", currency="EUR", source="browser"),
    ):
        assert store.write([alone]) == WriteResult(stored=1)
        assert to_payload(Event.objects.get(pk=alone.pk)) == to_payload(alone)


def test_an_event_by_itself_is_counted_as_what_became_of_it():
    first, gone = event(), event()
    erase_sessions([gone.session_id])
    assert store.write([first]) == WriteResult(stored=1)
    assert store.write([first]) == WriteResult(duplicate=1)
    assert store.write([gone]) == WriteResult(withdrawn=1)
    assert store.write([first], resend=True) == WriteResult(duplicate=1)
    assert in_the_ledger() == {"stored": 1, "duplicate": 1, "withdrawn": 1}


def test_a_list_with_or_without_its_page_s_view_is_stored_as_it_is():
    """They go a shorter way than several of them do."""
    session_id = uuid7()
    ids = ['it\'s "quoted", {braced}, back\\slashed %s ü', "NULL", "", "a,b"]
    for bot in (False, True):
        alone, beside = shown(session_id, *ids), shown(session_id, *ids)
        for column, value in {"wanted": 8, "duration_us": 4_200, "bot": bot}.items():
            setattr(beside, column, value)
        beside.propensities = [0.25, None, 1.0, 1e-9]
        view = event(ids[0], session_id=session_id, impression_id=uuid7(), position=1, price="1.50", bot=bot)
        assert store.write([], [alone]) == WriteResult(stored=1)
        assert store.write([view], [beside]) == WriteResult(stored=2)
        assert to_payload(Event.objects.get(pk=view.pk)) == to_payload(view)
        for each in (alone, beside):
            assert to_payload(Impression.objects.get(pk=each.pk)) == to_payload(each)
    assert in_the_ledger() == {"stored": 6}


def test_a_list_is_counted_as_what_became_of_it():
    session_id, gone = uuid7(), uuid7()
    view, first = event(session_id=session_id), shown(session_id, "2")
    erase_sessions([gone])
    assert store.write([view]) == WriteResult(stored=1)
    assert store.write([view], [first]) == WriteResult(stored=1, duplicate=1)
    assert store.write([view], [first], resend=True) == WriteResult(duplicate=2)
    assert store.write([view], [shown(session_id, "3")], resend=True) == WriteResult(stored=1, duplicate=1)
    assert store.write([event(session_id=gone)], [shown(gone, "2")]) == WriteResult(withdrawn=2)
    assert store.write([], [shown(gone, "2")]) == WriteResult(withdrawn=1)
    assert in_the_ledger() == {"stored": 3, "duplicate": 1, "withdrawn": 3}


def test_a_list_and_an_event_of_another_session_are_both_stored():
    one, other = uuid7(), uuid7()
    assert store.write([event(session_id=one)], [shown(other, "2")]) == WriteResult(stored=2)
    assert Event.objects.get().session_id == one
    assert Impression.objects.get().session_id == other


def test_of_a_list_and_a_view_that_postgres_refuses_the_list_stays():
    session_id = uuid7()
    bad = event("bad", session_id=session_id)
    bad.position = 10**6  # no smallint
    assert store.write([bad], [shown(session_id, "2")]) == WriteResult(stored=1, failed=1)
    assert Impression.objects.count() == 1


@pytest.fixture
def paused():
    """A lock for which a writer waits between its insert and its count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;"
            "CREATE TRIGGER pause AFTER INSERT ON sessrec_event FOR EACH STATEMENT EXECUTE FUNCTION pause()"
        )
    yield "pg_advisory_xact_lock(77)"
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION pause CASCADE")


def test_no_row_is_counted_twice_where_a_withdrawal_comes_in_between(paused):
    known, new = event(), event("2")
    new.session_id = known.session_id
    store.write([known])
    written = []

    def write():
        with patient(60.0):
            written.append(store.write([known, new]))
        connections.close_all()

    writing = threading.Thread(target=write)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {paused}")
        writing.start()
        while True:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE objid = 77 AND NOT granted")
            if cursor.fetchone()[0]:
                break
        cursor.execute("INSERT INTO sessrec_withdrawal VALUES (%s, now())", [known.session_id])
    writing.join()
    assert written == [WriteResult(stored=1, withdrawn=1)]
    assert in_the_ledger() == {"stored": 2, "withdrawn": 1}


@pytest.mark.parametrize("text", ["nul \x00", "lone \ud800"])
def test_an_event_that_is_no_text_for_postgres_is_kept_as_failed(text):
    bad = event("bad")
    bad.item_id = text
    assert store.write([bad]) == WriteResult(failed=1)
    assert FailedEvent.objects.get().payload["item_id"].startswith(text[:3])


def test_the_first_of_two_events_with_one_id_wins():
    first = event("1")
    second = event("2", event_id=first.event_id)
    assert store.write([first]) == WriteResult(stored=1)
    assert store.write([second, event("3")]) == WriteResult(stored=1, duplicate=1)
    assert set(Event.objects.values_list("item_id", flat=True)) == {"1", "3"}


@hypothesis_settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_batches_sent_again_and_shuffled_leave_each_event_once(data):
    events = [event(str(n)) for n in range(8)]
    copies = data.draw(
        st.permutations([each for each in events for _ in range(data.draw(st.integers(1, 5)))])
    )
    written = WriteResult()
    for start in range(0, len(copies), 3):
        written += store.write(copies[start : start + 3])
    assert written == WriteResult(stored=8, duplicate=len(copies) - 8)
    assert Event.objects.filter(pk__in=[each.pk for each in events]).count() == 8


def test_two_processes_with_the_same_rows_in_other_orders_do_not_wait_for_each_other():
    events = [event(str(n)) for n in range(50)]

    def write(rows):
        for start in range(0, 50, 10):
            store.write(rows[start : start + 10])
        connections.close_all()

    threads = [threading.Thread(target=write, args=[rows]) for rows in (events, events[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Event.objects.count() == 50


def test_a_missing_partition_is_made():
    late = event(event_id=uuid7(datetime.now(UTC) - timedelta(days=50)))
    assert store.write([late, event()]) == WriteResult(stored=2)


def test_a_row_that_postgres_refuses_costs_no_other_row():
    bad = event("bad")
    bad.position = 10**6  # no smallint
    assert store.write([event("1"), bad, event("2")]) == WriteResult(stored=2, failed=1)
    failed = FailedEvent.objects.get()
    assert (failed.code, failed.payload["item_id"], failed.session_id) == ("database", "bad", bad.session_id)
    assert "out of range" in failed.detail


def test_in_somebodys_transaction_the_rows_are_theirs_and_their_settings_stay():
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SHOW synchronous_commit")
        (before,) = cursor.fetchone()
        cursor.execute("SET LOCAL synchronous_commit = 'remote_apply'")
        assert store.write([event()]) == WriteResult(stored=1)
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("remote_apply",)
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == (before,)


def test_the_sessions_settings_stay():
    store.write([event()])
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_failed_write_leaves_somebodys_transaction_usable():
    bad = event()
    bad.quantity = None
    with transaction.atomic():
        assert store.write([bad, event("good")]) == WriteResult(stored=1, failed=1)
    assert Event.objects.get().item_id == "good"


def test_server_side_binding_works_as_well(monkeypatch):
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", True)
    connection.close()
    try:
        session_id = uuid7()
        assert store.write([event(session_id=session_id)], [shown(session_id, "1")]) == WriteResult(stored=2)
        assert [each.item_id for each in session_events(session_id)] == ["1"]
    finally:
        connection.close()


def test_a_sessions_items_come_oldest_first():
    session_id = uuid7()
    bot = event("bot", session_id=session_id)
    bot.bot = True
    store.write(
        [
            event("1", session_id=session_id),
            event("2", session_id=session_id, name="select_item"),
            event("2", session_id=session_id),
            event("1", session_id=session_id, name="add_to_cart"),
            event("3", session_id=session_id, name="purchase"),
            bot,
            event("4", session_id=uuid7()),
        ]
    )
    assert [each.item_id for each in session_events(session_id)] == ["1", "2", "1", "3"]
    assert [each.item_id for each in session_events(session_id, limit=2)] == ["1", "3"]
    assert [each.item_id for each in session_events(uuid7())] == []


def test_reading_a_sessions_items_opens_two_days_only(django_assert_num_queries):
    """Whatever is in the other days: with rows in each, Postgres would plan each reading anew."""
    now = datetime.now(UTC)
    partitions.ensure(now.date() - timedelta(9), now.date())
    store.write([event_of(now - timedelta(days)) for days in range(10)])
    plans = []
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sessrec_event; LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0")
        cursor.execute("SET auto_explain.log_nested_statements = on; SET client_min_messages = log")
    connection.connection.add_notice_handler(lambda notice: plans.append(notice.message_primary))
    with django_assert_num_queries(10):
        for _ in range(10):
            session_events(uuid7())
    connection.close()  # it explains all it does
    reading = [plan for plan in plans if "sessrec_event_2" in plan]
    assert len(reading) == 10
    for plan in reading:
        assert 1 <= len(set(re.findall(r" on (sessrec_event_\d{8})", plan))) <= 2
        assert "Subplans Removed" in plan


@pytest.mark.parametrize(
    ("write", "model"),
    [
        (lambda begun: store.write([begun]), Event),
        (lambda begun: store_failed([to_payload(begun)], "refused"), FailedEvent),
    ],
    ids=["of an event", "of a failed one"],
)
def test_forgetting_waits_for_a_write_that_has_begun(write, model):
    begun, asked = event(), threading.Event()

    def forget():
        asked.set()
        with patient(60.0):
            erase_sessions([begun.session_id], wait_seconds=30.0)
        connections.close_all()

    erasing = threading.Thread(target=forget)
    with transaction.atomic():
        write(begun)
        erasing.start()
        asked.wait()
        erasing.join(0.5)
        assert erasing.is_alive()
    erasing.join()
    assert not model.objects.exists()


def test_an_erasure_that_can_not_wait_longer_says_so_and_holds_up_nobody():
    """An idle transaction that has written: others go on writing, and its rows go with the next erasure."""
    begun, erased = event(), []

    def erase(wait_seconds):
        erased.append(erase_sessions([begun.session_id], wait_seconds=wait_seconds))
        connections.close_all()

    def write_meanwhile():
        store.write([event("meanwhile")])
        connections.close_all()

    with transaction.atomic():
        store.write([begun])
        threads = [threading.Thread(target=erase, args=[0.1]), threading.Thread(target=write_meanwhile)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert erased[0].unfinished
    assert set(Event.objects.values_list("item_id", flat=True)) == {"1", "meanwhile"}
    erase(0.1)
    assert not erased[1].unfinished
    assert set(Event.objects.values_list("item_id", flat=True)) == {"meanwhile"}


def test_forgetting_takes_every_table_and_keeps_out_what_comes_late():
    gone, stays = uuid7(), uuid7()
    for session_id in (gone, stays):
        store.write([event(session_id=session_id)], [shown(session_id, "1")])
        store_failed([to_payload(event(session_id=session_id))], "refused")
        Quarantine.objects.create(session_id=session_id, reason="flood", clicks=1)
    tables = dict.fromkeys(
        ("sessrec_event", "sessrec_impression", "sessrec_failedevent", "sessrec_quarantine"), 1
    )
    assert erase_sessions([gone]).rows == tables
    assert erase_sessions([gone]).rows == dict.fromkeys(tables, 0)
    late = event(session_id=gone)
    assert store.write([late, event(session_id=stays)], [shown(gone, "1")]) == WriteResult(
        stored=1, withdrawn=2
    )
    assert store_failed([to_payload(late)], "refused") == 0
    for model in (Event, Impression, FailedEvent, Quarantine):
        assert set(model.objects.values_list("session_id", flat=True)) == {stays}


@pytest.mark.parametrize("text", ["nul \x00", "lone \ud800", "ok \U0001f375"])
def test_what_failed_is_kept_whatever_it_holds(text):
    payload = {"name": text, "items": [{"item_id": text}], text: 1, "session_id": str(uuid4())}
    assert store_failed([payload], "name", text) == 1
    assert FailedEvent.objects.get().payload["name"].startswith(text[:2])
