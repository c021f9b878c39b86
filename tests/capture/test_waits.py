"""Whatever hangs, a page waits two seconds at most for all of it, and the next one nothing."""

import json
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from threading import Event as Flag
from threading import Thread

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, transaction

from django_sessrec import database, safety
from django_sessrec.api.health import ready
from django_sessrec.capture import cookie, deadlines, fast_query, stream
from django_sessrec.capture import outbox as outbox_module
from django_sessrec.capture.breaker import MAX_WAIT_SECONDS, forgive, patience_left, waited_in_vain
from django_sessrec.capture.deadlines import database_breaker
from django_sessrec.capture.fast_query import bounded, call_with_deadline
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.session_events import session_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Heartbeat
from django_sessrec.testing import reset
from example_shop.stack.environment import django_database
from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.valkey import Valkey
from tests.capture.test_crash import until
from tests.support.capture import celery_on, event, in_the_ledger, nowhere, reconnected, settle
from tests.support.hanging import SLACK, frozen, locked, own_server, waited_for
from tests.support.set_ups import SET_UPS, set_up
from tests.support.visits import visit_in

TABLES = [
    *("event", "impression", "failedevent", "withdrawal", "ledger", "receipt", "attribution", "quarantine"),
    *("promotion", "trainingrun", "experiment", "ruleset"),
]
WRITTEN = TABLES[:6]
BRIEF_SECONDS = 0.4  # the server's own limit is then 0.2
NOT_ON_A_PAGES_WAY = {"attribution", "receipt"}


@pytest.fixture(scope="module")
def server():
    with own_server("waits") as postgres:
        yield postgres


