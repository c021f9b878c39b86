"""request.sessrec.view(item): a view function that TRACKED_VIEWS can't name tells which item it shows."""

import pytest

from django_sessrec.capture.rec_id import sign
from django_sessrec.ids import uuid7
from django_sessrec.models import FailedEvent
from tests.support.capture import captured
from tests.support.visits import visit_in


def a_click(client):
    """The query of a recommended product's link that this visitor was shown, and its impression."""
    session_id = visit_in(client.get("/product/1/").cookies["sessrec"].value)
    impression_id = uuid7()
    return f"?sessrec={sign(impression_id, session_id)}.3", impression_id


def test_a_page_that_names_its_item_is_viewed(visitor):
    visitor.get("/named/tea/")
    assert captured() == [("view_item", "tea")]


def test_the_item_may_be_the_shops_own_object(visitor):
    visitor.get("/named/tea/?object")
    assert captured() == [("view_item", "tea")]


def test_the_click_that_led_here_counts_once(visitor):
    query, impression_id = a_click(visitor)
    visitor.get(f"/named/tea/{query}")
    assert captured("name", "item_id", "impression", "position")[1:] == [
        ("select_item", "tea", impression_id, 3),
        ("view_item", "tea", None, None),
    ]


def test_a_view_that_is_recorded_as_an_event_counts_its_click_too(visitor):
    query, impression_id = a_click(visitor)
    visitor.get(f"/recorded/tea/{query}")
    assert captured("name", "item_id", "impression")[1:] == [
        ("select_item", "tea", impression_id),
        ("view_item", "tea", None),
    ]


def test_named_twice_is_viewed_once_and_the_last_one_counts(visitor):
    visitor.get("/named/tea/?again=cup")
    assert captured() == [("view_item", "cup")]


def test_a_tracked_view_that_names_its_item_is_viewed_once(visitor, shop):
    shop.SESSREC |= {"TRACKED_VIEWS": {"named": "pk"}}
    visitor.get("/named/tea/")
    assert captured() == [("view_item", "tea")]


@pytest.mark.parametrize(("method", "seen"), [("get", 1), ("post", 1), ("head", 0), ("options", 0)])
def test_a_named_item_is_seen_wherever_a_response_is_looked_at(visitor, method, seen):
    getattr(visitor, method)("/named/tea/")
    assert len(captured()) == seen


def test_a_page_that_fails_was_not_seen(visitor):
    visitor.get("/named/tea/?status=500")
    visitor.get("/named/tea/?status=404")
    assert captured() == []


def test_what_is_no_item_is_kept_with_its_reason_and_the_page_goes_on(visitor):
    assert visitor.get("/named/tea/?nothing").status_code == 200
    assert captured() == []
    assert FailedEvent.objects.get().code == "item_id"


def test_without_consent_nothing_is_kept_of_it(stranger):
    assert not stranger.get("/named/tea/").cookies
    assert captured() == []
