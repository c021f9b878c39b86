"""Two runs on the same clicks: a right answer known by construction, and what can't be compared."""

import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from django_sessrec.ids import uuid7
from django_sessrec.models import TrainingRun
from django_sessrec.training.comparison import NotComparable, _pair, compare
from django_sessrec.training.pipeline import train
from tests.support.visits import store_visits, synthetic_visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(sessrec):
    """Neighbours and popularity, trained on the synthetic shop, which neighbours know far better."""
    store_visits(synthetic_visits())
    return [train(model, trigger="schedule") for model in ("neighbours", "popularity")]


def test_the_better_model_finds_more_beyond_chance(runs):
    found = compare(*runs)
    assert found.overall.one > found.overall.other
    assert found.new.difference > found.new.margin > 0
    assert found.overall.cases > found.new.cases > 0
    assert sum(pair.cases for pair in found.by_length.values()) == found.new.cases
    assert sum(pair.cases for pair in found.by_intents.values()) == found.new.cases


def test_the_figures_of_the_other_way_round_are_the_same(runs):
    forth, back = compare(*runs), compare(*reversed(runs))
    assert (forth.new.one, forth.new.other) == (back.new.other, back.new.one)
    assert forth.new.difference == -back.new.difference


def test_only_clicks_that_both_have_not_seen_are_predicted(runs):
    found = compare(*runs)
    assert found.since.timestamp() == max(run.counts["tested_from"] for run in runs)
    later = train("neighbours", trigger="schedule")
    moved = datetime.now(UTC) - timedelta(days=1, minutes=5)
    TrainingRun.objects.filter(pk=later.pk).update(
        counts={**later.counts, "tested_from": int(moved.timestamp())}
    )
    later.refresh_from_db()
    with pytest.raises(NotComparable, match="are new to both; 30 are needed"):
        compare(later, runs[1])


def test_a_model_that_is_no_longer_on_disk_is_named(runs):
    shutil.rmtree(runs[0].hold_out_folder)
    with pytest.raises(NotComparable, match=r"The artifact of neighbours #\d+ can't be opened"):
        compare(*runs)


def test_a_run_that_read_nothing_is_told(runs):
    empty = TrainingRun.objects.create(model="neighbours", state="published", trigger="x")
    with pytest.raises(NotComparable, match="has read no clicks"):
        compare(empty, runs[1])


def test_clicks_of_one_session_count_as_one_when_they_are_alike():
    """Ten sessions of ten equal clicks tell as much as ten clicks, not as a hundred."""
    hits = np.array([True] * 5 + [False] * 5)
    misses = np.zeros(10, np.bool_)
    alone = _pair(hits, misses, np.arange(10))
    repeated = _pair(np.repeat(hits, 10), np.repeat(misses, 10), np.repeat(np.arange(10), 10))
    assert repeated.margin == pytest.approx(alone.margin)
    assert repeated.difference == alone.difference == 0.5


def test_the_interval_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = 0
    for _number in range(400):
        taste = draw.normal(0, 0.15, 60).repeat(5)  # clicks of a session are alike
        one, other = (draw.random(300) < 0.5 + truth + taste for truth in (0.1, 0.0))
        pair = _pair(one, other, np.repeat(np.arange(60), 5))
        covered += abs(pair.difference - 0.1) <= pair.margin
    assert 0.92 <= covered / 400 <= 0.98


def test_visits_of_today_are_compared_at_once(runs):
    now = datetime.now(UTC)
    before = compare(*runs).overall.cases
    store_visits((uuid7(at), at, ["1", "2", "3"]) for at in [now - timedelta(minutes=9)])
    assert compare(*runs).overall.cases == before + 2
