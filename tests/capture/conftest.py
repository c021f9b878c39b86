"""A visitor in the small shop."""

import pytest
from django.test import Client

from django_sessrec.models import Event

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def shop(settings, transactional_db):
    """The shop's settings, to be changed by a test."""
    settings.ROOT_URLCONF = "tests.capture.urls"
    settings.SESSREC = {
        "CATALOGUE": "tests.capture.shop.SmallCatalogue",
        "CONSENT": "tests.capture.shop.from_cookie",
        "TRACKED_VIEWS": dict.fromkeys(("product", "async_product", "gone", "broken", "account"), "pk"),
    }
    return settings


@pytest.fixture
def stranger(shop):
    """A visitor in a browser who has not answered the banner."""
    return Client(headers={"user-agent": FIREFOX})


@pytest.fixture
def visitor(stranger):
    """A visitor who allows a session."""
    stranger.cookies["consent"] = "session"
    return stranger


def captured(*fields):
    """The events in the order they happened, as tuples."""
    return list(Event.objects.order_by("event_id").values_list(*(fields or ("name", "item_id"))))
