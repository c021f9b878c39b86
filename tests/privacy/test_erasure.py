"""Erasure through the room's own door."""

from threading import Thread

import pytest
from django.db import connection, transaction

from django_sessrec.capture import store
from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.models import Event
from django_sessrec.privacy.erasure import erase


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
