"""Whatever breaks behind it, the page is 200 and the same."""

from http import HTTPStatus

import pytest
from celery.exceptions import Reject, Retry
from django.core.management import call_command
from django.db import DatabaseError, connection

from django_sessrec import tasks
from django_sessrec.capture import buffers, partitions
from django_sessrec.capture import outbox as outbox_module
from django_sessrec.capture.event import make, to_payload
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.replay import replay, replayable
from django_sessrec.ids import uuid7
from django_sessrec.models import FailedEvent, Withdrawal
from example_shop.stack.environment import django_database
from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.valkey import Valkey
from tests.support.capture import captured, carry_out, celery_on, in_the_ledger, renamed, tasks_in


class EventsTable:
    """The table of the events, which is gone, as before migrate, until it is brought back."""

    def __init__(self):
        self.rename("sessrec_event", "elsewhere")
        self.gone = True

    def bring_back(self):
        if self.gone:
            self.rename("elsewhere", "sessrec_event")
        self.gone = False

    def rename(self, name, new):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {name} RENAME TO {new}")


def everything_gone():
    """As where the events database was never migrated."""
    return renamed("SCHEMA", "public")


@pytest.fixture
def dropped_table(shop):
    table = EventsTable()
    yield table
    table.bring_back()


def test_without_the_table_a_page_is_the_same_and_the_row_waits_in_the_queue(visitor, dropped_table, queue):
    response = visitor.get("/product/1/")
    assert (response.status_code, response.content) == (200, b"product 1")
    assert outbox.counts == {"deferred": 1}
    assert len(tasks_in(queue)) == 1


def test_what_waited_is_written_once_the_table_is_back(visitor, dropped_table, queue):
    visitor.get("/product/1/")
    _, rows, _ = queue.get(timeout=300).payload
    with pytest.raises(DatabaseError):
        tasks.write_later(**rows)
    dropped_table.bring_back()
    tasks.write_later(**rows)
    tasks.write_later(**rows)  # delivered twice is stored once
    assert captured() == [("view_item", "1")]


def test_a_worker_that_dies_while_it_fetches_a_message_costs_no_row(visitor, dropped_table, queue):
    for item in "12":
        visitor.get(f"/product/{item}/")
    queue.clear()  # as where a worker has taken them off the queue, and not yet noted it
    dropped_table.bring_back()
    visitor.get("/product/3/")
    assert captured() == [("view_item", item) for item in "123"]
    assert in_the_ledger() == {"stored": 3}


def test_what_both_the_process_and_the_task_have_counts_once(visitor, dropped_table, queue):
    row = make("view_item", "1", session_id=uuid7())
    for _ in range(2):  # as from a browser that heard no answer
        outbox.deliver([row])
    dropped_table.bring_back()
    visitor.get("/product/2/")
    for _ in range(2):
        carry_out(queue.get(timeout=300))
    assert captured() == [("view_item", "1"), ("view_item", "2")]
    assert in_the_ledger() == {"stored": 2, "duplicate": 1}


def test_a_row_that_the_database_refuses_is_one_failed_event_of_process_and_task(visitor, queue):
    bad = make("view_item", "1", session_id=uuid7())
    bad.quantity = 10**10
    with everything_gone():
        outbox.deliver([bad])
    visitor.get("/product/2/")
    carry_out(queue.get(timeout=300))
    assert FailedEvent.objects.get().code == "database"
    assert in_the_ledger() == {"stored": 1, "failed": 1}


def test_what_a_task_kept_as_failed_is_not_written_by_its_process_as_well(visitor, dropped_table, queue):
    visitor.get("/product/1/")
    message = queue.get(timeout=300)
    given = {"kwargs": message.payload[1], "task_id": message.headers["id"], "retries": tasks.WRITE_RETRIES}
    tasks.write_later.apply(**given, throw=True)
    tasks.write_later.apply(**given, throw=True)  # a broker may bring it twice
    dropped_table.bring_back()
    outbox.flush()
    assert (captured(), in_the_ledger()) == ([], {"failed": 1})
    assert replay(replayable()).stored == 1
    assert in_the_ledger() == {"stored": 1, "failed": 1, "replayed": 1}


def test_a_visit_is_erased_though_the_worker_died_with_the_message(visitor, shop, queue):
    visitor.get("/product/1/")
    with everything_gone():
        visitor.get("/product/2/")
        visitor.post("/decline/")
    queue.clear()
    visitor.get("/product/3/")
    assert captured() == [("view_item", "3")]
    assert Withdrawal.objects.count() == 1


