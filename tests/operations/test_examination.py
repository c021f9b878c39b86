"""What the examination finds in a shop that is ill, one illness at a time."""

import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from celery import Celery
from django.db import connection
from django.test import RequestFactory

import django_sessrec
from django_sessrec import database, tasks
from django_sessrec.capture import store
from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.models import FailedEvent, Heartbeat, Ledger, TrainingRun
from django_sessrec.operations import examination, services, shop, storage, trained_models
from django_sessrec.operations.findings import Code, ago
from tests.support.capture import celery_on, reconnected
from tests.support.roles import ACTS, CLERK, WRITES_ROWS, clerk

pytestmark = pytest.mark.django_db(transaction=True)

SOURCES = Path(django_sessrec.__file__).parent / "operations"


def codes(findings):
    return {finding.code: finding for finding in findings}


def captured(*item_ids):
    store.write([make("view_item", item_id, session_id=uuid7()) for item_id in item_ids])


def test_every_code_is_found_by_some_examination():
    text = "".join(path.read_text("utf-8") for path in SOURCES.glob("*.py") if path.name != "findings.py")
    assert {f"Code.{code.name}" for code in Code} == set(re.findall(r"Code\.[A-Z_]+", text))


def test_a_part_that_raises_hides_no_other(settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": "nowhere.Catalogue"}
    found = list(examination.examine(tasks.broker()))
    (raised,) = [each for each in found if each.code == Code.EXAMINATION_RAISED]
    assert (raised.subject, raised.message) == ("catalogue", "ModuleNotFoundError: No module named 'nowhere'")
    assert "events" in {each.subject for each in found}


def test_rows_that_wait_for_a_retry_are_not_hidden_by_the_retry_of_older_ones():
    day = datetime.now(UTC).date()
    Ledger.objects.create(day=day - timedelta(days=10), slot=99, failed=2)
    Ledger.objects.create(day=day, slot=99, replayed=2, stored=2, failed=1)
    FailedEvent.objects.create(code="database", payload={"event_id": "x"})
    found = codes(shop.events())[Code.LEDGER_FAILED_ROWS]
    assert found.message == "1 row could not be stored and waits for a retry."
    FailedEvent.objects.update(code="name")  # wrong input, kept with its reason
    assert Code.LEDGER_BALANCED in codes(shop.events())


def test_what_was_found_before_the_database_went_is_told_and_the_reason_once(settings, tmp_path):
    with reconnected(HOST=str(tmp_path)):
        found = list(examination.examine(services.Broker("redis://here//", True, lambda: None)))
    assert Code.BROKER_ANSWERS in codes(found)
    unanswered = [each for each in found if each.code == Code.EXAMINATION_UNANSWERED]
    assert {each.subject for each in unanswered} > {"database", "rights", "broker", "process", "events"}
    assert [bool(each.remedy) for each in unanswered] == [True] + [False] * (len(unanswered) - 1)
    assert unanswered[-1].message == "Not examined: the events database did not answer."


def test_a_model_whose_run_was_refused_or_trains_is_not_to_be_started_by_hand(settings):
    model = {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours"}}
    settings.SESSREC = {**settings.SESSREC, "MODELS": model}
    never = codes(trained_models.trained_models())
    assert "sessrec_train neighbours" in never[Code.MODEL_MISSING].remedy
    TrainingRun.objects.create(model="neighbours", trigger="test", state="refused", verdict="Too few.")
    found = codes(trained_models.trained_models())
    assert "Too few." in found[Code.MODEL_NOT_TRAINED].message
    assert found[Code.MODEL_MISSING].remedy == ""
    run = TrainingRun.objects.create(model="neighbours", trigger="test", state="running")
    trains = codes(trained_models.trained_models())
    assert trains[Code.MODEL_MISSING].remedy == f"{run} is being trained: wait for it."


def test_a_query_that_fails_leaves_the_open_transaction_usable(monkeypatch):
    monkeypatch.setattr(storage, "RIGHTS", "SELECT nothing FROM nowhere")
    with database.atomic():
        found = list(examination.examine(tasks.broker()))
    assert [each.subject for each in found if each.code == Code.EXAMINATION_RAISED] == ["rights"]
    assert Code.EVENTS_NONE in codes(found)


# -- consent


def says(answer):
    def consent(_request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    return consent


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("session", Code.CONSENT_ASKED),
        (None, Code.CONSENT_ASKED),
        (True, Code.CONSENT_INVALID),
        ("Session", Code.CONSENT_INVALID),
        (["session"], Code.CONSENT_INVALID),
        (AttributeError("no banner"), Code.CONSENT_RAISES),
    ],
)
def test_the_consent_function_is_tried(settings, monkeypatch, answer, code):
    monkeypatch.setattr(django_sessrec, "consent_of_a_test", says(answer), raising=False)
    settings.SESSREC = {**settings.SESSREC, "CONSENT": "django_sessrec.consent_of_a_test"}
    from django_sessrec.conf import _import

    _import.cache_clear()
    (finding,) = shop.consent()
    assert finding.code == code
    assert finding.level == {Code.CONSENT_ASKED: "ok", Code.CONSENT_RAISES: "warn"}.get(code, "fail")
    (on_a_page,) = shop.consent(RequestFactory().get("/"))
    assert on_a_page.level == ("ok" if code == Code.CONSENT_ASKED else "fail")
    _import.cache_clear()


def test_it_may_ask_for_the_session_and_the_user(settings):
    settings.SESSREC = {**settings.SESSREC, "CONSENT": f"{__name__}.asks_both"}
    assert list(codes(shop.consent())) == [Code.CONSENT_ASKED]


def asks_both(request):
    return "session" if request.session.get("yes") or request.user.is_anonymous else "none"


# -- the stream


def test_a_stream_whose_server_is_gone_is_told(settings, tmp_path):
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": f"unix://{tmp_path}/nobody.sock"}
    (finding,) = services.stream_backlog()
    assert (finding.code, finding.level) == (Code.STREAM_SILENT, "fail")
    assert "STREAM_URL" in finding.remedy


# -- proxies


@pytest.mark.parametrize(
    ("proxies", "forwarded", "said"),
    [
        (0, "1.2.3.4", ["NUM_PROXIES is 0: every visitor has the proxy's address"]),
        (None, "1.2.3.4", ["NUM_PROXIES is not set: no visitor's address is known"]),
        (1, "1.2.3.4", []),
        (1, "9.9.9.9, 1.2.3.4", []),  # what stands before is the client's own invention
        (2, "1.2.3.4", ["NUM_PROXIES is 2, and X-Forwarded-For of this request has 1"]),
        (1, None, ["NUM_PROXIES is 1, and X-Forwarded-For of this request has 0"]),
        (0, None, []),
        (None, None, []),
    ],
)
def test_a_proxy_that_the_settings_do_not_know_is_told(settings, proxies, forwarded, said):
    settings.SESSREC = {**settings.SESSREC, "NUM_PROXIES": proxies}
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    found = [each.message for each in shop.proxies(RequestFactory().get("/", headers=headers))]
    assert len(found) == len(said)
    assert all(words in message for words, message in zip(said, found, strict=True))
    assert list(shop.proxies()) == []


# -- storage


@pytest.fixture
def role():
    """A role that may log in and nothing else."""
    with clerk() as execute:
        yield execute
        execute("RESET ROLE")
        execute("GRANT USAGE ON SCHEMA public TO public")


def test_a_database_that_takes_no_rows_is_told():
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        found = codes(storage.tables())
        cursor.execute("RESET default_transaction_read_only")
    assert set(found) == {Code.DATABASE_READ_ONLY, Code.DATABASE_READY}
    assert "default_transaction_read_only" in found[Code.DATABASE_READ_ONLY].remedy


def test_transactions_that_see_no_withdrawal_are_told():
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        found = codes(storage.tables())
        cursor.execute("RESET default_transaction_isolation")
    assert set(found) == {Code.DATABASE_ISOLATION, Code.DATABASE_READY}
    assert "repeatable read" in found[Code.DATABASE_ISOLATION].message


@pytest.mark.parametrize("may_enter", [True, False])
def test_a_role_that_sees_no_table_is_not_told_to_migrate(role, may_enter):
    if not may_enter:
        role("REVOKE USAGE ON SCHEMA public FROM public")
    role(ACTS)
    (finding,) = storage.tables()
    assert finding.code == Code.RIGHTS_MISSING
    assert finding.message == f"The role {CLERK} may not read the tables."
    assert "GRANT USAGE ON SCHEMA" in finding.remedy


def test_a_role_that_may_not_write_one_table_is_told_which(role):
    role(WRITES_ROWS)
    role(f"REVOKE DELETE ON sessrec_withdrawal FROM {CLERK}")
    role(ACTS)
    found = codes(storage.rights())
    message = f"The role {CLERK} may not read and write sessrec_withdrawal."
    assert found[Code.RIGHTS_MISSING].message == message


@pytest.mark.parametrize(
    ("ahead", "level"), [(timedelta(), None), (timedelta(seconds=20), "warn"), (timedelta(days=100), "fail")]
)
def test_clocks_that_differ_are_told(monkeypatch, ahead, level):
    monkeypatch.setattr(database, "now", lambda: datetime.now(UTC) + ahead)
    assert [finding.level for finding in storage.clock()] == ([level] if level else [])


@pytest.mark.parametrize(("free", "level"), [(10**8 - 1, "fail"), (10**9 - 1, "warn"), (10**9, "ok")])
def test_a_full_disk_is_told(monkeypatch, free, level, settings, tmp_path):
    settings.SESSREC = {**settings.SESSREC, "ARTIFACTS": tmp_path / "not" / "yet"}
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: FakeUsage(free, folder))
    (finding,) = storage.disk()
    assert finding.level == level


