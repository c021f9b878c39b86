"""The examination of the sums: made by the schedule, late, never, or not for every day."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from django_sessrec.figure_models import RolledUpDay
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import day_of
from django_sessrec.measuring.rollups import roll_up, roll_up_due
from django_sessrec.operations.figures import figures
from tests.support.history import show

pytestmark = pytest.mark.django_db

NOON = (datetime.now(UTC) - timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def shown():
    show(uuid7(NOON), NOON, ["1"])


def found():
    (finding,) = figures()
    return finding


def test_without_rows_nothing_is_late():
    assert found().code == "figures.none"


def test_sums_that_were_never_made(shown):
    finding = found()
    assert (finding.code, finding.level) == ("figures.stale", "warn")
    assert "never" in finding.message
    assert "sessrec_rollup" in finding.remedy


def test_sums_that_the_schedule_makes(shown):
    roll_up_due()
    assert found().code == "figures.fresh"


def test_sums_that_the_schedule_has_stopped_to_make(shown):
    roll_up_due()
    RolledUpDay.objects.update(rolled_up_at=timezone.now() - timedelta(hours=3))
    finding = found()
    assert finding.code == "figures.stale"
    assert "last made 3 hours ago" in finding.message
    assert "beat" in finding.remedy


def test_sums_of_a_clock_that_ran_ahead_are_no_proof(shown):
    roll_up_due()
    RolledUpDay.objects.update(rolled_up_at=timezone.now() + timedelta(days=9))
    assert found().code == "figures.stale"


def test_a_day_that_is_never_made(shown):
    roll_up(day_of(timezone.now()))
    finding = found()
    assert finding.code == "figures.stale"
    assert "no sums" in finding.message
