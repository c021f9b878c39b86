"""What a process keeps is looked after though no page comes."""

import os
import time
from threading import Event, Timer

import pytest
from django.db import connection

from django_sessrec.capture import buffers, fast_query, keeper
from django_sessrec.capture.keeper import Keeper
from django_sessrec.capture.outbox import outbox
from django_sessrec.ids import uuid7
from django_sessrec.models import FailedEvent, Receipt
from tests.capture.test_crash import kill_a_server_process, kill_the_server, until
from tests.support.capture import captured, event
from tests.support.set_ups import SET_UPS, set_up


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


def test_what_neither_database_nor_broker_took_is_stored_once_the_database_is_back(own_postgres, soon):
    with set_up("CONN_MAX_AGE 60", own_postgres):
        own_postgres.stop()
        outbox.deliver([event("1")])
        outbox.reject([rejected("2")])
        own_postgres.start()
        connection.close()
        until(lambda: captured("item_id") == [("1",)])
        until(lambda: [each.payload["item_id"] for each in FailedEvent.objects.all()] == ["2"])


def test_a_quiet_process_asks_once_and_then_never_again(transactional_db, soon, monkeypatch):
    asked = []

    def ask():
        asked.append(1)
        outbox.recent.forget(time.monotonic())

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
        ending.wait(10)
        looks.append(1)
        return True

    mine = Keeper(look)
    mine.wake()
    assert begun.wait(10)
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
