"""What a visitor's browser says about her is in no table of the app."""

import pytest
from django.test import Client

from tests.support.tables import rows_of_the_app

MARKERS = ["203.0.113.77", "anna@example.com", "utm-marker", "agent-marker", "referrer-marker", "path-marker"]


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
    visitor.get("/product/2/", headers={"user-agent": "agent-marker bot"})
    rows = list(rows_of_the_app())
    assert len(rows) >= 6  # views, basket, order and a failed event: there is something to search
    assert not [row for row in rows for marker in MARKERS if marker in row]
