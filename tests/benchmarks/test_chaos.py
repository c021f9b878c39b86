"""What the rehearsal of faults says of slow pages."""

from uuid import UUID

import pytest
from django.db import connection

from benchmarks.chaos.sent import NEW, Sent
from benchmarks.chaos.tally import tally
from django_sessrec.capture import store
from django_sessrec.capture.event import make, to_payload
from django_sessrec.capture.failed_events import store_failed
from django_sessrec.ids import uuid7


def test_a_slow_page_is_told_by_what_it_may_have_waited_for():
    sent = Sent()
    with sent.fault(["postgres"]):
        began = sent.faults[0].since
    sent.took("GET /away/", began, began + 3, "page;dur=2990.0")
    later = sent.faults[0].until + 1
    sent.took("GET /new/", later, later + 3, f"page;dur=2990.0, {NEW}")
    sent.took("GET /slow/", later, later + 3, "page;dur=2990.0")
    sent.took("GET /quick/", later, later + 1, "page;dur=990.0")
    assert sent.slow_in_faults == 1
    assert sent.slow_in_new_processes == [f"GET /new/: 3.0 s, 1.0 s after postgres (page;dur=2990.0, {NEW})"]
    assert sent.slow_pages == ["GET /slow/: 3.0 s, 1.0 s after postgres (page;dur=2990.0)"]


@pytest.mark.django_db(transaction=True)
def test_a_row_that_failed_unanswered_hides_none_that_was_lost():
    visit, killed = str(uuid7()), str(uuid7())
    stored, failed, never_answered = (
        make("view_item", item_id, session_id=UUID(session_id))
        for item_id, session_id in (("1", visit), ("2", visit), ("8", killed))
    )
    wish, refused_wish = (make("add_to_wishlist", "3", session_id=UUID(visit)) for _ in range(2))
    store.write([stored, wish])
    store_failed(map(to_payload, (failed, never_answered, refused_wish)), "database", failed=True)
    sent = Sent()
    sent.answered.update((visit, "view_item", item_id) for item_id in ("1", "2", "7"))
    sent.unanswered[killed, "view_item", "8"] += 1
    sent.told.update([wish.event_id, refused_wish.event_id])
    found = tally(sent, connection.connection.info.dsn)
    assert (found.sent, found.stored, found.failed, found.lost) == (5, 2, 2, 1)
    assert found.stored_twice == 0
