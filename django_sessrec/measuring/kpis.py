"""What the recommendations did: shown, clicked, put in the basket, bought; by placement, model or day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from django.utils import timezone

from django_sessrec import database
from django_sessrec.measuring.attribution import ATTRIBUTED, parameters
from django_sessrec.measuring.proportions import Rate

Key = TypeVar("Key")

DIMENSIONS: Final[Mapping[str, str]] = {
    "day": "(i.shown_at AT TIME ZONE %(timezone)s)::date",
    "placement": "i.placement",
    "model": "i.model",
    "run": "i.run_id",
    "step": "i.step",
    "experiment": "i.experiment",
    "variant": "i.variant",
}

# Three partial sums of one key, added up in Python: a join on dimensions that may be NULL can't be hashed.
SQL = (
    "WITH"  # noqa: S608
    + ATTRIBUTED
    + """,
seen AS MATERIALIZED (
    SELECT impression_id FROM sessrec_event
    WHERE name = 'view_item_list' AND occurred_at >= %(start)s AND occurred_at < %(end)s
)
SELECT {dimensions}, count(*), sum(cardinality(i.item_ids)), count(seen.impression_id), 0, 0, 0, 0, 0, NULL, 0
FROM sessrec_impression i LEFT JOIN seen USING (impression_id)
WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s AND NOT i.bot
  AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
GROUP BY {groups}
UNION ALL
SELECT {dimensions}, 0, 0, 0, count(DISTINCT i.impression_id), count(DISTINCT seen.impression_id), count(*),
       count(*) FILTER (WHERE i.carted), count(*) FILTER (WHERE i.bought), NULL, 0
FROM clicks i LEFT JOIN seen USING (impression_id)
WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s
GROUP BY {groups}
UNION ALL
SELECT {dimensions}, 0, 0, 0, 0, 0, 0, 0, 0, i.currency,
       sum(i.quantity * coalesce(i.price, 0) * CASE i.name WHEN 'refund' THEN -1 ELSE 1 END)
FROM outcomes i
WHERE i.name IN ('purchase', 'refund') AND i.shown_at >= %(start)s AND i.shown_at < %(end)s
GROUP BY {groups}, i.currency
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

    def __add__(self, other: Kpi) -> Kpi:
        return Kpi(
            self.impressions + other.impressions,
            self.items_shown + other.items_shown,
            self.seen_impressions + other.seen_impressions,
            self.clicked_impressions + other.clicked_impressions,
            self.seen_and_clicked + other.seen_and_clicked,
            self.clicks + other.clicks,
            self.carts + other.carts,
            self.purchases + other.purchases,
            {
                currency: self.revenue.get(currency, Decimal()) + other.revenue.get(currency, Decimal())
                for currency in sorted({*self.revenue, *other.revenue})
            },
        )

    @property
    def ctr(self) -> Rate:
        """Share of lists that were clicked."""
        return Rate(self.clicked_impressions, self.impressions)

    @property
    def viewability(self) -> Rate:
        """Share of lists that were seen; of none, where the shop's pages lack the script."""
        return Rate(self.seen_impressions, self.impressions)

    @property
    def viewable_ctr(self) -> Rate:
        """Share of seen lists that were clicked."""
        return Rate(self.seen_and_clicked, self.seen_impressions)

    @property
    def item_ctr(self) -> Rate:
        """Share of shown items that were clicked."""
        return Rate(self.clicks, self.items_shown)

    @property
    def cart_rate(self) -> Rate:
        """Share of clicked items that went into the basket."""
        return Rate(self.carts, self.clicks)

    @property
    def conversion(self) -> Rate:
        """Share of clicked items that were bought."""
        return Rate(self.purchases, self.clicks)


def kpis(
    start: datetime, end: datetime, by: Sequence[str] = ("placement", "model")
) -> dict[tuple[Any, ...], Kpi]:
    """Figures of the impressions shown from `start` to before `end` (aware), one entry per value of `by`.

    Days are those of the current time zone. Figures of the last ATTRIBUTION_HOURS still grow: a click or
    a purchase counts for the day its list was shown. Raises ValueError for an unknown dimension.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown or not by:
        raise ValueError(f"can't group by {unknown or 'nothing'}; choose from {', '.join(DIMENSIONS)}")
    dimensions = ", ".join(DIMENSIONS[name] for name in by)
    groups = ", ".join(str(number) for number in range(1, len(by) + 1))
    with database.connection().cursor() as cursor:
        cursor.execute(
            SQL.format(dimensions=dimensions, groups=groups),
            {**parameters(start, end), "timezone": timezone.get_current_timezone_name()},
        )
        rows = cursor.fetchall()
    return grouped((row[: len(by)], _kpi(*row[len(by) :])) for row in rows)


def grouped(figures: Iterable[tuple[Key, Kpi]]) -> dict[Key, Kpi]:
    """Add up the figures that share a key, keys in order."""
    groups: dict[Key, Kpi] = {}
    for key, kpi in figures:
        groups[key] = groups.get(key, Kpi()) + kpi
    return dict(sorted(groups.items(), key=_none_first))


def regrouped(figures: Mapping[Any, Kpi], key: Callable[[Any], Key]) -> dict[Key, Kpi]:
    """The same figures under coarser keys, without asking the database again."""
    return grouped((key(fine), kpi) for fine, kpi in figures.items())


def _kpi(
    impressions: int,
    items_shown: int,
    seen_impressions: int,
    clicked_impressions: int,
    seen_and_clicked: int,
    clicks: int,
    carts: int,
    purchases: int,
    currency: str | None,
    revenue: Decimal,
) -> Kpi:
    earned = {} if currency is None else {currency: revenue}
    return Kpi(
        impressions,
        items_shown,
        seen_impressions,
        clicked_impressions,
        seen_and_clicked,
        clicks,
        carts,
        purchases,
        earned,
    )


def _none_first(entry: tuple[Any, Kpi]) -> list[tuple[bool, Any]]:
    key = entry[0] if isinstance(entry[0], tuple) else (entry[0],)
    return [(value is not None, value) for value in key]
