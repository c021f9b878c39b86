"""The experiments' benchmark on a small scale: its figures hold, and would not hold for wrong statistics."""

import pytest

from benchmarks.experiments.__main__ import aa_tests, power, sample_ratios
from django_sessrec.measuring import sequences
from django_sessrec.measuring.proportions import Z_95
from tests.support.benchmarks import measured


def test_what_the_statistics_promise_is_measured(tmp_path):
    figures = measured("experiments", "--tests", "20", "--seeds", "1", out=tmp_path / "figures.json")
    assert figures["aa_false_positive"] <= 0.15
    assert figures["power"] >= 0.5
    assert figures["srm_found"] >= 0.9
    assert figures["coverage"] >= 0.8
    assert figures["interleaving_speedup"] > 1


@pytest.fixture
def ordinary_intervals(monkeypatch):
    """Intervals as wide as those that are meant for one look."""
    monkeypatch.setattr(sequences, "width", lambda *_: Z_95)


def test_ordinary_intervals_would_fail(ordinary_intervals):
    assert aa_tests(60)["aa_false_positive"] > 0.1


def test_a_calculator_for_one_look_would_fail(monkeypatch):
    monkeypatch.setattr(sequences, "reach", lambda *_: Z_95 + 0.84)
    assert power(40)["power"] < 0.7


def test_a_test_that_never_alarms_would_fail(monkeypatch):
    monkeypatch.setattr("benchmarks.experiments.__main__.ALARM", 0.0)
    assert sample_ratios(20)["srm_found"] < 0.5
