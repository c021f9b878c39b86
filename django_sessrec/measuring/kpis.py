"""KPIs of the recommendations: shown, clicked, put in the basket, bought; by placement, model or day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from django.utils import timezone

from django_sessrec import database
from django_sessrec.measuring.attribution import ATTRIBUTED, parameters
from django_sessrec.measuring.comparison import Squares, effective_trials, margin_of_sum
from django_sessrec.measuring.proportions import Rate

Key = TypeVar("Key")
Sum = TypeVar("Sum", Decimal, Squares)

DIMENSIONS: Final[Mapping[str, str]] = {
    "day": "(i.shown_at AT TIME ZONE %(timezone)s)::date",
    "placement": "i.placement",
    "model": "i.model",
    "run": "i.run_id",
    "step": "i.step",
    "experiment": "i.experiment",
    "variant": "i.variant",
}

COUNTS: Final = (
    *("impressions", "items_shown", "seen_impressions", "clicked_impressions", "seen_and_clicked"),
    *("clicks", "carts", "purchases"),
)
RATES: Final[Mapping[str, tuple[str, str]]] = {  # name -> hits, trials
    "ctr": ("clicked_impressions", "impressions"),
    "viewability": ("seen_impressions", "impressions"),
    "viewable_ctr": ("seen_and_clicked", "seen_impressions"),
    "item_ctr": ("clicks", "items_shown"),
    "cart_rate": ("carts", "clicks"),
    "conversion": ("purchases", "clicks"),
}

# The counts of each session first, in every grouping at once; then their sums, and for the intervals the sums
# of their squares. Arrays, so that what was earned can stand in the same columns. A session's counts are kept
# as int, since Postgres sums bigint as numeric, which takes twice as long.
SQL = (
    "WITH"  # noqa: S608
    + ATTRIBUTED
    + """,
seen AS MATERIALIZED (
    SELECT impression_id FROM sessrec_event
    WHERE name = 'view_item_list' AND occurred_at >= %(start)s AND occurred_at < %(end)s
),
parts AS (
    SELECT i.session_id, {named}, count(*)::int AS impressions,
           sum(cardinality(i.item_ids))::int AS items_shown,
           count(seen.impression_id)::int AS seen_impressions,
           0 AS clicked_impressions, 0 AS seen_and_clicked, 0 AS clicks, 0 AS carts, 0 AS purchases
    FROM sessrec_impression i LEFT JOIN seen USING (impression_id)
    WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s AND NOT i.bot
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
    GROUP BY i.session_id, {expressions}
    UNION ALL
    SELECT i.session_id, {named}, 0, 0, 0, count(DISTINCT i.impression_id)::int,
           count(DISTINCT seen.impression_id)::int, count(*)::int, (count(*) FILTER (WHERE i.carted))::int,
           (count(*) FILTER (WHERE i.bought))::int
    FROM clicks i LEFT JOIN seen USING (impression_id)
    WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s
    GROUP BY i.session_id, {expressions}
),
of_sessions AS (
    SELECT grouping({names}) AS grouping_set, {names}, {sums}
    FROM parts GROUP BY GROUPING SETS ({sets})
),
earned_in_sessions AS (
    SELECT grouping({names}) AS grouping_set, {names}, currency, sum(amount) AS revenue
    FROM (
        SELECT {named}, i.session_id, i.currency, i.amount FROM earned i
        WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s
    ) AS lines
    GROUP BY GROUPING SETS ({sets_by_currency})
)
SELECT grouping_set, {names}, count(*), ARRAY[{totals}]::bigint[], ARRAY[{squares}]::float8[], NULL, 0, 0
FROM of_sessions GROUP BY grouping_set, {names}
UNION ALL
SELECT grouping_set, {names}, 0, NULL, NULL, currency, sum(revenue), sum(revenue * revenue)
FROM earned_in_sessions GROUP BY grouping_set, {names}, currency
"""
)


@dataclass(frozen=True, slots=True)
class Kpi:
    """The counts of one group of impressions; counts of disjoint groups add up.

    seen_impressions: lists that stood in view for a second, as the browser's script told; the event of it
        has its list's own time, so that the two fall into the same period
    clicked_impressions: lists with at least one click
    seen_and_clicked: both; where the script is in use it lacks only the clicks of browsers without it
    clicks, carts, purchases: items of lists that were clicked; of these, put in the basket; bought
    revenue: currency -> what these purchases brought, less what came back
    sessions: that the lists were shown to
    squares: hits and trials -> their sums of squares over the sessions, for intervals; added up they are
        exact where the groups share no session, and too low otherwise
    revenue_squares: currency -> the sum of the sessions' squared revenues
    """

    impressions: int = 0
    items_shown: int = 0
    seen_impressions: int = 0
    clicked_impressions: int = 0
    seen_and_clicked: int = 0
    clicks: int = 0
    carts: int = 0
    purchases: int = 0
    revenue: Mapping[str, Decimal] = field(default_factory=dict)
    sessions: int = field(default=0, compare=False)
    squares: Mapping[tuple[str, str], Squares] = field(default_factory=dict, compare=False)
    revenue_squares: Mapping[str, Decimal] = field(default_factory=dict, compare=False)

    def __add__(self, other: Kpi) -> Kpi:
        return Kpi(
            **{name: getattr(self, name) + getattr(other, name) for name in COUNTS},
            revenue=_added(self.revenue, other.revenue),
            sessions=self.sessions + other.sessions,
            squares=_added(self.squares, other.squares),
            revenue_squares=_added(self.revenue_squares, other.revenue_squares),
        )

    @property
    def ctr(self) -> Rate:
        """Share of lists that were clicked."""
        return self.rate("ctr")

    @property
    def viewability(self) -> Rate:
        """Share of lists that were seen; of none, where the shop's pages lack the script."""
        return self.rate("viewability")

    @property
    def viewable_ctr(self) -> Rate:
        """Share of seen lists that were clicked."""
        return self.rate("viewable_ctr")

    @property
    def item_ctr(self) -> Rate:
        """Share of shown items that were clicked."""
        return self.rate("item_ctr")

    @property
    def cart_rate(self) -> Rate:
        """Share of clicked items that went into the basket."""
        return self.rate("cart_rate")

    @property
    def conversion(self) -> Rate:
        """Share of clicked items that were bought."""
        return self.rate("conversion")

    def rate(self, name: str) -> Rate:
        """One of RATES; its interval takes the session as the unit where the sessions are known."""
        hits, trials = (getattr(self, count) for count in RATES[name])
        squares = self.squares.get(RATES[name])
        if squares is None:
            return Rate(hits, trials)
        return Rate(hits, trials, effective_trials(hits, trials, self.sessions, squares))

    def revenue_margin(self, currency: str) -> float | None:
        """Half the width of the 95 % interval of a currency's revenue; None where too little is known."""
        squares = self.revenue_squares.get(currency)
        if squares is None:
            return None
        return margin_of_sum(float(self.revenue[currency]), float(squares), self.sessions)


