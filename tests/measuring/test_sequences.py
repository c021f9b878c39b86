"""Statistics of experiments, against figures worked out elsewhere and against simulated shops."""

import random
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.measuring.comparison import Squares
from django_sessrec.measuring.proportions import Z_95
from django_sessrec.measuring.sequences import (
    ALARM,
    CONCENTRATION,
    MIN_SESSIONS,
    Ratio,
    one_sequence,
    sample_ratio,
    sequence,
    sessions_needed,
    width,
)


def ratio(sessions):
    """Over sessions, each (hits, trials)."""
    hits, trials = (sum(column) for column in zip(*sessions, strict=True))
    squares = Squares(
        sum(h * h for h, _ in sessions), sum(h * n for h, n in sessions), sum(n * n for _, n in sessions)
    )
    with_trials = sum(n > 0 for _, n in sessions)
    return Ratio(hits, trials, len(sessions), squares, with_trials)


@pytest.fixture(scope="module")
def arms():
    """Two arms of 200 sessions: (clicks, lists, orders) of each session."""
    draw = random.Random(7)
    both = []
    for _arm in range(2):
        both.append([])
        for _session in range(200):
            lists, taste = draw.choice([1, 1, 2, 3, 9]), draw.choice([0, 0.1, 0.5])
            clicks = sum(draw.random() < taste for _list in range(lists))
            both[-1].append((clicks, lists, 1 if draw.random() < 0.05 else 0))
    return both


def test_the_error_of_a_ratio_is_that_of_tea_tasting(arms):
    """tea-tasting 1.14.0, RatioOfMeans("clicks", "lists", use_t=False, equal_var=False)."""
    control, arm = (ratio([(clicks, lists) for clicks, lists, _ in each]) for each in arms)
    assert (control.value, arm.value) == pytest.approx((0.15944540727902948, 0.19452054794520549))
    error = (arm.unit_variance / 200 + control.unit_variance / 200) ** 0.5
    assert arm.value - control.value - Z_95 * error == pytest.approx(-0.027433773005161963)


def test_the_error_of_a_mean_is_that_of_tea_tasting(arms):
    """tea-tasting 1.14.0, Mean("orders", use_t=False, equal_var=False)."""
    control, arm = (Ratio.mean(sum(o), sum(o), 200) for o in ([order for *_, order in each] for each in arms))
    error = (arm.unit_variance / 200 + control.unit_variance / 200) ** 0.5
    assert arm.value - control.value + Z_95 * error == pytest.approx(0.0606854025329595)


@pytest.mark.parametrize("sessions", [(1278, 1350), (520, 480), (3, 40)])
def test_a_sample_ratio_is_the_planned_split_against_all_those_about_it(sessions):
    """The integral over the shares of the first arm, by the midpoints of a million of them."""
    share = (np.arange(10**6) + 0.5) / 10**6
    about = (CONCENTRATION / 2 - 1) * np.log(share * (1 - share))
    prior = np.exp(about - about.max())
    likelihood = sessions[0] * np.log(2 * share) + sessions[1] * np.log(2 * (1 - share))
    factor = (prior * np.exp(likelihood)).sum() / prior.sum()
    assert sample_ratio(sessions, (1, 1)) == pytest.approx(min(1, 1 / factor))


def test_a_sound_split_is_rarely_doubted_though_it_is_looked_at_after_every_session():
    first = np.random.default_rng(6).binomial(1, 0.25, (300, 1_500)).cumsum(axis=1)
    doubted = [
        any(sample_ratio((n, number - n), (1, 3)) < 0.05 for number, n in enumerate(each, 1))
        for each in first.tolist()
    ]
    assert 0 < np.mean(doubted) <= 0.05


def test_a_split_that_is_off_is_found():
    assert sample_ratio((10_400, 9_600), (1, 1)) < ALARM
    assert sample_ratio((50, 0), (1, 1)) < ALARM
    assert sample_ratio((5_000, 4_900, 210), (48, 48, 4)) < ALARM
    assert sample_ratio((4_800, 4_810, 390), (48, 48, 4)) == 1.0


def test_nothing_split_is_split_as_planned():
    assert sample_ratio((0, 0), (50, 50)) == 1.0
    assert sample_ratio((), ()) == 1.0
    assert sample_ratio((7, 0), (1, 0)) == 1.0, "a variant whose share is 0 gets nobody"


