"""What a session did so far: in order, with names and quantities, out of Postgres and the stream."""

from datetime import timedelta

import pytest

from django_sessrec.capture.event import make
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.session_events import session_events
from django_sessrec.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)

DONE = [("view_item", "1", 1), ("add_to_cart", "1", 3), ("remove_from_cart", "1", 2), ("purchase", "a b", 1)]


@pytest.fixture(params=["postgres", "stream"])
def backend(request):
    if request.param == "stream":
        request.getfixturevalue("stream_server")


def done(session_id):
    return [make(name, item, session_id=session_id, quantity=n) for name, item, n in DONE]


def test_events_come_oldest_first_with_their_quantities(backend):
    session_id = uuid7()
    outbox.deliver(done(session_id))
    found = session_events(session_id)
    assert [(each.name, each.item_id, each.quantity) for each in found] == DONE
    assert sorted(each.at for each in found) == [each.at for each in found]
    assert session_events(session_id, limit=1) == found[-1:]


def test_events_after_the_moment_asked_for_are_left_out(backend):
    session_id = uuid7()
    outbox.deliver(done(session_id))
    *earlier, last = session_events(session_id)
    assert session_events(session_id, until=last.at) == [*earlier, last]
    assert session_events(session_id, until=last.at - timedelta(minutes=1)) == []


def test_searches_lists_and_bots_are_left_out(backend):
    session_id = uuid7()
    outbox.deliver(
        [
            make("view_category", session_id=session_id),
            make("view_item", "2", session_id=session_id, bot=True),
        ]
    )
    assert session_events(session_id) == []
