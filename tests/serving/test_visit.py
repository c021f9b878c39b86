"""A stored session as the page of any moment saw it, without a request."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_sessrec.capture import cookie
from django_sessrec.events import import_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event
from django_sessrec.recommendations import choose, placement_for, stored_visit, visit_of
from tests.support.capture import event
from tests.support.history import happen
from tests.support.visits import request_of, store_visits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process")]


@pytest.fixture
def session() -> tuple[UUID, datetime]:
    """Product 1 viewed at once, put into the basket a minute later, 2 viewed after that, and 1 bought."""
    at = datetime.now(UTC) - timedelta(hours=1)
    session_id = uuid7(at)
    for minutes, name, item_id in [
        (0, "view_item", "1"),
        (1, "add_to_cart", "1"),
        (2, "view_item", "2"),
        (3, "purchase", "1"),
    ]:
        happen(session_id, at + timedelta(minutes=minutes), name, item_id)
    return session_id, at


def test_a_visit_is_what_its_next_page_would_see(session):
    session_id, _at = session
    visit = stored_visit(session_id)
    assert (visit.items, visit.current, visit.session_id) == (("1", "1", "2"), "2", session_id)
    assert (visit.basket, visit.purchases, visit.consent) == ((), ("1",), "session")


@pytest.mark.parametrize(
    ("minutes", "items", "current", "basket"),
    [
        (-1, (), "", ()),
        (0.5, ("1",), "1", ()),
        (1.5, ("1", "1"), "1", ("1",)),
        (2.5, ("1", "1", "2"), "2", ("1",)),
    ],
)
def test_a_visit_of_an_earlier_moment_knows_nothing_of_later_ones(session, minutes, items, current, basket):
    session_id, at = session
    moment = at + timedelta(minutes=minutes)
    visit = stored_visit(session_id, at=moment)
    assert (visit.items, visit.current, visit.basket, visit.purchases) == (items, current, basket, ())
    assert visit.at == moment


@pytest.mark.parametrize("session_id", ["till-7", uuid4()])
def test_an_imported_session_is_a_visit_whatever_its_id(session_id):
    at = datetime.now(UTC) - timedelta(days=3)
    import_events(
        {"session_id": session_id, "name": "view_item", "item_id": item_id, "at": at + timedelta(minutes=n)}
        for n, item_id in enumerate(["1", "2"])
    )
    stored = Event.objects.values_list("session_id", flat=True).first()
    assert stored_visit(stored).items == ("1", "2")
    assert stored_visit(stored, at=at).items == ("1",)


def test_a_session_that_is_not_stored_is_an_empty_visit():
    assert stored_visit(uuid7()).clicks == []
    assert stored_visit(uuid4()).clicks == []


def test_a_page_reads_the_session_that_it_brings_and_none_that_begins_with_it(session):
    session_id, _at = session
    begun, brought = request_of(), request_of()
    brought.COOKIES["sessrec"] = cookie.text_of(session_id)
    begun.sessrec.pending.append(event("3", name="add_to_cart", session_id=begun.sessrec.session_id))
    with CaptureQueriesContext(connection) as statements:
        first_page = visit_of(begun, item="3")
        assert not statements.captured_queries
        later_page = visit_of(brought, item="3")
    assert sum("sessrec_session_events" in each["sql"] for each in statements.captured_queries) == 1
    assert (first_page.items, first_page.basket) == (("3",), ("3",))
    assert (later_page.items, later_page.purchases) == (("1", "1", "2"), ("1",))


def test_a_client_that_keeps_the_session_is_not_shown_what_is_in_its_basket_or_bought(session, settings):
    session_id, at = session
    happen(session_id, at + timedelta(minutes=4), "add_to_cart", "3")
    request = request_of()
    request.COOKIES["sessrec"] = cookie.text_of(session_id)
    visit = visit_of(request, items=["7", "2"], item="9")
    assert (visit.items, visit.current, visit.basket, visit.purchases) == (["7", "2"], "9", ("3",), ("1",))
    assert visit.since_purchase == ("3", "7"), "2 was viewed before the order"
    happen(session_id, at + timedelta(minutes=5), "view_item", "2")
    assert visit_of(request, items=["7", "2"]).since_purchase == ("3", "2", "7"), "and now after it as well"


def test_what_was_put_in_before_the_session_and_taken_out_owes_nothing():
    at = datetime.now(UTC) - timedelta(hours=1)
    session_id = uuid7(at)
    for minute, name in enumerate(["remove_from_cart", "add_to_cart"]):
        happen(session_id, at + timedelta(minutes=minute), name, "1")
    assert stored_visit(session_id).basket == ("1",)


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        stored_visit(uuid7(), at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_its_list_is_made_without_a_request_under_any_placement(products, promote, trails, placement):
    promote(trails)
    at = datetime.now(UTC) - timedelta(hours=1)
    session_id = uuid7(at)
    store_visits([(session_id, at, trails[0][:3])])
    placement(HIDE_VIEWED=False)
    early, late = stored_visit(session_id, at=at), stored_visit(session_id)
    lists = [choose(visit, placement_for("product_page", visit)) for visit in (early, late)]
    assert [each.model for each in lists[0].items[:1]] == ["neighbours"]
    assert [each.item_id for each in lists[0].items] != [each.item_id for each in lists[1].items]