def kpis(
    start: datetime, end: datetime, by: Sequence[str] = ("placement", "model")
) -> dict[tuple[Any, ...], Kpi]:
    """Figures of the impressions shown from `start` to before `end` (aware), one entry per value of `by`.

    Days are those of the current time zone. Figures of the last ATTRIBUTION_HOURS still grow: a click or
    a purchase counts for the day its list was shown. Raises ValueError for an unknown dimension.
    """
    (figures,) = kpis_by(start, end, [by])
    return figures


def kpis_by(
    start: datetime, end: datetime, groupings: Sequence[Sequence[str]]
) -> list[dict[tuple[Any, ...], Kpi]]:
    """kpis() by several groupings for the price of one; an empty one is the whole, under the key ().

    Each grouping's intervals know which of its lists belong to one session.
    """
    names = [name for name in DIMENSIONS if any(name in by for by in groupings)]
    unknown = sorted({name for by in groupings for name in by} - DIMENSIONS.keys())
    if unknown or not names:
        raise ValueError(f"can't group by {unknown or 'nothing'}; choose from {', '.join(DIMENSIONS)}")
    with database.connection().cursor() as cursor:
        cursor.execute(
            _sql(names, groupings),
            {**parameters(start, end), "timezone": timezone.get_current_timezone_name()},
        )
        rows = cursor.fetchall()
    return [_of_grouping(rows, names, by) for by in groupings]


def _sql(names: Sequence[str], groupings: Sequence[Sequence[str]]) -> str:
    pairs = [
        f"sum({a}::float8 * {b})"
        for hits, trials in RATES.values()
        for a, b in ((hits, hits), (hits, trials), (trials, trials))
    ]
    return SQL.format(
        named=", ".join(f"{DIMENSIONS[name]} AS {name}" for name in names),
        expressions=", ".join(DIMENSIONS[name] for name in names),
        names=", ".join(names),
        sums=", ".join(f"sum({count})::int AS {count}" for count in COUNTS),
        sets=", ".join(f"({', '.join(['session_id', *by])})" for by in groupings),
        sets_by_currency=", ".join(f"({', '.join(['session_id', 'currency', *by])})" for by in groupings),
        totals=", ".join(f"sum({count})" for count in COUNTS),
        squares=", ".join(pairs),
    )


def _of_grouping(
    rows: Sequence[tuple[Any, ...]], names: Sequence[str], by: Sequence[str]
) -> dict[tuple[Any, ...], Kpi]:
    """One grouping set's rows: Postgres sets a bit for each name that is not in it, the first one highest."""
    left_out = sum(1 << place for place, name in enumerate(reversed(names)) if name not in by)
    columns = [1 + names.index(name) for name in by]
    after = 1 + len(names)
    of_set = [row for row in rows if row[0] == left_out]
    return grouped((tuple(row[column] for column in columns), _kpi(*row[after:])) for row in of_set)


def grouped(figures: Iterable[tuple[Key, Kpi]]) -> dict[Key, Kpi]:
    """Add up the figures that share a key, keys in order."""
    groups: dict[Key, Kpi] = {}
    for key, kpi in figures:
        groups[key] = groups.get(key, Kpi()) + kpi
    return dict(sorted(groups.items(), key=_none_first))


def _kpi(
    sessions: int,
    counts: Sequence[int] | None,
    squares: Sequence[float] | None,
    currency: str | None,
    revenue: Decimal,
    revenue_squares: Decimal,
) -> Kpi:
    """A row of counts, or of what was earned in one currency."""
    if counts is None or squares is None:
        assert currency is not None  # noqa: S101 - one of the two kinds of row
        return Kpi(revenue={currency: revenue}, revenue_squares={currency: revenue_squares})
    by_rate = [Squares(*squares[first : first + 3]) for first in range(0, len(squares), 3)]
    named: dict[str, Any] = dict(zip(COUNTS, counts, strict=True))
    return Kpi(**named, sessions=sessions, squares=dict(zip(RATES.values(), by_rate, strict=True)))


def _added(these: Mapping[Any, Sum], those: Mapping[Any, Sum]) -> dict[Any, Sum]:
    """Two tables of sums as one, keys in order."""
    added = dict(these)
    for key, value in those.items():
        added[key] = added[key] + value if key in added else value
    return dict(sorted(added.items()))


def _none_first(entry: tuple[Any, Kpi]) -> list[tuple[bool, Any]]:
    key = entry[0] if isinstance(entry[0], tuple) else (entry[0],)
    return [(value is not None, value) for value in key]
