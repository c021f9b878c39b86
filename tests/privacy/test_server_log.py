"""Postgres's own log outlives an erasure: no statement that it may write there names a session.

Postgres logs the text of a statement that it cancels or refuses. Here it logs the text of every statement,
and of none the values that come apart from it.
"""

import ast
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import signals
from django.test import Client
from django.urls import reverse

import django_sessrec
from django_sessrec import database
from django_sessrec.capture import bot_rules, cookie
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.rows import EventRow
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Quarantine, Withdrawal
from django_sessrec.operations import quarantine, upkeep
from django_sessrec.privacy import retention
from example_shop.stack.environment import django_database
from tests.demo.models import Product
from tests.support.api import BROWSER, an_event, send
from tests.support.capture import reconnected
from tests.support.hanging import own_server
from tests.support.visits import store_visits, synthetic_visits, visit_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_process")]


@pytest.fixture(scope="module")
def talkative():
    """A Postgres that logs every statement's text."""
    with own_server("log") as postgres:
        with psycopg.connect(postgres.url, autocommit=True) as other:
            other.execute("ALTER SYSTEM SET log_statement = 'all'")
            other.execute("ALTER SYSTEM SET log_parameter_max_length = 0")
            other.execute("SELECT pg_reload_conf()")
        yield postgres


@pytest.fixture
def logged(talkative, django_user_model):
    """The shop on that server; returns the log's text since."""
    with reconnected(**django_database(talkative.url)):
        call_command("migrate", run_syncdb=True, verbosity=0)
        call_command("flush", interactive=False, verbosity=0)
        begin = talkative.log.stat().st_size

        def since():
            connection.close()
            return talkative.log.read_text()[begin:]

        yield since


def a_visit(visitor):
    """A session with a view, an item in the basket and an order; returns its id."""
    product = Product.objects.create(name="tea")
    visitor.get(f"/demo/product/{product.pk}/")
    visitor.get(f"/demo/product/{product.pk}/")
    return visit_in(visitor.cookies["sessrec"].value)


def named(session_id, text):
    """Whether the text has the session's id, with hyphens or as psycopg writes a UUID into a statement."""
    return str(session_id) in text or session_id.hex in text


def staff(django_user_model):
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("staff"))
    return client


def test_pages_and_rest(logged, visitor, placement):
    placement(ROTATE_AFTER=2)
    session_id = a_visit(visitor)
    headers = {"sec-fetch-site": "same-origin"}
    assert len(visitor.get("/sessrec/my-data/", headers=headers).json()["events"]) == 2
    assert send(visitor, an_event(), **BROWSER).status_code == 202
    visitor.get("/sessrec/slot/product_page/", headers=headers)
    assert visitor.delete("/sessrec/my-data/", headers=headers).status_code == 200
    text = logged()
    assert "sessrec_erase" in text
    assert re.search(
        'SELECT "sessrec_impression"."item_ids".*"session_id" = ', text
    )  # ROTATE_AFTER looks back
    assert not named(session_id, text)


def test_the_admin(logged, visitor, django_user_model, placement):
    placement(MODELS=["neighbours"])
    session_id = a_visit(visitor)
    client = staff(django_user_model)
    for model in ("event", "impression", "quarantine"):
        address = reverse(f"admin:sessrec_{model}_changelist")
        assert client.get(address).status_code == 200
        for text in (str(session_id), cookie.text_of(session_id)):
            assert client.post(address, {"q": text}, follow=True).status_code == 200
            assert client.get(address, {"q": text}, follow=True).status_code == 200
    row = Event.objects.first()
    assert client.get(reverse("admin:sessrec_event_change", args=[row.pk])).status_code == 200
    inspector = reverse("admin:sessrec_inspector_changelist")
    assert client.get(inspector).status_code == 200
    assert client.post(inspector, {"q": str(session_id)}).status_code == 200
    assert client.get(reverse("admin:sessrec_placement_page", args=["product_page"])).status_code == 200
    yes = {"confirmed": "1", "reason": "a test"}
    answer = yes | {"session": str(session_id)}
    assert client.post(reverse("admin:sessrec_take_out"), answer).status_code == 302
    assert Quarantine.objects.filter(released_at=None).count() == 1
    assert client.post(inspector, {"q": str(session_id)}).status_code == 200
    release = yes | {"action": "release", "_selected_action": [str(session_id)]}
    assert client.post(reverse("admin:sessrec_quarantine_changelist"), release).status_code == 302
    assert not Quarantine.objects.filter(released_at=None).exists()
    assert client.post(reverse("admin:sessrec_take_out"), answer).status_code == 302
    text = logged()
    assert "sessrec_quarantine" in text
    assert not named(session_id, text)