class FakeUsage:
    def __init__(self, free, folder):
        assert folder.exists()
        self.free = free


# -- the broker


def test_a_process_without_the_projects_celery_app_is_told():
    (finding,) = services.broker(services.Broker("amqp://localhost//", False, lambda: 1 / 0))
    assert finding.code == Code.BROKER_UNNAMED
    assert "amqp://localhost//" in finding.message
    assert "__init__.py" in finding.remedy


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_takes_connections_and_never_answers_is_given_up(scheme, monkeypatch):
    """By a timeout of each of its sockets: without it, Redis's client waits for ever."""
    monkeypatch.setattr(tasks, "EXAMINED_SECONDS", 0.2)
    raised = []

    def ask(broker):
        try:
            broker.ask()
        except Exception as problem:
            raised.append(problem)

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        celery_on(f"{scheme}://127.0.0.1:{server.getsockname()[1]}//"),
    ):
        asking = Thread(target=ask, args=[tasks.broker()], daemon=True)
        asking.start()
        asking.join(300)
    assert len(raised) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@localhost:6379/0", "redis://:**@localhost:6379/0"),
        ("rediss://shop:secret@cache:6380/1", "rediss://shop:**@cache:6380/1"),
        ("amqp://shop:secret@queue//", "amqp://shop:**@queue:5672//"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
    ],
)
def test_a_brokers_address_hides_its_password_and_shows_none_where_there_is_none(monkeypatch, url, shown):
    monkeypatch.setattr(tasks, "current_app", Celery(broker=url, set_as_current=False))
    assert tasks.broker().address == shown


def test_a_worker_that_reads_another_broker_is_told():
    Heartbeat.objects.create(name="worker", broker="redis://there//")
    Heartbeat.objects.create(name="train", broker="redis://here//")
    Heartbeat.objects.create(name="beat")
    found = codes(services.broker(services.Broker("redis://here//", True, lambda: None)))
    assert set(found) == {Code.BROKER_DIFFERS, Code.BROKER_ANSWERS}
    assert (
        found[Code.BROKER_DIFFERS].message
        == "This process sends to redis://here//, and worker reads redis://there//."
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second ago"), (119, "119 seconds ago"), (120, "2 minutes ago"), (7_200, "2 hours ago")],
)
def test_a_time_is_told_in_its_largest_unit(seconds, words):
    assert ago(datetime.now(UTC) - timedelta(seconds=seconds)) == words
