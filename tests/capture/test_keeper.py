"""What a process keeps is looked after though no page comes."""

import os
import time
from contextlib import contextmanager
from threading import Event, Thread, Timer

import pytest
from django.db import connection, connections

from django_sessrec.capture import buffers, fast_query, keeper
from django_sessrec.capture import outbox as outbox_module
from django_sessrec.capture.keeper import Keeper
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.store import Message
from django_sessrec.ids import uuid7
from django_sessrec.models import Receipt
from tests.capture.test_crash import ask, kill_a_server_process, kill_the_server, until
from tests.support.capture import captured, event, reconnected, tasks_in
from tests.support.hanging import frozen
from tests.support.set_ups import SET_UPS, set_up

EVENTS = "SELECT string_agg(item_id, ',') FROM sessrec_event"
REFUSED = "SELECT string_agg(payload->>'item_id', ',') FROM sessrec_failedevent"


@pytest.fixture(autouse=True)
def _a_keeper_that_looks(monkeypatch):
    """Every moment, unlike that of other tests."""
    monkeypatch.setattr(keeper, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "keeper", Keeper(outbox.look_after))
    yield
    outbox.keeper.end(5)
    outbox.reset()


@pytest.fixture
def soon(monkeypatch):
    """The rows of the last moments are asked for after a moment, too."""
    monkeypatch.setattr(buffers, "AT_RISK_SECONDS", 0.2)


def rejected(item):
    return buffers.Rejected({"session_id": str(uuid7()), "item_id": item}, "name", "")


@pytest.mark.parametrize(
    ("name", "crash"),
    [
        *((name, kill_the_server) for name in ("CONN_MAX_AGE 0", "CONN_MAX_AGE 60", "pool", "PgBouncer")),
        ("CONN_MAX_AGE 60", kill_a_server_process),
    ],
)
def test_rows_that_a_crash_took_come_back_though_the_shop_is_quiet(own_postgres, name, crash):
    if name not in SET_UPS:
        pytest.skip("pgbouncer is not installed")
    with set_up(name, own_postgres) as way:
        for item in "123":
            outbox.deliver([event(item)])
            way.page_ends()
        crash(own_postgres)
        connection.close()
        until(lambda: len(captured()) == 3)
        assert Receipt.objects.exists()  # they were sent again


@pytest.mark.parametrize("name", ["CONN_MAX_AGE 60", "pool", "PgBouncer"])
def test_what_neither_database_nor_broker_took_is_stored_once_the_database_is_back(
    own_postgres, no_broker, soon, name
):
    if name not in SET_UPS:
        pytest.skip("pgbouncer is not installed")
    with set_up(name, own_postgres):
        own_postgres.stop()
        outbox.deliver([event("1")])
        outbox.reject([rejected("2")])
        own_postgres.start()
        until(lambda: ask(own_postgres, EVENTS) == ("1",))
        until(lambda: ask(own_postgres, REFUSED) == ("2",))


@contextmanager
def lent_out():
    """A pool that has no connection to give: it stands for one that has lost its server for longer."""
    pool = connection.pool
    lent = [pool.getconn() for _ in range(pool.max_size)]
    yield
    for each in lent:
        pool.putconn(each)


def test_a_pool_without_a_free_connection_keeps_no_row_from_the_database(own_postgres, no_broker):
    with set_up("pool", own_postgres), lent_out():
        outbox.deliver([event("1")])
        outbox.reject([rejected("2")])
        fast_query.database_breaker.resume()  # as after five seconds
        until(lambda: ask(own_postgres, EVENTS) == ("1",))
        until(lambda: ask(own_postgres, REFUSED) == ("2",))


def test_a_process_that_ends_needs_no_free_connection_of_the_pool(
    own_postgres, no_broker, monkeypatch, caplog
):
    monkeypatch.setattr(keeper, "PAUSE_SECONDS", 1e6)
    session_id = uuid7()
    with set_up("pool", own_postgres):
        outbox.deliver([event("0", session_id=session_id)])
        connection.close()
        with lent_out():
            outbox.deliver([event("1")])
            outbox.reject([rejected("2")])
            outbox.erase(session_id)
            outbox.close()
            assert ask(own_postgres, EVENTS) == ("1",)
            assert ask(own_postgres, REFUSED) == ("2",)
        assert not outbox.recent
        assert not outbox.erasures
        connection.ensure_connection()
        assert connection.pool is not None  # the thread has its own way back
    assert "lost with this process" not in caplog.text


