"""A database that answers late holds no probe, scrape or visitor for longer than its deadline."""

import threading

import pytest
from django.db import connection

from django_sessrec.capture import fast_query
from tests.support.api import an_event, send
from tests.support.capture import reconnected

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.api.urls")]


@pytest.fixture
def locked():
    """Locks a table against readers, as a migration that waits does, until the test ends."""
    over = threading.Event()
    holders = []

    def lock(table):
        held = threading.Event()

        def hold():
            other = connection.copy()
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                held.set()
                over.wait(300)
                cursor.execute("ROLLBACK")
            other.close()

        holders.append(threading.Thread(target=hold))
        holders[-1].start()
        assert held.wait(300)

    yield lock
    over.set()
    for holder in holders:
        holder.join()


def test_the_probe_gives_up(client, locked):
    locked("pg_inherits")
    answer = client.get("/sessrec/health/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "database")


def test_the_probe_asks_a_database_that_pages_have_given_up(client):
    fast_query.database_breaker.rest()
    assert client.get("/sessrec/health/ready").json() == {"status": "ok"}


@pytest.mark.parametrize("view", ["live", "ready"])
def test_a_probe_is_answered_under_atomic_requests(client, view):
    """Their transaction would fail before the probe is asked, which is an error 500 for the load balancer."""
    with reconnected(HOST="/nowhere", ATOMIC_REQUESTS=True):
        answer = client.get(f"/sessrec/health/{view}")
    assert answer.status_code == {"live": 200, "ready": 503}[view]


FORM = "application/x-www-form-urlencoded"
ANSWERS = {
    "/.well-known/gpc.json": 200,
    "/sessrec/health/live": 200,
    "/sessrec/health/ready": 503,
    "/sessrec/metrics/": 200,
    "/sessrec/my-data/": 503,
    "/sessrec/my-visit/": 503,
    "/sessrec/recommendations/?placement=product_page": 200,
    "/sessrec/schema/": 200,
    "/sessrec/slot/product_page/": 200,
    "/sessrec/why/": 200,
}


@pytest.mark.parametrize("away", ["down", "hung up on"])
@pytest.mark.parametrize("address", ANSWERS)
def test_every_address_answers_by_itself_under_atomic_requests(visitor, settings, address, away):
    """Their transaction would fail before the view is asked, which is an error 500."""
    settings.SESSREC = settings.SESSREC | {"METRICS_TOKEN": "secret"}
    send(visitor, an_event())
    where = {"HOST": "/nowhere"} if away == "down" else {"HOST": "localhost", "PORT": "1"}
    headers = {"Authorization": "Bearer secret", "sec-fetch-site": "same-origin"}
    with reconnected(**where, ATOMIC_REQUESTS=True):
        assert visitor.get(address, headers=headers).status_code == ANSWERS[address]


def test_events_that_are_posted_are_kept_under_atomic_requests_while_the_database_is_away(visitor):
    send(visitor, an_event())
    with reconnected(HOST="/nowhere", ATOMIC_REQUESTS=True):
        assert send(visitor, an_event()).status_code == 202
    assert send(visitor, an_event()).status_code == 202


def test_a_visitor_may_refuse_under_atomic_requests_while_the_database_is_away(visitor):
    send(visitor, an_event())
    headers = {"sec-fetch-site": "same-origin"}
    with reconnected(HOST="/nowhere", ATOMIC_REQUESTS=True):
        answer = visitor.post("/sessrec/personalisation/", "personalisation=off", FORM, headers=headers)
    assert (answer.status_code, "sessrec_off" in answer.cookies) == (303, True)


def test_a_visitor_is_told_that_it_is_not_available(visitor, locked):
    send(visitor, an_event())
    locked("sessrec_event")
    answer = visitor.get("/sessrec/my-data/")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_visit_that_can_t_be_read_or_erased_now_is_not_said_to_be_gone(visitor, locked):
    send(visitor, an_event())
    locked("sessrec_event")
    for ask in (visitor.get, visitor.post):
        answer = ask("/sessrec/my-visit/", headers={"sec-fetch-site": "same-origin"})
        assert (answer.status_code, "sessrec" in answer.cookies) == (503, False)
        assert "Please try again in a minute." in answer.content.decode()


@pytest.fixture
def slow():
    """Makes each row of a table take half a second, until the test ends."""
    tables = []

    def make(table):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
            tables.append(table)
            cursor.execute(f"CREATE VIEW {table} AS SELECT * FROM elsewhere WHERE pg_sleep(0.5) IS NOT NULL")

    yield make
    for table in tables:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP VIEW {table}")
            cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")


@pytest.mark.parametrize("table", ["sessrec_event", "sessrec_failedevent"])
@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/sessrec/my-visit/"),
        ("post", "/sessrec/my-visit/"),
        ("get", "/sessrec/my-data/"),
        ("delete", "/sessrec/my-data/"),
    ],
)
def test_rows_of_one_visit_that_take_long_cost_no_other_visitor_the_database(
    visitor, slow, table, method, address
):
    """However many a visitor has piled up, and however often they are asked for."""
    for _ in range(5):
        send(visitor, an_event(), an_event(price="12,50"))
    slow(table)
    answer = getattr(visitor, method)(address, headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 503
    assert not fast_query.database_breaker.resting


def test_a_part_that_answers_late_hides_no_other_figure(client, settings, locked):
    settings.SESSREC = settings.SESSREC | {"METRICS_TOKEN": "secret"}
    locked("sessrec_trainingrun")
    text = client.get("/sessrec/metrics/", headers={"Authorization": "Bearer secret"}).content.decode()
    assert 'sessrec_up{part="trainings"} 0.0' in text
    assert 'sessrec_up{part="lists"} 1.0' in text
