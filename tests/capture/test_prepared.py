"""Statements that pages repeat are prepared where connections keep them; elsewhere nothing is lost by it."""

import pytest
from django.db import connection, transaction

from django_sessrec.capture import fast_query, prepared, store
from django_sessrec.capture.session_events import session_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event
from example_shop.stack.pgbouncer import BINARY
from tests.support.capture import captured, event, in_the_ledger, reconnected
from tests.support.set_ups import set_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def new_connection():
    connection.close()


def write(times):
    for n in range(times):
        store.write([event(str(n))])


def prepared_statements():
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'sessrec%'")
        return [statement for (statement,) in cursor.fetchall()]


def test_a_statement_is_prepared_when_a_connection_repeats_it(new_connection):
    write(prepared.USES - 1)
    assert prepared_statements() == []
    write(3)
    [statement] = prepared_statements()
    assert "sessrec_store_event" in statement
    assert in_the_ledger() == {"stored": prepared.USES + 2}


def test_reading_a_session_is_prepared_apart_from_writing(new_connection):
    session_id = uuid7()
    store.write([event("1", session_id=session_id)])
    for _ in range(prepared.USES + 1):
        assert [each.item_id for each in session_events(session_id)] == ["1"]
    [statement] = prepared_statements()
    assert "sessrec_session_events" in statement


@pytest.mark.parametrize(
    "changes",
    [
        {"DISABLE_SERVER_SIDE_CURSORS": True},
        {"OPTIONS": {**connection.settings_dict["OPTIONS"], "prepare_threshold": None}},
    ],
    ids=["DISABLE_SERVER_SIDE_CURSORS", "prepare_threshold"],
)
def test_nothing_is_prepared_where_the_shops_settings_say_so(changes):
    with reconnected(**changes):
        write(prepared.USES + 2)
        assert prepared_statements() == []


def test_a_statement_that_is_gone_is_sent_as_a_whole_and_prepared_anew(new_connection):
    for _ in range(3):
        write(prepared.USES + 1)
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
    write(1)
    assert prepared_statements() == []
    write(prepared.USES)
    assert len(prepared_statements()) == 1
    assert in_the_ledger() == {"stored": 4 * (prepared.USES + 1)}
    assert not fast_query.database_breaker.resting


def test_a_rollback_of_the_shops_does_not_end_preparing():
    """psycopg has the server drop all statements after it, where it prepares its own."""
    options = {**connection.settings_dict["OPTIONS"], "prepare_threshold": 1, "server_side_binding": True}
    with reconnected(OPTIONS=options):
        write(prepared.USES + 1)
        with transaction.atomic():
            for _ in range(3):
                Event.objects.filter(item_id="x").exists()
            transaction.set_rollback(True)
        Event.objects.filter(item_id="x").exists()
        assert prepared_statements() == []
        write(prepared.USES + 1)
        assert len(prepared_statements()) == 1


def test_a_name_that_is_taken_is_no_hindrance(new_connection):
    """Of another client of the same pooler, behind which none is prepared any more."""
    name = prepared.name_of(fast_query._call(store.STORE_EVENT, fast_query.TIMEOUT_SECONDS, durable=False))
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE {name.decode()} AS SELECT 1")
    write(2 * prepared.USES)
    assert in_the_ledger() == {"stored": 2 * prepared.USES}
    assert prepared_statements() == [f"PREPARE {name.decode()} AS SELECT 1"]


def test_inside_a_transaction_of_the_shop_nothing_is_prepared(new_connection):
    with transaction.atomic():
        write(prepared.USES + 1)
        assert prepared_statements() == []
    assert len(captured()) == prepared.USES + 1


def test_a_refused_row_costs_no_other_one_when_the_statement_is_prepared(new_connection):
    write(prepared.USES)
    refused = event("refused")
    refused.quantity = 2**40  # no integer of Postgres
    assert store.write([refused]).failed == 1
    write(1)
    assert in_the_ledger() == {"stored": prepared.USES + 1, "failed": 1}


@pytest.mark.skipif(not BINARY, reason="no PgBouncer on this machine")
def test_behind_a_pooler_of_transactions_that_the_shop_has_not_told_of_nothing_is_lost(own_postgres):
    with set_up("PgBouncer", own_postgres):
        connection.close()
        connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = False
        write(prepared.USES + 1)
        other = connection.copy()
        with other.cursor() as cursor:  # keeps the server process, so that the next write gets a new one
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1")
            write(prepared.USES + 1)
            cursor.execute("ROLLBACK")
        other.close()
        write(prepared.USES)
        assert prepared._forgone == {connection.alias}
        assert in_the_ledger() == {"stored": 3 * prepared.USES + 2}
