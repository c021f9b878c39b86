"""Intervals of rates whose trials come in sessions, against figures worked out elsewhere."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.measuring.comparison import Squares, difference, effective_trials, margin_of_sum
from django_sessrec.measuring.proportions import Rate


def rate_of(sessions):
    """The rate over sessions, each (hits, trials)."""
    hits, trials = (sum(column) for column in zip(*sessions, strict=True))
    squares = Squares(
        sum(h * h for h, _ in sessions), sum(h * n for h, n in sessions), sum(n * n for _, n in sessions)
    )
    return Rate(hits, trials, effective_trials(hits, trials, len(sessions), squares))


def test_newcombes_difference_of_two_rates():
    """Newcombe, Statistics in Medicine 17 (1998), table II, method 10: contrasts (a) and (d)."""
    a = difference(Rate(56, 70), Rate(48, 80))
    assert (a.value, a.low, a.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    d = difference(Rate(5, 56), Rate(0, 29))
    assert (d.low, d.high) == pytest.approx((-0.0381, 0.1926), abs=5e-5)


def test_no_trial_no_difference():
    assert difference(Rate(0, 0), Rate(1, 2)) is None
    assert difference(Rate(1, 2), Rate(0, 0)) is None


def test_one_list_a_session_is_nearly_the_plain_interval():
    rate = rate_of([(1, 1)] * 30 + [(0, 1)] * 70)
    assert rate.effective == pytest.approx(99)


def test_without_a_hit_as_much_is_known_as_there_are_sessions():
    assert rate_of([(0, 5)] * 20).effective == 20
    assert rate_of([(5, 5)] * 20).effective == 20
    assert rate_of([(3, 5)]).effective == 1
    assert rate_of([(0, 0), (0, 0)]).effective == 0


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Sessions of one to nine lists with a taste each; intervals of independent lists cover 78 % here."""
    draw = random.Random(5)
    truth, covered, plain = 0.2, 0, 0
    for _study in range(400):
        sessions = []
        for _session in range(300):
            lists = draw.choice([1, 1, 2, 3, 9])
            taste = draw.choice([0.0, 0.1, 0.5])
            sessions.append((sum(draw.random() < taste for _list in range(lists)), lists))
        rate = rate_of(sessions)
        low, high = rate.interval
        covered += low <= truth <= high
        plain += Rate(rate.hits, rate.trials).interval[0] <= truth <= Rate(rate.hits, rate.trials).interval[1]
    assert covered / 400 > 0.93
    assert plain / 400 < 0.85


@given(st.lists(st.integers(1, 50).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1))
def test_no_more_is_known_than_all_trials_tell(sessions):
    rate = rate_of(sessions)
    assert 0 < rate.effective <= rate.trials
    low, high = rate.interval
    assert low <= rate.value + 1e-9
    assert rate.value - 1e-9 <= high


def test_one_session_says_nothing_of_a_sum():
    assert margin_of_sum(10.0, 100.0, 1) is None
    assert margin_of_sum(20.0, 200.0, 2) == 0
