"""Whatever breaks behind it, the page is 200 and the same."""

import shutil

import pytest
from django.core.management import call_command
from django.db import connection

from django_sessrec import tasks
from django_sessrec.capture import delivery, partitions
from django_sessrec.models import Event, FailedEvent
from example_shop.stack.environment import django_database
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres
from tests.capture.conftest import captured


@pytest.fixture(autouse=True)
def _fresh_counts(monkeypatch):
    monkeypatch.setattr(delivery, "broker", delivery.Broker())
    delivery.outcomes.clear()


@pytest.fixture
def queue(broker_url):
    """A real broker that the retry task goes to; how many messages wait in it."""
    app = tasks.write_later.app
    before = app.conf.broker_url
    app.conf.broker_url = broker_url
    with app.connection_for_write() as broker:
        broker.default_channel.queue_purge("celery")

        def waiting():
            return broker.default_channel.queue_declare("celery", passive=True).message_count

        yield waiting
    app.conf.broker_url = before
    app.pool.force_close_all()
    app._pool = None


@pytest.fixture
def no_broker(tmp_path):
    """A broker that is down."""
    app = tasks.write_later.app
    before = app.conf.broker_url
    app.conf.broker_url = f"redis+socket://{tmp_path}/nobody.sock"
    yield
    app.conf.broker_url = before


@pytest.fixture
def dropped_table(shop):
    """The events' table is not there, as before migrate."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO sessrec_event")


def test_without_the_table_a_page_is_the_same_and_the_row_waits_in_the_queue(visitor, dropped_table, queue):
    response = visitor.get("/product/1/")
    assert (response.status_code, response.content) == (200, b"product 1")
    assert delivery.outcomes == {"deferred": 1}
    assert queue() == 1


def test_what_waited_is_written_once_the_table_is_back(visitor, dropped_table, queue):
    visitor.get("/product/1/")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO sessrec_event")
    try:
        with tasks.write_later.app.connection_for_read() as broker:
            message = broker.SimpleQueue("celery").get(timeout=5)
            _, given, _ = message.payload
            message.ack()
        tasks.write_later(**given)
        tasks.write_later(**given)  # delivered twice is stored once
        assert captured() == [("view_item", "1")]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")


def test_without_table_and_broker_the_page_is_the_same_and_the_loss_is_counted(
    visitor, dropped_table, no_broker, caplog
):
    for item in "123":
        assert visitor.get(f"/product/{item}/").content == f"product {item}".encode()
    assert delivery.outcomes == {"lost": 3}
    assert "1 rows are lost" in caplog.text


def test_a_locked_table_holds_a_page_up_for_a_second_at_most(visitor, queue):
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE sessrec_event")
            assert visitor.get("/product/1/").status_code == 200
    finally:
        other.close()
    assert delivery.outcomes == {"deferred": 1}


def test_without_partitions_they_are_made(visitor):
    with connection.cursor() as cursor:
        for name in partitions._existing(cursor):
            cursor.execute(f"DROP TABLE {name}")
    visitor.get("/product/1/")
    assert captured() == [("view_item", "1")]
    partitions.ensure_ahead()


def test_the_rows_of_a_broken_database_can_be_read_by_hand(visitor, shop, caplog):
    """A value that the store can't take ends as a failed event, not in an endless retry."""
    event = {"event_id": "01a208ef-90b1-7fec-b0d9-c99fad79813a", "occurred_at": "2026-11-23T15:04:07.601Z"}
    payload = {field.attname: None for field in Event._meta.concrete_fields} | event
    payload |= {"session_id": "01a208ef-90b1-7e19-b145-38280df6d098", "name": "view_item", "quantity": 10**10}
    tasks.write_later([payload], [])
    assert FailedEvent.objects.get().code == "refused"


@pytest.fixture
def own_postgres(shop):
    """A second server for the app's own database, which a test may stop."""
    postgres = Postgres(scratch_folder() / "capture", durable=False)
    postgres.start()
    yield postgres
    postgres.stop()
    shutil.rmtree(scratch_folder() / "capture", ignore_errors=True)


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
        assert delivery.outcomes == {"stored": 1, "duplicate": 0, "failed": 0, "withdrawn": 0, "deferred": 1}
        own_postgres.start()
        connection.close()
        visitor.get("/product/5/")
        assert captured() == [("view_item", "1"), ("view_item", "5")]
    finally:
        connection.close()
        connection.settings_dict.update(before)
