"""The geometry of line charts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.admin.charts import Point, line_chart, round_ticks, stacked_bars

values = st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 0.07, [0, 0.02, 0.04, 0.06, 0.08]),
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (3.2, 7.3, [2, 4, 6, 8]),
        (0, 0, [0, 0.25]),
        (5, 5, [4, 6]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@given(values, st.floats(0, 1e9))
def test_ticks_hold_the_values_between_them(low, span):
    high = low + span
    ticks = round_ticks(low, high)
    slack = 2e-9 * max(1, abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 7
    assert all(one < next_ for one, next_ in pairwise(ticks))


@given(st.lists(values, min_size=1, max_size=20))
def test_everything_is_drawn_inside(heights):
    points = [Point(x, y, "", y - 1, y + 1) for x, y in enumerate(heights)]
    chart = line_chart("t", {"a": points}, ends=((0, "first"), (20, "last")), from_zero=False)
    for dot in chart.lines[0].dots:
        assert 0 <= dot.x <= 100
        assert 0 <= dot.y <= 100


def test_the_scale_is_the_periods_not_the_datas():
    chart = line_chart("t", {"a": [Point(5, 0.5, "")]}, ends=((0, "first"), (10, "last")))
    assert [(dot.x, dot.y) for dot in chart.lines[0].dots] == [(50, 16.67)]
    assert chart.ends == ("first", "last")


def test_no_points_no_chart():
    assert line_chart("t", {"a": []}, ends=((0, ""), (1, ""))) is None


columns = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9)), min_size=1, max_size=30)


@given(columns)
def test_the_parts_of_each_bar_fill_it_and_stand_on_each_other(columns):
    layers = stacked_bars(columns, lambda place, name, share: f"{place} {name} {share}")
    by_place = {}
    for layer in layers:
        for bar in layer.bars:
            by_place.setdefault(bar.x, []).append(bar)
    assert len(by_place) == sum(any(column.values()) for column in columns)
    for bars in by_place.values():
        assert sum(bar.height for bar in bars) == pytest.approx(100, abs=0.1)
        assert bars[0].y + bars[0].height == pytest.approx(100, abs=0.1)
        for below, above in pairwise(bars):
            assert above.y + above.height == pytest.approx(below.y, abs=0.1)


def test_the_largest_layer_comes_first_with_its_share_of_all():
    layers = stacked_bars([{"a": 1, "b": 2}, {}, {"b": 1}], lambda place, name, _share: f"{name}{place}")
    assert [(each.name, each.number, each.share) for each in layers] == [("b", 1, 0.75), ("a", 2, 0.25)]
    assert [bar.label for bar in layers[0].bars] == ["b0", "b2"]
