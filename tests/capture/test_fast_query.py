"""A database that takes connections and never answers costs one page some moments, and the others nothing."""

import os
import select
import signal
import socket

import pytest
from django.db import OperationalError, connection, transaction

from django_sessrec.capture import deadlines, fast_query, store
from django_sessrec.capture.breaker import MAX_WAIT_SECONDS, forgive, patience_left
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.session_events import session_events
from django_sessrec.ids import uuid7
from example_shop.stack.processes import exists
from tests.capture.test_crash import until
from tests.support.capture import captured, event, in_the_ledger, reconnected, tasks_in


@pytest.fixture
def hung_server():
    """A socket that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def connections_to(server):
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_one_page_finds_out_and_the_others_do_not_ask(visitor, queue, hung_server):
    host, port = hung_server.getsockname()
    options = {**connection.settings_dict["OPTIONS"], "connect_timeout": 2}
    with reconnected(HOST=host, PORT=str(port), OPTIONS=options):
        for item in "123":
            response = visitor.get(f"/product/{item}/")
            assert (response.status_code, response.content) == (200, f"product {item}".encode())
            forgive()  # as time does
            outbox.look_after()  # as the keeper, who asks the broker that the first page had no time for
        assert connections_to(hung_server) == 1
    assert outbox.counts == {"held": 1, "deferred": 2}
    assert len(tasks_in(queue)) == 3


@pytest.fixture
def frozen_server(transactional_db):
    """Freezes the server process of this connection; when the test ends it does what it heard, and ends."""
    pids = []

    def freeze():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        os.kill(pids[0], signal.SIGSTOP)

    yield freeze
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    connection.close()
    until(lambda: not any(map(exists, pids)))


def test_a_server_that_freezes_is_given_up_and_comes_back(visitor, queue, frozen_server):
    visitor.get("/product/1/")
    frozen_server()
    for item in "23":
        assert visitor.get(f"/product/{item}/").status_code == 200
    with pytest.raises(OperationalError):
        session_events(uuid7())
    assert len(tasks_in(queue)) == 2
    fast_query.database_breaker.resume()  # its pause is over
    visitor.get("/product/4/")
    assert captured()[-1] == ("view_item", "4")


def test_a_lost_connection_is_made_anew_at_once(transactional_db):
    outbox.deliver([event("1")])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    outbox.deliver([event("2")])
    assert captured() == [("view_item", "1"), ("view_item", "2")]
    assert in_the_ledger() == {"stored": 2}


def test_what_may_have_arrived_is_not_counted_twice(transactional_db):
    arrived, lost = event("1"), event("2")
    store.write([arrived])
    assert store.write([arrived, lost], resend=True).stored == 1
    assert in_the_ledger() == {"stored": 2}


def test_a_question_in_somebodys_transaction_is_part_of_it(transactional_db):
    with transaction.atomic():
        assert fast_query.execute_with_deadline("SELECT $1::int + 1, NULL", "41") == [("42", None)]
        assert connection.in_atomic_block
    assert fast_query.execute_with_deadline("SELECT $1, NULL", "it's \\ {quoted}") == [
        ("it's \\ {quoted}", None)
    ]


def test_a_process_without_poll_uses_select(transactional_db, monkeypatch):
    monkeypatch.delattr(select, "poll")
    outbox.deliver([event("1")])
    assert captured() == [("view_item", "1")]
    monkeypatch.setattr(deadlines, "TIMEOUT_SECONDS", 0.3)
    with pytest.raises(OperationalError):
        fast_query.execute_with_deadline("SELECT pg_sleep(5)")


def test_more_than_a_socket_takes_at_once_is_sent(transactional_db):
    long = "x" * 20_000_000
    with fast_query.patient(60):
        assert fast_query.execute_with_deadline("SELECT length($1::text)", long) == [("20000000",)]


def test_an_expensive_query_that_is_cancelled_lets_nobody_else_wait(transactional_db):
    with pytest.raises(OperationalError), fast_query.bounded(expensive=True), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(3)")
    assert not fast_query.database_breaker.resting
    assert patience_left() < MAX_WAIT_SECONDS  # the page itself has waited


def test_any_other_query_that_is_cancelled_gives_the_database_a_rest(transactional_db):
    with pytest.raises(OperationalError), fast_query.bounded(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(3)")
    assert fast_query.database_breaker.resting


def test_workers_wait_longer_and_ask_a_database_that_rests(transactional_db):
    fast_query.database_breaker.rest()
    with pytest.raises(OperationalError):
        fast_query.execute_with_deadline("SELECT 1")
    with fast_query.patient(60):
        assert fast_query.execute_with_deadline("SELECT 1 FROM pg_sleep(1.5)") == [("1",)]


def test_a_connection_that_an_earlier_statement_found_lost_is_opened_anew(transactional_db):
    """As behind a pooler that takes the connection and refuses its first statement."""
    for ask in (lambda: fast_query.execute_with_deadline("SELECT 1"), bounded_query):
        connection.ensure_connection()
        connection.connection.pgconn.finish()
        assert ask() == [("1",)]


def test_an_answer_is_a_health_check(transactional_db, monkeypatch):
    """By CONN_HEALTH_CHECKS a request's first cursor asks the server once more than it needs."""
    with reconnected(CONN_HEALTH_CHECKS=True, CONN_MAX_AGE=60):
        connection.ensure_connection()
        asked, is_usable = [], connection.is_usable
        monkeypatch.setattr(connection, "is_usable", lambda: asked.append(1) or is_usable())
        for answers in ((), (session_events,)):
            connection.close_if_unusable_or_obsolete()  # as a request begins
            for ask in answers:
                ask(uuid7())
            connection.cursor().close()
        assert asked == [1]  # by the request that this app had not asked anything


def bounded_query():
    with fast_query.bounded(), connection.cursor() as cursor:
        cursor.execute("SELECT '1'")
        return cursor.fetchall()
