"""my-data/, gpc.json, health and schema."""

import json

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, connections
from rest_framework.serializers import DateTimeField

from django_sessrec import __version__
from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Impression, Quarantine, Withdrawal
from django_sessrec.operations.quarantine import release
from django_sessrec.privacy import kept_data
from tests.support.api import an_event, send
from tests.support.visits import session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.urls")]


def test_what_is_kept_of_a_visit(visitor, products):
    send(visitor, an_event(item_id="7"))
    visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    mine = visitor.get("/sessrec/my-data/")
    assert "no-store" in mine["Cache-Control"]
    assert mine.json()["session_id"] == str(session_of(visitor))
    assert [event["item_id"] for event in mine.json()["events"]] == ["7"]
    assert mine.json()["impressions"][0]["placement"] == "product_page"


TABLES = {"events": Event, "impressions": Impression, "failed_events": FailedEvent}


def test_every_table_that_knows_sessions_is_in_the_answer():
    models = {model for model in apps.get_app_config("sessrec").get_models() if not model._meta.proxy}
    of_sessions = {model for model in models if any(f.name == "session_id" for f in model._meta.fields)}
    assert of_sessions == {*TABLES.values(), Quarantine, Withdrawal}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_a_visits_rows_is_in_the_answer(visitor, products, table):
    send(visitor, an_event(), an_event("add_to_cart", price="12,50"))
    visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    row = visitor.get("/sessrec/my-data/").json()[table][0]
    own_key = {"id"} if table == "failed_events" else set()
    columns = {field.attname for field in TABLES[table]._meta.fields} - own_key - {"session_id"}
    assert {"run_id" if key == "run" else key for key in row} == columns


def test_what_was_refused_is_told_with_the_reason(visitor):
    send(visitor, an_event("add_to_cart", "7", price="12,50"))
    (refused,) = visitor.get("/sessrec/my-data/").json()["failed_events"]
    assert (refused["code"], refused["payload"]["item_id"]) == ("price", "7")


def test_a_withdrawal_is_told(visitor):
    send(visitor, an_event())
    cookie = visitor.cookies["sessrec"].value
    visitor.delete("/sessrec/my-data/")
    visitor.cookies["sessrec"] = cookie
    assert visitor.get("/sessrec/my-data/").json()["withdrawn_at"] is not None


def test_it_is_told_as_it_is_kept(visitor):
    send(visitor, an_event("add_to_cart", item_id='"7"\\', price="9.90", quantity=2) | {"currency": "EUR"})
    [kept] = Event.objects.all()
    assert visitor.get("/sessrec/my-data/").json()["events"] == [
        {
            "event_id": str(kept.event_id),
            "occurred_at": DateTimeField().to_representation(kept.occurred_at),
            "name": "add_to_cart",
            "item_id": '"7"\\',
            "quantity": 2,
            "price": "9.90",
            "currency": "EUR",
            "impression_id": None,
            "position": None,
            "source": "browser",
            "bot": False,
        }
    ]


def test_a_long_visit_is_read_page_by_page_and_told_whole(visitor, products, monkeypatch):
    monkeypatch.setattr(kept_data, "PAGE", 2)
    same_time = f"{uuid7()}"[:14]
    ids = [f"{same_time}7{number:03x}-8000-{number:012x}" for number in range(4)]
    wrong = [an_event("add_to_cart", price="12,50") for _ in range(3)]
    send(visitor, *({**an_event(), "event_id": event_id} for event_id in ids), an_event(), *wrong)
    for _ in range(3):
        visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    mine = visitor.get("/sessrec/my-data/").json()
    assert [event["event_id"] for event in mine["events"]][:4] == ids
    assert {table: len(mine[table]) for table in TABLES} == {
        "events": 5, "impressions": 3, "failed_events": 3,
    }  # fmt: skip
    shown = [each["shown_at"] for each in mine["impressions"]]
    assert shown == sorted(shown)


def test_a_visit_sees_and_erases_only_itself(visitor, stranger):
    send(visitor, an_event())
    nothing = {
        "session_id": None, "events": [], "impressions": [], "failed_events": [], "quarantine": None,
        "withdrawn_at": None,
    }  # fmt: skip
    assert stranger.get("/sessrec/my-data/").json() == nothing
    assert stranger.delete("/sessrec/my-data/").json() == {"erased": {}}
    assert Event.objects.count() == 1


