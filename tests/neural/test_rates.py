import pytest

from django_sessrec.neural.rates import LAST_RATE, stairs, warm_up_then_cosine


def test_the_rate_warms_up_to_its_peak_and_falls_to_the_last() -> None:
    share = warm_up_then_cosine(10_000)
    assert share(0) == pytest.approx(0.01)
    assert share(99) == share(100) == 1
    assert share(5_050) == pytest.approx((1 + LAST_RATE) / 2)
    assert share(10_000) == share(12_000) == pytest.approx(LAST_RATE)


def test_a_short_training_warms_up_for_a_tenth_of_it() -> None:
    assert [warm_up_then_cosine(20)(step) for step in range(3)] == [0.5, 1, 1]
    assert warm_up_then_cosine(1)(0) == 1


def test_stairs_fall_after_each_so_many_steps() -> None:
    assert [stairs(2, 0.1)(step) for step in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