def test_an_arm_without_a_share_has_no_session():
    assert sample_ratio((100, 3), (1, 0)) == 0.0


def test_a_walk_without_drift_stays_inside_at_every_step():
    """The bounds are wide enough, and not much wider: 3 to 5 % of walks leave them within 4,000 steps."""
    walks = np.random.default_rng(3).standard_normal((2_000, 4_000)).cumsum(axis=1)
    steps = np.arange(MIN_SESSIONS, 4_001)
    bounds = np.array([width(step, 1_000) * step**0.5 for step in steps.tolist()])
    left = (np.abs(walks[:, MIN_SESSIONS - 1 :]) > bounds).any(axis=1).mean()
    assert 0.01 < left <= 0.05


def test_the_sequence_is_narrowest_near_the_sessions_that_it_is_tuned_for():
    at = {sessions: width(sessions, 10_000) for sessions in (100, 1_000, 10_000, 100_000, 1_000_000)}
    assert min(at, key=at.get) == 10_000
    assert width(10_000, 10_000) == width(77, 77)
    assert width(10_000, 10_000) > 1.5 * Z_95


def test_a_few_sessions_tell_nothing():
    few, many = (Ratio.mean(n // 2, n // 2, n) for n in (MIN_SESSIONS - 1, 1_000))
    assert sequence(few, many) is None
    assert sequence(many, few) is None
    assert one_sequence(few) is None


def test_an_arm_without_traffic_tells_nothing():
    nothing = Ratio.mean(0, 0, 0)
    assert nothing.value is None
    assert nothing.unit_variance == inf
    assert sequence(nothing, Ratio.mean(50, 50, 100)) is None
    assert sessions_needed(nothing, 0.1) is None


def test_arms_without_a_single_order_tell_nothing():
    none = Ratio.mean(0, 0, 1_000)
    assert sequence(none, none) is None
    assert one_sequence(none) is None
    assert sessions_needed(none, 0.1) is None


def test_an_arm_that_fails_completely_is_known_to():
    none, all_of_them = Ratio.mean(0, 0, 5_000), Ratio.mean(5_000, 5_000, 5_000)
    assert none.unit_variance == all_of_them.unit_variance == 0
    bounds = sequence(none, all_of_them)
    assert bounds.value == -1
    assert bounds.high < -0.99
    same = sequence(all_of_them, all_of_them)
    assert same.low < same.value == 0 < same.high


def test_a_few_sessions_without_an_order_are_not_sure_to_have_none():
    """Of 60 sessions in which every hundredth orders, more than half of the arms have no order."""
    none, control = Ratio.mean(0, 0, 60), Ratio.mean(1_000, 1_000, 100_000)
    bounds = sequence(none, control)
    assert bounds.low < 0 < bounds.high


def test_what_no_session_is_assigned_to_needs_no_number():
    assert sessions_needed(Ratio.mean(30, 30, 1_000), 0.1, (1, 0)) is None
    assert sessions_needed(Ratio.mean(30, 30, 1_000), 0) is None


def test_more_sessions_for_a_smaller_difference_and_for_an_uneven_split():
    control = Ratio.mean(30, 30, 1_000)
    even = sessions_needed(control, 0.2)
    assert sessions_needed(control, 0.1) == pytest.approx(4 * even, rel=1e-4)
    assert sessions_needed(control, 0.2, (0.9, 0.1)) == pytest.approx(
        even * (1 / 0.9 + 1 / 0.1) / 4, rel=1e-4
    )
    assert sessions_needed(control, 0.2, (50, 50)) == even


def test_a_smaller_alpha_needs_more():
    control = Ratio.mean(30, 30, 1_000)
    assert sessions_needed(control, 0.2, alpha=0.025) > sessions_needed(control, 0.2)
    assert width(100, 100, 0.025) > width(100, 100)


def test_one_sample_is_held_against_nought():
    preferred = Ratio.mean(200, 1_000, 2_000)
    bounds = one_sequence(preferred, 2_000)
    assert bounds.low > 0
    assert bounds.value == 0.1


sessions = st.lists(st.tuples(st.integers(0, 5), st.integers(5, 20)), min_size=1, max_size=30)


@given(sessions, sessions)
def test_days_add_up_to_the_whole(first, second):
    together, apart = ratio(first + second), ratio(first) + ratio(second)
    assert together == apart


@given(sessions)
def test_a_variance_is_never_negative(given_sessions):
    assert ratio(given_sessions).unit_variance >= 0