def end():
    outbox.close()
    connections.close_all()


def test_a_process_that_ends_waits_for_a_database_that_starts(own_postgres, no_broker, monkeypatch, caplog):
    monkeypatch.setattr(keeper, "PAUSE_SECONDS", 1e6)
    monkeypatch.setattr(outbox_module, "CLOSE_SECONDS", 30.0)
    with set_up("CONN_MAX_AGE 0", own_postgres):
        own_postgres.stop()
        outbox.deliver([event("1")])
        ending = Thread(target=end)
        ending.start()
        time.sleep(0.3)  # for some tries in vain
        own_postgres.start()
        ending.join()
        assert ask(own_postgres, EVENTS) == ("1",)
    assert "lost with this process" not in caplog.text


def test_a_process_that_ends_asks_the_broker_however_long_the_database_hangs(own_postgres, queue):
    with set_up("CONN_MAX_AGE 0", own_postgres), frozen(own_postgres):
        outbox.unsent.add([Message("receipt", [event("1")])])
        outbox.close()
        assert tasks_in(queue) == {"receipt"}


def test_what_a_page_had_no_time_to_ask_is_asked_at_once(own_postgres, queue, monkeypatch):
    """The page has waited for the database; the broker is well, and the next pages may have it."""
    monkeypatch.setattr(keeper, "PAUSE_SECONDS", 1e6)
    with set_up("CONN_MAX_AGE 0", own_postgres), frozen(own_postgres):
        outbox.deliver([event("1")])
        until(lambda: len(tasks_in(queue)) == 1)
        assert not outbox.broker.resting


def test_a_broker_that_is_back_takes_what_is_kept_though_no_page_comes(own_postgres, queue):
    with set_up("CONN_MAX_AGE 60", own_postgres):
        outbox.unsent.add([Message("receipt", [event("1")])])
        fast_query.database_breaker.rest()
        outbox.keeper.wake()
        until(lambda: tasks_in(queue) == {"receipt"})


def test_a_quiet_process_asks_once_and_then_never_again(transactional_db, soon, monkeypatch):
    asked = []

    def ask():
        asked.append(1)
        outbox.recent.confirm(time.monotonic())

    monkeypatch.setattr(outbox, "_ask_for_recent", ask)
    outbox.deliver([event("1")])
    until(lambda: asked)
    time.sleep(0.5)
    assert len(asked) == 1


def test_a_process_that_ends_waits_for_a_look_to_end():
    begun, ending = Event(), Event()
    looks = []

    def look():
        begun.set()
        ending.wait(300)
        looks.append(1)
        return True

    mine = Keeper(look)
    mine.wake()
    assert begun.wait(300)
    Timer(0.2, ending.set).start()
    mine.end(10)
    assert looks == [1]
    time.sleep(0.2)
    assert looks == [1]


def test_a_forked_process_has_a_keeper_of_its_own():
    told, tell = os.pipe()
    mine = Keeper(lambda: bool(os.write(tell, b".")) and False)
    mine.wake()
    assert os.read(told, 1) == b"."
    if (child := os.fork()) == 0:
        mine.wake()
        time.sleep(10)
        os._exit(1)
    try:
        assert os.read(told, 1) == b"."
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_keeper_survives_what_it_looks_after():
    looks = []

    def look():
        looks.append(1)
        raise ValueError

    mine = Keeper(look)
    mine.wake()
    until(lambda: len(looks) == 2)
    mine.end(5)


def test_a_resting_database_is_not_asked(transactional_db, soon):
    outbox.deliver([event("1")])
    fast_query.database_breaker.rest()
    time.sleep(0.5)
    assert outbox.recent
    fast_query.database_breaker.resume()
    until(lambda: not outbox.recent)


def test_a_process_that_may_begin_no_thread_keeps_its_rows_for_the_next_page(
    transactional_db, no_broker, monkeypatch
):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refused)
    with reconnected(PORT="1"):
        assert outbox.deliver([event("1")]) is None
    fast_query.database_breaker.resume()  # as after five seconds
    outbox.deliver([event("2")])
    assert captured("item_id") == [("1",), ("2",)]
