"""Erasure through the room's own door."""

import pytest

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
