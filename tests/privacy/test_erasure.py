"""Erasure through the room's own door."""

from threading import Event as Flag
from threading import Thread

import pytest
from django.db import connection, transaction
from django.test import TestCase

from django_sessrec.capture import store
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Quarantine
from django_sessrec.operations.quarantine import NothingStoredError, take_out
from django_sessrec.operations.upkeep import upkeep
from django_sessrec.privacy.erasure import erase
from tests.support.capture import carry_out, celery_on, tasks_in


@pytest.mark.django_db(transaction=True)
def test_a_visit_leaves_every_table_and_its_late_events_stay_out():
    visit, other = uuid7(), uuid7()
    store.write([make("view_item", item, session_id=visit) for item in "123"])
    store.write([make("view_item", "1", session_id=other)])
    rows = {table: count for table, count in erase(visit).items() if count}
    assert rows == {"sessrec_event": 3}
    assert store.write([make("view_item", "4", session_id=visit)]).withdrawn == 1
    assert list(Event.objects.values_list("session_id", flat=True)) == [other]


@pytest.mark.django_db(transaction=True)
def test_what_is_written_before_the_erasures_transaction_commits_goes_with_it():
    visit = uuid7()

    def another_page():
        store.write([make("view_item", "2", session_id=visit)])
        connection.close()

    with transaction.atomic():  # as under ATOMIC_REQUESTS
        erase(visit)
        page = Thread(target=another_page)
        page.start()
        page.join()
        assert Event.objects.count() == 1
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_task_erases_what_a_write_leaves_that_outlasts_the_erasures_transaction(broker_url):
    visit, begun, done = uuid7(), Flag(), Flag()

    def another_page():
        with transaction.atomic():
            store.write([make("view_item", "2", session_id=visit)])
            begun.set()
            done.wait(60)
        connection.close()

    page = Thread(target=another_page)
    with (
        celery_on(broker_url) as app,
        app.connection_for_read() as broker,
        broker.SimpleQueue("celery") as queue,
    ):
        queue.clear()
        with transaction.atomic():
            erase(visit)
            page.start()
            assert begun.wait(60)
        done.set()
        page.join()
        assert Event.objects.count() == 1
        carry_out(queue.get(timeout=300))
        assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_erasure_waits_for_staff_who_take_the_session_out_and_deletes_their_row():
    visit = uuid7()
    store.write([make("view_item", "1", session_id=visit)])

    def erase_elsewhere():
        erase_sessions([visit], wait_seconds=60)
        connection.close()

    erasing = Thread(target=erase_elsewhere)
    with transaction.atomic():
        assert take_out(visit, "ada", "a bot")
        erasing.start()
        erasing.join(0.5)
        assert erasing.is_alive()
    erasing.join()
    assert not Quarantine.objects.exists()
    with pytest.raises(NothingStoredError):
        take_out(visit, "ada", "a bot")


def test_an_erasure_ends_where_a_test_runs_what_awaits_its_commit(db):
    with TestCase.captureOnCommitCallbacks(execute=True) as callbacks:
        erase(uuid7())
    assert len(callbacks) < 5


def erased_while_a_write_is_unfinished(visit):
    """Rows that the erasure deleted beside a transaction that has written a click, and commits after it."""
    rows = []

    def erase_elsewhere():
        rows.append(erase(visit))
        connection.close()

    with transaction.atomic():
        store.write([make("view_item", "1", session_id=visit)])
        erasing = Thread(target=erase_elsewhere)
        erasing.start()
        erasing.join()
    return rows[0]["sessrec_event"]


@pytest.mark.django_db(transaction=True)
def test_a_task_erases_what_a_write_that_outlasts_the_erasure_leaves(broker_url):
    visit = uuid7()
    with (
        celery_on(broker_url) as app,
        app.connection_for_read() as broker,
        broker.SimpleQueue("celery") as queue,
    ):
        queue.clear()
        assert erased_while_a_write_is_unfinished(visit) == 0
        assert Event.objects.count() == 1
        carry_out(queue.get(timeout=300))
        assert not Event.objects.exists()
        assert erase(visit)["sessrec_event"] == 0
        assert tasks_in(queue) == set(), "that one was finished"


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_the_erasure_is_left_to_the_upkeep(tmp_path):
    with celery_on(f"redis+socket://{tmp_path}/nobody.sock"):
        assert erased_while_a_write_is_unfinished(uuid7()) == 0
    upkeep()
    assert not Event.objects.exists()
