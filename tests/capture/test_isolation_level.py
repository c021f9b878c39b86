"""The app's own transactions see each withdrawal, whatever the level of isolation of the shop's."""

import threading

import pytest
from django.db import connection, connections, transaction
from psycopg import IsolationLevel

from django_sessrec import database
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.fast_query import bounded
from django_sessrec.capture.outbox import outbox, redeliver
from django_sessrec.capture.rows import row_of
from django_sessrec.capture.store import Message
from django_sessrec.models import Event
from tests.support.capture import event, in_the_ledger, reconnected, settle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True, params=[IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def _level(request):
    options = {**connection.settings_dict["OPTIONS"], "isolation_level": request.param}
    with reconnected(OPTIONS=options):
        yield


def level():
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        return cursor.fetchone()[0]


def by_a_task(row):
    return lambda: redeliver(Message("a task", [row]))


def by_an_import(row):
    return lambda: copy_events([row_of(row)])


def by_the_stream(row):
    outbox.deliver([row])
    return settle


@pytest.mark.parametrize(
    ("way", "last_before"),
    [
        (by_a_task, 'INSERT INTO "sessrec_receipt"'),
        (by_an_import, "CREATE TEMP TABLE"),
        (by_the_stream, 'INSERT INTO "sessrec_receipt"'),
    ],
)
def test_nothing_is_stored_of_a_session_that_is_erased_meanwhile(way, last_before, request):
    if way is by_the_stream:
        request.getfixturevalue("stream_server")
    row, erased = event(), []
    write = way(row)

    def erase():
        erased.append(erase_sessions([row.session_id]))
        connections.close_all()

    def erase_afterwards(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if sql.startswith(last_before) and not erased:
            erasing = threading.Thread(target=erase)
            erasing.start()
            erasing.join()
        return answer

    with connection.execute_wrapper(erase_afterwards):
        write()
    assert not erased[0].unfinished
    assert not Event.objects.exists()
    assert in_the_ledger() == {"withdrawn": 1}


def test_the_shops_own_transactions_stay_as_they_are():
    with transaction.atomic():
        theirs = level()
        with database.atomic():
            assert level() == theirs != "read committed"
    for own in (database.atomic, bounded):
        with own():
            assert level() == "read committed"
            with database.atomic():
                pass
        with transaction.atomic():
            assert level() == theirs


def test_they_stay_so_after_one_of_ours_that_failed():
    def fail():
        with database.atomic():
            level()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with transaction.atomic():
        assert level() != "read committed"


def test_a_transaction_that_the_shop_began_without_django_stays_as_it_is():
    connection.set_autocommit(False)
    theirs = level()
    with database.atomic():
        assert level() == theirs != "read committed"


def test_a_connection_that_has_died_is_found_out_before():
    connection.settings_dict["CONN_HEALTH_CHECKS"] = True
    connection.ensure_connection()
    own = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 60000)", [own])
    other.close()
    connection.health_check_enabled, connection.health_check_done = True, False
    with database.atomic():
        assert level() == "read committed"