def test_who_knows_a_visits_id_only_neither_sees_nor_erases_it(visitor, stranger):
    send(visitor, an_event())
    stranger.cookies["sessrec"] = f"{session_of(visitor)}.{'0' * 32}"
    assert stranger.get("/sessrec/my-data/").json()["session_id"] is None
    assert stranger.delete("/sessrec/my-data/").json() == {"erased": {}}
    assert Event.objects.count() == 1


def test_erasure_takes_rows_and_cookie(visitor, products):
    send(visitor, an_event())
    visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    answer = visitor.delete("/sessrec/my-data/")
    erased = {table: rows for table, rows in answer.json()["erased"].items() if rows}
    assert erased == {"sessrec_event": 1, "sessrec_impression": 1}
    assert answer.cookies["sessrec"].value == ""
    assert not Event.objects.exists()
    assert not Impression.objects.exists()


def test_a_quarantined_visit_is_told_why(visitor):
    send(visitor, an_event())
    assert visitor.get("/sessrec/my-data/").json()["quarantine"] is None
    Quarantine.objects.create(session_id=session_of(visitor), reason="flood", clicks=99)
    told = visitor.get("/sessrec/my-data/").json()["quarantine"]
    assert (told["reason"], told["released_at"]) == ("flood", None)
    assert told["found_at"]
    release(Quarantine.objects.all(), "ann", "a test")
    assert visitor.get("/sessrec/my-data/").json()["quarantine"]["released_at"]


def test_no_other_site_erases(visitor):
    send(visitor, an_event())
    answer = visitor.delete("/sessrec/my-data/", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert Event.objects.count() == 1


def test_without_tables_it_says_so(visitor):
    send(visitor, an_event())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")
    answer = visitor.get("/sessrec/my-data/")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize("cookie", ["", "x", "0" * 36, "é", "00000000-0000-0000-0000-000000000000"])
def test_a_broken_cookie_is_no_visit(visitor, cookie):
    visitor.cookies["sessrec"] = cookie
    assert visitor.get("/sessrec/my-data/").json()["session_id"] is None


def test_gpc(client):
    """Without a date: only the shop knows since when it abides."""
    assert client.get("/.well-known/gpc.json").json() == {"gpc": True}


def test_health(client):
    assert client.get("/sessrec/health/live").json() == {"status": "ok"}
    assert client.get("/sessrec/health/ready").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "address", ["health/live", "health/ready", "why/", "my-visit/", "metrics/", "schema/"]
)
def test_no_address_asks_for_a_login(client, settings, address):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    settings.SESSREC = settings.SESSREC | {"METRICS_TOKEN": "secret"}
    answer = client.get(f"/sessrec/{address}", headers={"Authorization": "Bearer secret"})
    assert answer.status_code == 200
    assert client.get("/.well-known/gpc.json").status_code == 200


def test_not_ready_without_todays_partition(client):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_date")
        cursor.execute(f"DROP TABLE sessrec_event_{cursor.fetchone()[0]:%Y%m%d}")
    answer = client.get("/sessrec/health/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "partitions")


@pytest.fixture
def on_sqlite(settings):
    """The app on a database that it can't use, as in a shop's tests."""
    connections.settings["lite"] = connection.settings_dict | {"ENGINE": "django.db.backends.sqlite3"}
    settings.SESSREC = settings.SESSREC | {"DATABASE": "lite"}
    yield
    del connections["lite"], connections.settings["lite"]


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "health/ready"),
        ("get", "my-visit/"),
        ("post", "my-visit/"),
        ("get", "my-data/"),
        ("delete", "my-data/"),
    ],
)
def test_a_database_that_is_not_postgres_is_unavailable(on_sqlite, visitor, method, address):
    visitor.cookies["sessrec"] = cookie.text_of(uuid7())
    assert getattr(visitor, method)(f"/sessrec/{address}").status_code == 503


def test_the_schema_is_valid_and_complete(tmp_path):
    written = tmp_path / "schema.json"
    call_command(
        "spectacular", urlconf="tests.api.urls", validate=True, fail_on_warn=True, format="openapi-json",
        file=str(written),
    )  # fmt: skip
    schema = json.loads(written.read_text())
    assert {path.removeprefix("/sessrec") for path in schema["paths"]} >= {
        "/events/", "/recommendations/", "/slot/{placement}/", "/my-data/",
    }  # fmt: skip


def test_the_schema_is_served_with_the_shops_prefix(client):
    answer = client.get("/sessrec/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    schema = json.loads(answer.content)
    assert schema["info"]["version"] == __version__
    assert "/sessrec/events/" in schema["paths"]
    assert schema["paths"]["/sessrec/events/"]["post"]["operationId"] == "events"
    assert "Cookie" not in answer.get("Vary", "")
