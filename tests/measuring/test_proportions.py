"""Intervals against the figures of the literature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.measuring.proportions import Rate


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(hits, trials, low, high):
    assert Rate(hits, trials).interval == pytest.approx((low, high), abs=5e-5)


def test_nothing_tried_nothing_known():
    assert Rate(0, 0).value is None
    assert Rate(0, 0).interval == (0.0, 1.0)


@given(st.integers(1, 10**9).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_share_lies_in_its_interval(counts):
    rate = Rate(*counts)
    low, high = rate.interval
    assert 0 <= low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= high <= 1
