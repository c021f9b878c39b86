import pytest

from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.schedules import LAST_RATE


def test_the_rate_warms_up_to_its_peak_and_falls_to_the_last() -> None:
    share = GRU4Rec().learning_rate_schedule(10_000)
    assert share(0) == pytest.approx(0.01)
    assert share(99) == share(100) == 1
    assert share(5_050) == pytest.approx((1 + LAST_RATE) / 2)
    assert share(10_000) == share(12_000) == pytest.approx(LAST_RATE)


def test_a_short_training_warms_up_for_a_tenth_of_it() -> None:
    share = GRU4Rec().learning_rate_schedule(20)
    assert [share(step) for step in range(3)] == [0.5, 1, 1]
    assert GRU4Rec().learning_rate_schedule(1)(0) == 1
