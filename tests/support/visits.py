"""Visitors' browsers, what their cookie says, and past visits stored in one call."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle
from uuid import UUID

from django.http import HttpRequest
from django.test import Client, RequestFactory

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.rows import EventRow
from django_sessrec.capture.tracker import Tracker
from django_sessrec.ids import uuid7
from django_sessrec.recsys.synthetic import synthetic_shop

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PAUSES = (8, 45, 15, 120, 20)  # seconds


def visit_in(cookie: str) -> UUID:
    """The visit's id; its signature is not checked."""
    return UUID(cookie.partition(".")[0])


def session_of(client: Client) -> UUID:
    return visit_in(client.cookies["sessrec"].value)


def request_of(consent: str = "yes", **headers: str) -> HttpRequest:
    """A person's request as a view gets it, with the banner's answer."""
    request = RequestFactory().get("/", headers={"user-agent": FIREFOX, **headers})
    request.COOKIES["consent"] = consent
    request.sessrec = Tracker(request)
    return request


def click_row(session_id, item_id, at, *, name="view_item", bot=False):
    """A row for capture.bulk_copy.copy_events."""
    return EventRow(uuid7(at), at, session_id, name, item_id, source="server", bot=bot)


def store_visits(visits, **kwargs):
    """Visits are (session id, first click's time, item ids); people's clicks, unevenly apart."""
    return copy_events(
        click_row(session_id, item_id, at + timedelta(seconds=seconds), **kwargs)
        for session_id, at, item_ids in visits
        for item_id, seconds in zip(item_ids, accumulate(cycle(PAUSES), initial=0), strict=False)
    )


def synthetic_visits(*, days_ago=1, **options):
    """The synthetic shop's sessions as visits of the last days."""
    log = synthetic_shop(**{"items": 80, "groups": 8, "sessions": 600, "days": 8} | options).log
    shift = datetime.now(UTC) - timedelta(days=days_ago) - datetime.fromtimestamp(log.times.max(), UTC)
    for session in range(len(log)):
        at = datetime.fromtimestamp(log.started[session], UTC) + shift
        yield uuid7(at), at, log.index.item_ids(log[session])