@pytest.fixture
def way(request, shop, server, monkeypatch):
    """One of SET_UPS, in a shop whose pages ask for lists."""
    shop.SESSREC["TRACKED_VIEWS"] |= {"remembered": "pk", "listed": "pk"}
    shop.SESSREC |= {
        "MODELS": {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours"}},
        "PLACEMENTS": {"product_page": {"MODELS": ["neighbours"]}},
    }
    streamed = request.param == "stream"
    if streamed:
        request.getfixturevalue("stream_server")
    with set_up(request.param, server) as way:
        if streamed:
            way.servers["stream"] = request.getfixturevalue("valkey")

        def noted(seconds):
            way.waited.append(seconds)
            waited_in_vain(seconds)

        monkeypatch.setattr(deadlines, "waited_in_vain", noted)
        yield way


@pytest.fixture
def brief(monkeypatch):
    """Waits that are bounded are shorter than in a shop; one without a bound is as long as ever."""
    monkeypatch.setattr(deadlines, "TIMEOUT_SECONDS", BRIEF_SECONDS)
    monkeypatch.setattr(deadlines, "POOL_SECONDS", BRIEF_SECONDS)


def seconds(ask):
    began = time.monotonic()
    assert ask().status_code in (200, 302)
    return time.monotonic() - began


PAGES = {
    "a product": lambda visitor: visitor.get("/product/1/"),
    "one that reads": lambda visitor: visitor.get("/remembered/1/"),
    "one with a list": lambda visitor: visitor.get("/listed/1/"),
    "wrong input": lambda visitor: visitor.post("/basket/", {"item": "1", "quantity": "0"}),
    "a refusal": lambda visitor: visitor.post("/decline/"),
}

BRING_ROWS = ("a product", "one that reads", "one with a list")  # to whoever takes them


def waits(visitor, way, hanging, pages=PAGES):
    """Whether any page waits while something hangs: two seconds at most, and the next one nothing."""
    anybody = False
    for name in pages:
        page = PAGES[name]
        reset()
        visitor.cookies["consent"] = "session"
        visitor.get("/product/0/")
        way.page_ends()
        with hanging():
            assert seconds(lambda page=page: page(visitor)) < MAX_WAIT_SECONDS + SLACK, name
            way.page_ends()
            visitor.cookies["consent"] = "session"
            anybody |= database_breaker.resting
            for again in {page, PAGES["one with a list"]} if database_breaker.resting else ():
                for breaker in (database_breaker, stream.broker, outbox.broker):
                    if breaker.resting:
                        breaker.rest(60)  # a busy machine may take longer than its pause for a page
                forgive()
                way.waited.clear()
                assert seconds(lambda again=again: again(visitor)) < MAX_WAIT_SECONDS + SLACK, name
                assert not way.waited, name
                assert patience_left() > MAX_WAIT_SECONDS / 2, name
                way.page_ends()
        database.connection().close()
    return anybody


@pytest.mark.parametrize("way", SET_UPS, indirect=True)
def test_a_locked_table_holds_one_page_up_and_no_other(visitor, server, way, no_broker, brief):
    start = len(server.log.read_text())
    held_up = {table for table in TABLES if waits(visitor, way, partial(locked, server, table))}
    streamed = set(WRITTEN) if "stream" in way.servers else set()  # by the consumer, not by pages
    assert held_up >= set(TABLES) - NOT_ON_A_PAGES_WAY - streamed
    waited = waited_for(server, start)
    assert "withdrawal" in waited
    assert not waited & NOT_ON_A_PAGES_WAY - streamed  # a busy machine holds pages up, too
    assert waits(visitor, way, partial(locked, server, *TABLES))


@pytest.mark.parametrize("way", [name for name in SET_UPS if name != "ATOMIC_REQUESTS"], indirect=True)
def test_a_server_that_hangs_holds_one_page_up_and_no_other(visitor, way, no_broker, brief):
    """Where every request is a transaction of its database, Django itself waits before the view begins."""
    for name, program in way.servers.items():
        assert waits(visitor, way, partial(frozen, program)) or name == "stream", name


@pytest.fixture
def hung_broker():
    """A broker of its own, to be hung beside what else hangs."""
    valkey = Valkey(own_folder(scratch_folder() / "hung-too"))
    valkey.start()
    with celery_on(valkey.url):
        yield valkey
    valkey.stop()


@pytest.mark.parametrize("way", [name for name in SET_UPS if name != "ATOMIC_REQUESTS"], indirect=True)
def test_whatever_hangs_together_holds_one_page_up_and_no_other(visitor, way, hung_broker, monkeypatch):
    """Which leaves a page no time to ask all of them."""
    for asks in (stream, outbox_module):
        monkeypatch.setattr(asks, "waited_in_vain", deadlines.waited_in_vain)  # noted, too

    @contextmanager
    def all_of_them():
        with ExitStack() as hanging:
            for program in (hung_broker, *way.servers.values()):
                hanging.enter_context(frozen(program))
            yield

    assert waits(visitor, way, all_of_them, BRING_ROWS)


@pytest.mark.parametrize("way", ["CONN_MAX_AGE 60"], indirect=True)
def test_a_page_waits_two_seconds_at_most_and_the_next_one_nothing(visitor, server, way, no_broker):
    assert waits(visitor, way, partial(locked, server, *TABLES))
    assert waits(visitor, way, partial(frozen, server))


@pytest.mark.parametrize("way", ["CONN_MAX_AGE 60", "CONN_MAX_AGE 0", "pool"], indirect=True)
def test_a_load_balancer_is_answered_however_long_the_database_hangs(server, way, rf):
    assert ready(rf.get("/")).status_code == 200
    way.page_ends()
    with frozen(server):
        started = time.monotonic()
        answer = ready(rf.get("/"))
        assert time.monotonic() - started < MAX_WAIT_SECONDS + SLACK
    assert (answer.status_code, json.loads(answer.content)["reason"]) == (503, "database")
    assert not database_breaker.resting  # pages find out for themselves
    connection.close()
    assert ready(rf.get("/")).status_code == 200


def test_a_load_balancer_hears_of_the_database_though_pages_leave_it_alone(transactional_db, rf):
    database_breaker.rest()
    assert ready(rf.get("/")).status_code == 200


@pytest.mark.parametrize("kind", ["broker", "stream"])
def test_a_server_of_messages_that_hangs_costs_one_page_some_moments(visitor, shop, kind, server):
    valkey = Valkey(own_folder(scratch_folder() / f"hung-{kind}"))
    valkey.start()
    try:
        with celery_on(valkey.url):
            if kind == "stream":
                shop.SESSREC = {**shop.SESSREC, "STREAM_URL": valkey.stream_url}
            outbox.deliver([event("0")])
            with frozen(valkey), suppress(OperationalError), nowhere() if kind == "broker" else nullcontext():
                assert seconds(lambda: visitor.get("/product/1/")) < MAX_WAIT_SECONDS + SLACK
                forgive()
                if kind == "stream":  # of the first page's time a busy machine leaves the database too little
                    database_breaker.resume()
                assert seconds(lambda: visitor.get("/product/2/")) < MAX_WAIT_SECONDS + SLACK
                assert patience_left() > MAX_WAIT_SECONDS / 2
            visitor.get("/product/3/")
            if kind == "stream":
                settle()
        until(lambda: set(Event.objects.values_list("item_id", flat=True)) == set("0123"))
        assert in_the_ledger() == {"stored": 4}  # none is counted twice, and nobody sent a duplicate
    finally:
        valkey.stop()


def test_a_transaction_may_begin_with_bounded_queries(transactional_db):
    with transaction.atomic(), connection.cursor() as cursor:
        with bounded():
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1s",)
            Heartbeat.objects.create(name="inside")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
    with suppress(ZeroDivisionError), transaction.atomic():
        with bounded():
            Heartbeat.objects.create(name="rolled back")
        raise ZeroDivisionError
    assert Heartbeat.objects.get().name == "inside"


def test_queries_of_the_orm_are_bounded_and_leave_the_transaction_as_it_was(transactional_db):
    with connection.cursor() as cursor:
        with bounded():
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1s",)
            Heartbeat.objects.create(name="inside")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
        with transaction.atomic():
            cursor.execute("SET LOCAL statement_timeout = '7s'")
            with bounded():
                list(Heartbeat.objects.all())
            with pytest.raises(OperationalError), bounded():
                cursor.execute("SELECT pg_sleep(5)")
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("7s",)
        with pytest.raises(OperationalError), bounded():  # it rests now
            pass
    assert Heartbeat.objects.filter(name="inside").exists()


def test_the_shops_transaction_outlives_a_page_that_has_little_time_left(transactional_db, monkeypatch):
    """All limits are five times a shop's: a busy machine may hold up the server's answer for a moment."""
    monkeypatch.setattr(deadlines, "TIMEOUT_SECONDS", 6.0)
    monkeypatch.setattr(deadlines, "LEAST", 1.5)
    monkeypatch.setattr(fast_query, "SERVER_MARGIN", 1.0)
    monkeypatch.setattr("django_sessrec.capture.breaker.MAX_WAIT_SECONDS", 10.0)
    for waited in (6.5, 9.5):
        forgive()
        with psycopg.connect(**connection.get_connection_params()) as other, transaction.atomic():
            other.execute("LOCK TABLE sessrec_event")
            waited_in_vain(waited)
            with safety.isolated("read the session's events"):
                session_events(uuid7())
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchone() == (1,)
            other.rollback()


def test_warnings_of_an_outage_are_few(transactional_db, no_broker, caplog):
    safety.forget()
    with nowhere():
        for _ in range(50):
            outbox.deliver([event()])
    assert caplog.text.count("run manage.py migrate") == 1
    assert caplog.text.count("the broker did not take") == 1


def test_a_statement_that_postgres_cancels_is_logged_without_values(visitor, server, shop, brief):
    """Postgres's own log outlives an erasure: it must not name a session or an item."""
    with reconnected(**django_database(server.url)):
        call_command("migrate", verbosity=0)
        sessions = set()
        for table in WRITTEN:
            for page in PAGES.values():
                visitor.cookies["consent"] = "session"
                visitor.get("/product/0/")
                sessions.add(visit_in(visitor.cookies["sessrec"].value))
                with locked(server, table):
                    page(visitor)
                database_breaker.resume()
                forgive()
    log = server.log.read_text()
    assert "canceling statement due to" in log
    assert not [session for session in sessions if str(session) in log]


def test_a_cancelled_look_at_ones_data_is_answered_and_logged_without_the_session(server, shop, client):
    shop.ROOT_URLCONF = "tests.api.urls"
    session_id = uuid7()
    client.cookies["sessrec"] = cookie.text_of(session_id)
    with reconnected(**django_database(server.url)):
        call_command("migrate", verbosity=0)
        with locked(server, "event"):
            started = time.monotonic()
            answer = client.get("/sessrec/my-data/", headers={"sec-fetch-site": "same-origin"})
            assert time.monotonic() - started < MAX_WAIT_SECONDS + SLACK
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    log = server.log.read_text()
    assert "FROM sessrec_event AS kept" in log
    assert str(session_id) not in log


def test_a_row_that_postgres_would_refuse_with_its_values_in_the_log_is_not_sent(visitor, server, shop):
    secret = uuid7()
    with reconnected(**django_database(server.url)):
        call_command("migrate", verbosity=0)
        for field, value in (("quantity", None), ("item_id", "nul \x00"), ("position", 10**6)):
            for others in ([], [event("good")]):
                bad = event("bad", session_id=secret)
                setattr(bad, field, value)
                outbox.deliver([bad, *others])
        assert outbox.counts["failed"] == 6
    assert str(secret) not in server.log.read_text()


def test_each_address_of_a_server_has_its_own_time_to_connect(transactional_db, server):
    """As the how-to on production says of a host with several, such as localhost."""
    found = django_database(server.url)
    with frozen(server), reconnected(**found | {"HOST": ",".join([found["HOST"]] * 2)}):
        began = time.monotonic()
        with pytest.raises(OperationalError, match="Multiple connection attempts failed"):
            call_with_deadline("1")
        for_both = 2 * deadlines.CONNECT_SECONDS
        assert for_both <= time.monotonic() - began < for_both + SLACK
        assert database_breaker.resting, "the next page waits for nothing"


def test_bounded_queries_inside_of_others_leave_the_transaction_as_it_was(transactional_db):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '7s'")
        with bounded():
            with bounded():
                list(Heartbeat.objects.all())
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1s",)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("7s",)


def test_a_page_that_was_lent_a_connection_has_it_though_others_wait_for_one(shop):
    options = {**connection.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 1}}
    answers, done = [], Flag()

    def page():
        answers.append(call_with_deadline("1"))
        connection.close()

    def another():
        lent = pool.getconn(60)
        done.wait(300)
        pool.putconn(lent)

    with reconnected(OPTIONS=options, CONN_MAX_AGE=0):
        pool = connection.pool
        pool.open()
        only, threads = pool.getconn(), [Thread(target=page), Thread(target=another)]
        for number, each in enumerate(threads):
            each.start()
            until(lambda number=number: pool.get_stats().get("requests_waiting", 0) > number)
        pool.putconn(only)
        threads[0].join(120)
        waits = threads[0].is_alive()
        done.set()
        for each in threads:
            each.join()
        connection.close_pool()
    assert not waits
    assert answers == ["1"]
