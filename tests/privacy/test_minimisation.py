"""What a visitor's browser says about her is in no table of the app."""

import pytest
from django.test import Client

from django_sessrec.ids import uuid7
from django_sessrec.models import FailedEvent
from tests.support.tables import rows_of_the_app

MARKERS = ["203.0.113.77", "anna@example.com", "utm-marker", "agent-marker", "referrer-marker", "path-marker"]


def event_with_markers(name):
    """A browser's event with text of its sender's own wherever a page may put some."""
    return {
        "event_id": str(uuid7()),
        "event": name,
        "ts": "utm-marker",
        "item_list_id": "/search?q=anna@example.com",
        "url": "/path-marker",
        "items": [{"item_id": "1", "item_list_name": "referrer-marker", "price": "2.00"}],
    }


@pytest.mark.urls("tests.capture.urls")
@pytest.mark.django_db(transaction=True)
def test_planted_markers_are_found_nowhere(settings, django_user_model):
    settings.SESSREC = {
        "CATALOGUE": "tests.capture.shop.SmallCatalogue",
        "CONSENT": "tests.capture.shop.from_cookie",
        "TRACKED_VIEWS": {"product": "pk"},
    }
    visitor = Client(
        REMOTE_ADDR="203.0.113.77",
        headers={
            "user-agent": "Mozilla/5.0 agent-marker",
            "referer": "https://example.com/referrer-marker",
            "x-forwarded-for": "203.0.113.77",
        },
    )
    visitor.cookies["consent"] = "session"
    visitor.force_login(django_user_model.objects.create_user("anna", "anna@example.com"))
    query = "email=anna@example.com&utm_source=utm-marker&sessrec=path-marker.1"
    visitor.get(f"/product/1/?{query}")
    visitor.post(f"/basket/?{query}", {"item": "1", "email": "anna@example.com"})
    visitor.post(f"/basket/?{query}", {"item": "", "email": "anna@example.com"})
    visitor.post(f"/order/?{query}", {"email": "anna@example.com"})
    visitor.post(
        "/sessrec/events/",
        {"sent_at": "utm-marker", "events": [event_with_markers("warp"), event_with_markers("view_item")]},
        content_type="application/json",
        headers={"sec-fetch-site": "same-origin"},
    )
    assert FailedEvent.objects.filter(code="name").exists()
    visitor.get("/product/2/", headers={"user-agent": "agent-marker bot"})
    rows = list(rows_of_the_app())
    assert len(rows) >= 6  # views, basket, order and a failed event: there is something to search
    assert not [row for row in rows for marker in MARKERS if marker in row]
