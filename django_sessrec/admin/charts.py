"""Geometry of line charts: the template draws them as SVG in a square of 100 by 100, CSS stretches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from django_sessrec.admin.formatting import NONE

GRID_LINES = 4
TINY = 1e-9
NO_FLAGS: Mapping[int, str] = {}
GAP = 0.2  # share of a column that stays free beside its bar


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a line, and its label, which a pointer shows."""

    x: float
    y: float
    label: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn line: `path` joins its dots, `band` is the area between low and high."""

    name: str
    dots: Sequence[Dot]
    path: str
    band: str


@dataclass(frozen=True, slots=True)
class Table:
    """A chart's figures in words: the heading of its x, the names of its lines, and a row for each x."""

    first: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template needs; y runs downwards, as in SVG."""

    title: str
    lines: Sequence[Line]
    grid: Sequence[tuple[float, str]]  # (y, label), the highest value first
    ends: tuple[str, str]  # labels of the first and the last x
    flags: Sequence[tuple[float, str]] = ()  # (x, label)
    table: Table | None = None


def table_of(first: str, series: Mapping[str, Mapping[float, str]], x_label: Callable[[float], str]) -> Table:
    """The figures of lines or bars, name -> x -> figure, the last x first."""
    places = sorted({x for line in series.values() for x in line}, reverse=True)
    rows = [(x_label(x), [line.get(x, NONE) for line in series.values()]) for x in places]
    return Table(first, list(series), rows)


def line_chart(
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    ends: tuple[tuple[float, str], tuple[float, str]],
    label: Callable[[float], str] = "{:g}".format,
    from_zero: bool = True,
    flags: Mapping[int, str] = NO_FLAGS,
    table: Table | None = None,
) -> Chart | None:
    """Lines over a common scale, or None where there is nothing to draw.

    ends: the first and the last x of the scale, each with its label; points lie between them
    flags: x -> what happened there
    """
    points = [point for line in series.values() for point in line]
    if not points:
        return None
    (left, first_label), (right, last_label) = ends
    # Bands of a day with one list reach up to 1: they may be cut off, the lines may not.
    bottom = 0.0 if from_zero else min(point.y for point in points)
    ticks = round_ticks(bottom, max(point.y for point in points))
    bottom, top = ticks[0], ticks[-1]

    def x_of(x: float) -> float:
        return 50.0 if right == left else round(100 * (x - left) / (right - left), 2)

    def y_of(y: float) -> float:
        return round(100 * (top - min(max(y, bottom), top)) / (top - bottom), 2)

    def drawn(name: str, points: Sequence[Point]) -> Line:
        dots = [Dot(x_of(point.x), y_of(point.y), point.label) for point in points]
        edges = [
            (x_of(point.x), y_of(point.low), y_of(point.high))
            for point in points
            if point.low is not None and point.high is not None
        ]
        return Line(name, dots, "M" + " L".join(f"{dot.x},{dot.y}" for dot in dots), _band(edges))

    grid = [(y_of(tick), label(tick)) for tick in reversed(ticks)]
    lines = [drawn(name, points) for name, points in series.items() if points]
    marked = [(x_of(x), words) for x, words in flags.items()]
    return Chart(title, lines, grid, (first_label, last_label), marked, table)


def sparkline(values: Sequence[float]) -> str:
    """Points of a polyline in a square of 100 by 30; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(0.0, *values), max(values)
    span = (high - low) or 1.0
    width = len(values) - 1
    return " ".join(
        f"{100 * n / width:.2f},{28 - 26 * (value - low) / span:.2f}" for n, value in enumerate(values)
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its interval across a scale of 0 to 100, and where zero stands there."""

    low: float
    value: float
    high: float
    zero: float


def intervals(values: Sequence[tuple[float, float]]) -> list[Interval]:
    """Values, each with half its interval, on one scale with zero in the middle."""
    widest = max((abs(value) + margin for value, margin in values), default=0.0) or 1.0

    def x_of(value: float) -> float:
        return round(50 + 48 * value / widest, 2)

    return [
        Interval(x_of(value - margin), x_of(value), x_of(value + margin), x_of(0.0))
        for value, margin in values
    ]


def round_ticks(low: float, high: float) -> list[float]:
    """Values at even steps of 1, 2, 2.5 or 5 times a power of ten that hold low and high between them."""
    span = high - low
    if span <= max(TINY, TINY * abs(high)):  # one value: floats can't be told apart below
        span = abs(high) if abs(high) > TINY else 1.0
    power = 10.0 ** floor(log10(span / GRID_LINES))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor * GRID_LINES >= span)
    first, last = floor(low / step), ceil(high / step)
    return [step * tick for tick in range(first, max(last, first + 1) + 1)]


def _band(edges: Sequence[tuple[float, float, float]]) -> str:
    there = [f"{x},{high}" for x, _low, high in edges]
    back = [f"{x},{low}" for x, low, _high in reversed(edges)]
    return " ".join(there + back)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, and its label, which a pointer shows."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One colour of stacked bars: its number, its share of the whole, and its part of each bar."""

    name: str
    number: int
    share: float
    bars: Sequence[Bar]


def stacked_bars(
    columns: Sequence[Mapping[str, float]], label: Callable[[int, str, float], str]
) -> list[Layer]:
    """Each column's parts as shares of it, stacked from below, the largest layer first.

    An empty column stays empty. label: what a pointer shows of a column's number, a name and its share
    """
    totals: dict[str, float] = {}
    for column in columns:
        for name, part in column.items():
            totals[name] = totals.get(name, 0.0) + part
    whole = sum(totals.values())
    step = 100 / max(1, len(columns))
    heights = [100.0] * len(columns)  # how far down each bar still reaches
    layers = []
    for number, name in enumerate(sorted(filter(totals.get, totals), key=lambda name: -totals[name]), 1):
        bars = []
        for place, column in enumerate(columns):
            if amount := column.get(name):
                share = amount / sum(column.values())
                heights[place] -= 100 * share
                x, y = round(step * (place + GAP / 2), 2), round(heights[place], 2)
                width = round(step * (1 - GAP), 2)
                bars.append(Bar(x, y, width, round(100 * share, 2), label(place, name, share)))
        layers.append(Layer(name, number, totals[name] / whole, bars))
    return layers