def test_commands_and_tasks(logged, visitor, tmp_path):
    session_id = a_visit(visitor)
    kept = [session_id, *(each for each, _at, _items in synthetic_visits())]
    store_visits((each, datetime.now(UTC) - timedelta(days=1), ["1", "2", "3"]) for each in kept[1:])
    quarantine.take_out(session_id, "staff", "a test")
    bot_rules.quarantine()
    call_command("sessrec_rollup", stdout=io.StringIO())
    quarantine.release([session_id], "staff", "a test")
    call_command("sessrec_rollup", stdout=io.StringIO())
    FailedEvent.objects.all().delete()
    for command in ("sessrec_train neighbours", "sessrec_prune", "sessrec_replay"):
        call_command(*command.split(), stdout=io.StringIO())
    upkeep.upkeep()
    clicks = tmp_path / "clicks.csv"
    clicks.write_text(f"session_id,item_id,timestamp\n{session_id},1,{datetime.now(UTC).isoformat()}\n")
    for _again in range(2):
        call_command(
            "sessrec_import",
            clicks,
            time="timestamp",
            time_unit="iso",
            shift_to_now=True,
            stdout=io.StringIO(),
        )
    call_command("sessrec_erase", str(session_id), stdout=io.StringIO())
    text = logged()
    assert "sessrec_dailylists" in text
    assert not [each for each in kept if named(each, text)]


def test_the_quarantine_of_a_program(logged):
    at = datetime.now(UTC) - timedelta(hours=1)
    program = uuid7(at)
    times = [at + timedelta(milliseconds=300 * number) for number in range(40)]
    copy_events([EventRow(uuid7(time), time, program, "view_item", "1", source="server") for time in times])
    assert bot_rules.quarantine().total() == 1
    text = logged()
    assert "INSERT INTO sessrec_quarantine" in text
    assert not named(program, text)


def test_a_purge_where_the_shop_listens_to_every_deletion(logged):
    """Django then reads the rows and deletes them by their keys."""
    old = [uuid7(), uuid7()]
    with database.values_apart():
        Quarantine.objects.create(session_id=old[0], reason="flood", clicks=1)
        Withdrawal.objects.create(session_id=old[1])
    long_ago = datetime.now(UTC) - timedelta(days=1_000)
    Quarantine.objects.update(found_at=long_ago)
    Withdrawal.objects.update(withdrawn_at=long_ago)
    heard = []

    def listen(instance, **kwargs):
        heard.append(instance.pk)

    signals.post_delete.connect(listen)
    try:
        retention.purge()
    finally:
        signals.post_delete.disconnect(listen)
    text = logged()
    assert {*old} <= {*heard}
    assert 'DELETE FROM "sessrec_withdrawal"' in text
    assert not [each for each in old if named(each, text)]


def named_in_a_query(call):
    """Whether the call looks for rows by a session's id, not by a subquery's."""
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("filter", "exclude", "get")
        and any(
            (keyword.arg or "").startswith("session_id") and not isinstance(keyword.value, ast.Call)
            for keyword in call.keywords
        )
    )


def test_a_module_that_looks_for_a_session_by_the_orm_sends_values_apart():
    package = Path(django_sessrec.__file__).parent
    sources = {path: path.read_text() for path in package.rglob("*.py")}
    looking = {
        path for path, text in sources.items() if any(map(named_in_a_query, ast.walk(ast.parse(text))))
    }
    assert package / "serving/variety.py" in looking
    assert [path for path in looking if "values_apart()" not in sources[path]] == []
