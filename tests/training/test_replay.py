"""A past day against two runs: what differs, known by construction."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.measuring.days import day_of, first_moment, today
from django_sessrec.training import replay as module
from django_sessrec.training.comparison import NotComparable
from django_sessrec.training.pipeline import train
from django_sessrec.training.replay import replay
from tests.support.visits import store_visits, synthetic_visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def visits(sessrec):
    """The synthetic shop's sessions of the days before yesterday."""
    stored = list(synthetic_visits())
    store_visits(stored)
    return stored


@pytest.fixture
def runs(visits):
    return [train(model, trigger="schedule") for model in ("neighbours", "popularity")]


@pytest.fixture
def day(visits):
    return day_of(visits[-1][1]) - timedelta(days=2)


def test_the_sessions_of_the_day_are_replayed_and_no_others(runs, visits, day):
    made = replay(*runs, day)
    begin, end = first_moment(day), first_moment(day + timedelta(days=1))
    within = {tuple(items) for _id, at, items in visits if begin - timedelta(hours=1) <= at < end}
    assert made.stored == made.replayed > 20
    assert all(tuple(each.clicked) in within for each in made.examples)
    assert (made.since, made.until) == (begin, end - timedelta.resolution)


def test_examples_are_sessions_whose_lists_start_differently(runs, day):
    made = replay(*runs, day)
    assert 0 < made.starts_differ <= made.differ <= made.replayed
    assert 0 <= made.shared < module.SHOWN * made.replayed
    assert len(made.examples) == module.EXAMPLES
    for each in made.examples:
        assert each.one[:1] != each.other[:1]
        assert not set(each.clicked) & {*each.one, *each.other}


def test_a_run_differs_from_itself_in_nothing(runs, day):
    made = replay(runs[0], runs[0], day)
    assert (made.differ, made.starts_differ, made.examples) == (0, 0, [])
    assert made.shared > module.SHOWN * made.replayed / 2
    assert made.reached[0] == made.reached[1] > 0


def test_a_busy_day_is_replayed_in_part_and_says_so(runs, day, monkeypatch):
    monkeypatch.setattr(module, "MOST_SESSIONS", 9)
    assert replay(*runs, day).replayed == 9
    assert replay(*runs, day, seconds=0).replayed == 1
    monkeypatch.setattr(module, "MOST_CLICKS", 20)
    assert replay(*runs, day).since > first_moment(day)


@pytest.mark.parametrize("days", [-40, 1])
def test_a_day_without_a_session_is_told(runs, days):
    with pytest.raises(NotComparable, match="No session of this day is stored"):
        replay(*runs, today() + timedelta(days=days))


def test_the_hours_of_a_day_are_the_shops(runs, day, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    assert replay(*runs, day).since == first_moment(day) != datetime(day.year, day.month, day.day, tzinfo=UTC)