def test_wrong_input_is_kept_as_failed_events_once_the_database_is_back(visitor, shop, queue):
    with everything_gone():
        assert visitor.post("/basket/", {"item": "1", "quantity": "0"}).status_code == HTTPStatus.FOUND
    assert not FailedEvent.objects.exists()
    visitor.get("/product/1/")
    assert FailedEvent.objects.get().code == "quantity"
    assert in_the_ledger() == {"stored": 1, "refused": 1}


def test_a_page_after_a_long_outage_writes_a_part_of_what_waits(visitor, dropped_table, queue, monkeypatch):
    monkeypatch.setattr(outbox_module, "FLUSH_ROWS", 2)
    monkeypatch.setattr(outbox_module, "FLUSH_SECONDS", 0.0)
    for item in "123":
        visitor.get(f"/product/{item}/")
    dropped_table.bring_back()
    visitor.get("/product/4/")
    assert {item for _, item in captured()} == {"1", "2", "4"}
    visitor.get("/product/5/")
    assert {item for _, item in captured()} == {"1", "2", "3", "4", "5"}


def test_a_task_that_neither_database_nor_broker_wants_goes_back_to_the_queue(dropped_table, no_broker):
    row = make("view_item", "1", session_id=uuid7())
    tasks.write_later.push_request(id="one", called_directly=False, delivery_info={}, retries=0)
    try:
        with pytest.raises(Reject) as rejected:
            tasks.write_later.run([to_payload(row)])
    finally:
        tasks.write_later.pop_request()
    assert rejected.value.requeue


def test_without_table_and_broker_the_process_holds_the_rows_until_one_is_back(
    visitor, dropped_table, no_broker
):
    for item in "123":
        assert visitor.get(f"/product/{item}/").content == f"product {item}".encode()
    assert outbox.counts == {"held": 3}
    dropped_table.bring_back()
    visitor.get("/product/4/")
    assert sorted(captured()) == [("view_item", item) for item in "1234"]


def test_what_a_process_holds_of_a_visit_goes_with_its_consent(visitor, shop, no_broker):
    with everything_gone():
        visitor.get("/product/1/")
        visitor.post("/decline/")
    visitor.get("/product/2/")
    assert captured() == [("view_item", "2")]
    assert Withdrawal.objects.count() == 1


def test_rows_beyond_a_process_memory_are_lost_and_said_to_be(
    visitor, dropped_table, no_broker, caplog, monkeypatch
):
    monkeypatch.setattr(buffers, "MAX_ROWS", 2)
    for item in "123":
        visitor.get(f"/product/{item}/")
    assert outbox.counts == {"held": 2, "lost": 1}
    assert "1 rows are lost" in caplog.text


def test_a_process_that_ends_brings_away_what_it_can_and_says_what_is_lost(
    visitor, dropped_table, queue, no_broker, broker_url, caplog
):
    visitor.get("/product/1/")
    assert outbox.counts == {"held": 1}
    outbox.close()
    assert "1 rows are lost with this process" in caplog.text
    with celery_on(broker_url):
        outbox.close()
    assert len(tasks_in(queue)) == 1
    assert not outbox.unsent


def test_a_withdrawal_outlives_what_fails_in_memory(visitor, shop, monkeypatch):
    visitor.get("/product/1/")
    monkeypatch.setattr(outbox.recent, "drop", lambda _session_id: 1 / 0)
    visitor.post("/decline/")
    monkeypatch.undo()
    visitor.get("/product/2/")
    assert captured() == [("view_item", "2")]
    assert Withdrawal.objects.count() == 1


def test_a_process_that_ends_erases_what_it_can(visitor, shop, no_broker):
    with everything_gone():
        visitor.get("/product/1/")
        visitor.post("/decline/")
        outbox.unsent.take(99)
    outbox.close()
    assert Withdrawal.objects.count() == 1
    assert not outbox.erasures


def test_a_process_that_ends_hands_its_erasures_to_a_task(shop, queue, no_broker, broker_url, monkeypatch):
    monkeypatch.setattr(outbox_module, "FLUSH_ROWS", 2)
    with everything_gone():
        for _ in range(5):
            outbox.erase(uuid7())
        with celery_on(broker_url):
            outbox.close()
    assert len(tasks_in(queue)) == 5
    assert all(outbox.erasures.values())


