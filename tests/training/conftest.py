"""A database with visits in it, and a folder for artifacts."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle

import pytest
from django.conf import settings as django_settings

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.rows import EventRow
from django_sessrec.ids import uuid7
from django_sessrec.recsys.synthetic import synthetic_shop

PAUSES = (8, 45, 15, 120, 20)  # seconds


@pytest.fixture
def sessrec(settings, tmp_path):
    """SESSREC of the test project with a folder of its own; change it by item assignment."""
    settings.SESSREC = {
        **django_settings.SESSREC,
        "ARTIFACTS": tmp_path / "artifacts",
        "MODELS": {
            "neighbours": {"ESTIMATOR": "django_sessrec.recsys.neighbours.Neighbours"},
            "popularity": {"ESTIMATOR": "django_sessrec.recsys.popularity.Popularity"},
        },
    }
    return settings.SESSREC


@pytest.fixture
def visits(transactional_db):
    """600 sessions of the last days in Postgres."""
    store_visits(synthetic_visits())


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
