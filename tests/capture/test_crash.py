"""What Postgres has answered as stored is there after its crash; without one, nothing is sent again."""

import os
import shutil
import signal
import threading
import time

import psycopg
import pytest
from django.db import connection, connections

from django_sessrec.capture import breaker, buffers, fast_query, stream
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.stream_consumer import Consumer
from django_sessrec.ids import uuid7
from django_sessrec.models import FailedEvent, Receipt
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres
from tests.support.capture import captured, event, in_the_ledger
from tests.support.set_ups import SET_UPS, set_up


def kill_the_server(postgres):
    postgres.kill()
    postgres.start()


def kill_a_server_process(postgres):
    """The server ends all others, too, and recovers as after a crash, but is the same process as before."""
    before = ask(postgres, f"SELECT {fast_query.EPOCH}")
    with psycopg.connect(postgres.url) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
    until(lambda: ask(postgres, f"SELECT {fast_query.EPOCH}") not in (None, before))


def ask(postgres, sql):
    """What the server answers; None while it does not."""
    try:
        with psycopg.connect(postgres.url) as probe:
            return probe.execute(sql).fetchone()
    except psycopg.OperationalError:
        return None


def until(happened, seconds=300):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def look_at(visitor, item, page_ends):
    assert visitor.get(f"/product/{item}/").status_code == 200
    page_ends()
    fast_query.database_breaker.resume()
    breaker.forgive()


@pytest.mark.parametrize(
    ("name", "crash"),
    [
        *((name, kill_the_server) for name in SET_UPS),
        *((name, kill_a_server_process) for name in ("CONN_MAX_AGE 0", "PgBouncer") if name in SET_UPS),
    ],
)
def test_no_row_that_was_answered_as_stored_is_missing_after_a_crash(
    visitor, own_postgres, name, crash, request
):
    waiting = request.getfixturevalue("stream_server") if name == "stream" else None
    with set_up(name, own_postgres) as way:
        consumer = Consumer() if waiting else None

        def all_is_brought():
            look_at(visitor, "6", way.page_ends)
            if waiting:
                consumer.run(lambda: not waiting.xlen(stream.key()))
            return not (outbox.unsent or outbox.in_flight)

        for item in "123":
            look_at(visitor, item, way.page_ends)
        until(all_is_brought)
        for item in "45":
            crash(own_postgres)
            look_at(visitor, item, way.page_ends)
        until(all_is_brought)
        items = {item for _, item in captured()}
        assert items == set("123456")
        assert in_the_ledger() == {"stored": len(captured())}
        assert outbox.counts["lost"] == 0


def test_purchases_and_refused_events_wait_for_the_disk(shop):
    """Even where their process ends with the server, and nobody can send them again."""
    folder = scratch_folder() / "durable"
    postgres = Postgres(folder)
    postgres.start()
    try:
        with set_up("CONN_MAX_AGE 60", postgres):
            outbox.deliver([event("1", name="purchase", price="9.90", currency="EUR")])
            outbox.reject([buffers.Rejected({"session_id": str(uuid7()), "item_id": "2"}, "price", "")])
            outbox.reset()
            kill_the_server(postgres)
            connection.close()
            assert captured() == [("purchase", "1")]
            assert [each.payload["item_id"] for each in FailedEvent.objects.all()] == ["2"]
            outbox.deliver([event("3")])
            outbox.close()  # a process that ends has the disk take what it wrote
            outbox.reset()
            kill_the_server(postgres)
            connection.close()
            assert captured() == [("purchase", "1"), ("view_item", "3")]
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def nothing():
    """A page like any other."""


def terminate():
    other = connection.copy()
    with other.cursor() as cursor:
        pid = connection.connection.info.backend_pid
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def another_thread():
    def deliver():
        outbox.deliver([event("thread")])
        connections.close_all()

    thread = threading.Thread(target=deliver)
    thread.start()
    thread.join()


@pytest.mark.parametrize("disturb", [nothing, terminate, connection.close, another_thread])
def test_where_nothing_crashed_nothing_is_sent_again(transactional_db, disturb):
    for item in "123":
        outbox.deliver([event(item)])
    disturb()
    outbox.deliver([event("4")])
    assert {item for _, item in captured()} >= set("1234")
    assert not Receipt.objects.exists()  # what is sent again has one
    assert in_the_ledger().keys() == {"stored"}


def test_a_clean_restart_is_no_crash(own_postgres):
    with set_up("CONN_MAX_AGE 60", own_postgres):
        outbox.deliver([event("1")])
        own_postgres.stop()
        own_postgres.start()
        outbox.deliver([event("2")])
        assert captured("item_id") == [("1",), ("2",)]
        assert not Receipt.objects.exists()


def test_what_is_sent_again_goes_in_parts_and_pages_do_not_wait_for_all_of_it(own_postgres, monkeypatch):
    """A crash after a thousand rows in a moment: each page brings some, and none is lost or counted twice."""
    with set_up("CONN_MAX_AGE 60", own_postgres):
        session_rows = [event(str(n)) for n in range(1_000)]
        for start in range(0, 1_000, 50):
            outbox.deliver(session_rows[start : start + 50])
        kill_the_server(own_postgres)
        monkeypatch.setattr("django_sessrec.capture.outbox.FLUSH_SECONDS", 0.0)
        outbox.deliver([event("next")])
        assert 0 < outbox.unsent.rows < 1_000
        while outbox.unsent:
            outbox.deliver([event("next")])
        assert {item for _, item in captured()} == {"next", *(str(n) for n in range(1_000))}
        assert not outbox.counts["lost"]
        assert "duplicate" not in in_the_ledger()


def test_recent_rows_are_bounded_by_rows_and_by_bytes(monkeypatch):
    recent = buffers.RecentWrites()
    monkeypatch.setattr(buffers, "MAX_ROWS", 10)
    for _ in range(20):
        recent.remember([event()], "server")
    assert recent.rows == len(recent.at_risk("another")) == 10
    monkeypatch.setattr(buffers, "MAX_BYTES", 5 * buffers.EVENT_BYTES)
    for _ in range(20):
        recent.remember([event()], "another")
    assert recent.rows <= 5