def test_a_process_that_ends_names_each_session_that_nobody_will_erase(shop, no_broker, caplog):
    sessions = [uuid7() for _ in range(3)]
    with everything_gone():
        for each in sessions:
            outbox.erase(each)
        outbox.close()
    for each in sessions:
        assert f"erased by hand: manage.py sessrec_erase {each}" in caplog.text


def test_each_session_beyond_a_process_memory_is_named(shop, no_broker, caplog, monkeypatch):
    monkeypatch.setattr(outbox_module, "MAX_ERASURES", 1)
    sessions = [uuid7() for _ in range(3)]
    with everything_gone():
        for each in sessions:
            outbox.erase(each)
    assert [each for each in sessions if f"sessrec_erase {each}" in caplog.text] == sessions[:2]


def test_rows_of_another_version_are_kept_and_cost_no_other(shop):
    good, odd = (
        to_payload(make("view_item", "1", session_id=uuid7())),
        {"session_id": str(uuid7()), "item": "2"},
    )
    for _ in range(2):
        tasks.write_later.apply(
            kwargs={"events": [odd, good], "impressions": [odd]}, task_id="one", throw=True
        )
    assert captured() == [("view_item", "1")]
    assert list(FailedEvent.objects.values_list("code", "payload")) == [("unwritable", odd)] * 2
    assert in_the_ledger() == {"stored": 1, "failed": 2}
    assert {str(each.session_id) for each in FailedEvent.objects.all()} == {odd["session_id"]}


def test_a_broker_that_was_started_anew_takes_rows_at_once(visitor, dropped_table):
    broker = Valkey(own_folder(scratch_folder() / "anew"))
    broker.start()
    try:
        with celery_on(broker.url):
            visitor.get("/product/1/")
            broker.stop()
            broker.start()
            visitor.get("/product/2/")
    finally:
        broker.stop()
    assert outbox.counts == {"deferred": 2}


def test_a_locked_table_holds_a_page_up_for_a_second_at_most(visitor, queue):
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE sessrec_event")
            assert visitor.get("/product/1/").status_code == 200
    finally:
        other.close()
    assert outbox.counts == {"deferred": 1}


def test_without_partitions_they_are_made(visitor):
    with connection.cursor() as cursor:
        for name in partitions._existing(cursor):
            cursor.execute(f"DROP TABLE {name}")
    visitor.get("/product/1/")
    assert captured() == [("view_item", "1")]
    partitions.ensure_ahead()


def test_a_row_that_can_not_be_stored_ends_as_a_failed_event_not_in_endless_retries(shop):
    row = make("view_item", "1", session_id=uuid7())
    row.quantity = 10**10
    tasks.write_later([to_payload(row)])
    assert FailedEvent.objects.get().code == "database"


def test_postgres_stopped_between_two_clicks(visitor, own_postgres, queue):
    connection.close()
    before = dict(connection.settings_dict)
    connection.settings_dict.update(django_database(own_postgres.url))
    try:
        call_command("migrate", verbosity=0)
        visitor.get("/product/1/")
        assert captured() == [("view_item", "1")]
        own_postgres.stop()
        response = visitor.get("/product/4/")
        assert (response.status_code, response.content) == (200, b"product 4")
        written = {"stored": 1, "duplicate": 0, "failed": 0, "withdrawn": 0, "lost": 0}
        assert outbox.counts == written | {"deferred": 1}
        own_postgres.start()
        connection.close()
        visitor.get("/product/5/")
        assert captured() == [("view_item", item) for item in "145"]
    finally:
        connection.close()
        connection.settings_dict.update(before)


@pytest.fixture
def read_only(shop):
    """A database that takes no rows, as a standby or a server that protects a full disk."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    yield
    connection.close()


def test_a_read_only_database_costs_no_row(visitor, read_only, queue):
    for item in "12":
        assert visitor.get(f"/product/{item}/").status_code == 200
    assert outbox.counts == {"deferred": 2}
    _, rows, _ = queue.get(timeout=300).payload
    with pytest.raises(Retry):  # after the last try, too: a failed event could not be kept either
        tasks.write_later.apply(kwargs=rows, retries=tasks.WRITE_RETRIES, throw=True)
    connection.close()
    tasks.write_later(**rows)
    assert captured() == [("view_item", "1")]


def test_a_table_that_takes_no_row_for_long_leaves_failed_events(dropped_table):
    row = make("view_item", "1", session_id=uuid7())
    tasks.write_later.apply(args=[[to_payload(row)]], retries=tasks.WRITE_RETRIES, throw=True)
    dropped_table.bring_back()
    assert FailedEvent.objects.get().code == "unwritable"
    assert replay(replayable()).stored == 1
