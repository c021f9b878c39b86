"""KPIs of the recommendations, read from the roll-ups: by placement, model or day, for any period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

from django_sessrec import database
from django_sessrec.measuring.comparison import (
    Difference,
    Squares,
    difference_of_estimates,
    effective_trials,
    margin_of_sum,
    ratio_interval,
)
from django_sessrec.measuring.daily import GROUPINGS, PAIRS, key_of
from django_sessrec.measuring.days import last_days, today, whole_days
from django_sessrec.measuring.definitions import COUNTS, PAGES, RATES, SESSIONS, Definition
from django_sessrec.measuring.proportions import Rate


class Addable(Protocol):
    def __add__(self, other: Any, /) -> Any: ...


Key = TypeVar("Key")
Sum = TypeVar("Sum", bound=Addable)

DIMENSIONS: Final[Mapping[str, str]] = {  # name -> column
    "day": "day",
    "week": "week",  # see WEEK
    "placement": "placement",
    "model": "model",
    "run": "run_id",
    "step": "step",
    "experiment": "experiment",
    "variant": "variant",
    "session_length": "session_length",  # products that the session had clicked before the list
    "intents": "intents",  # of the session
}
NO_DECIMAL: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Money:
    """What orders brought in one currency, less what came back; see definitions.MONEY.

    direct_orders, assisted_orders, orders: buyers of a day, with lines of that kind or of any
    squares: sums over the buyers of direct², direct x total, total²
    """

    direct: Decimal = NO_DECIMAL
    assisted: Decimal = NO_DECIMAL
    total: Decimal = NO_DECIMAL
    direct_refunded: Decimal = NO_DECIMAL
    assisted_refunded: Decimal = NO_DECIMAL
    total_refunded: Decimal = NO_DECIMAL
    without_session: Decimal = NO_DECIMAL
    direct_orders: int = 0
    assisted_orders: int = 0
    orders: int = 0
    squares: Squares = field(default=Squares(0, 0, 0), compare=False)

    def __add__(self, other: Money) -> Money:
        return Money(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def recorded(self) -> Decimal:
        """Sales of sessions with consent, which alone can be credited to a list."""
        return self.total - self.without_session

    @property
    def share(self) -> float | None:
        """Sales after a click as a share of those that can be credited; None where nothing was sold."""
        return float(self.direct / self.recorded) if self.recorded else None

    @property
    def share_of_all(self) -> float | None:
        """The same as a share of all, those without consent among them; None where these are not counted."""
        return float(self.direct / self.total) if self.total and self.without_session else None

    @property
    def share_interval(self) -> tuple[float, float] | None:
        """The ends of the share's 95 % interval, with the buyer as the unit; None where too little is known.

        Squares are known of all buyers: what those without consent bought makes the interval wider.
        """
        ends = ratio_interval(float(self.direct), float(self.total), self.orders, self.squares)
        if ends is None or not self.recorded:
            return None
        low, high = (end * float(self.total / self.recorded) for end in ends)
        return low, min(1.0, high)


@dataclass(frozen=True, slots=True)
class Kpi:
    """The counts of one group of lists, and what their orders brought; those of disjoint groups add up.

    The first nine: see definitions.COUNTED. Seen lists lack those of browsers without the script.
    money: currency -> its sums; of the whole shop where the group is everything
    sessions: that the lists were shown to, counted anew each day
    squares: pairs of counts -> sum of their products over the sessions, for intervals; added up they are
        exact where the groups share no session, and too low otherwise
    """

    impressions: int = 0
    items_shown: int = 0
    seen_impressions: int = 0
    clicked_impressions: int = 0
    seen_and_clicked: int = 0
    clicks: int = 0
    carts: int = 0
    purchases: int = 0
    short_impressions: int = 0
    money: Mapping[str, Money] = field(default_factory=dict)
    sessions: int = field(default=0, compare=False)
    squares: Mapping[tuple[str, str], float] = field(default_factory=dict, compare=False)

    def __add__(self, other: Kpi) -> Kpi:
        return Kpi(
            **{name: getattr(self, name) + getattr(other, name) for name in COUNTS},
            money=_added(self.money, other.money),
            sessions=self.sessions + other.sessions,
            squares=_added(self.squares, other.squares),
        )

    @property
    def revenue(self) -> Mapping[str, Decimal]:
        """Sales after a click, by currency."""
        return {currency: money.direct for currency, money in self.money.items() if money.direct_orders}

    def rate(self, name: str) -> Rate:
        """One of definitions.SHARES; its interval takes the session as the unit where these are known."""
        hits, trials = RATES[name]
        values = getattr(self, hits), getattr(self, trials)
        if not self.squares:
            return Rate(*values)
        squares = Squares(*(self.squares[pair] for pair in ((hits, hits), (hits, trials), (trials, trials))))
        return Rate(*values, effective_trials(*values, self.sessions, squares))

    def revenue_margin(self, currency: str) -> float | None:
        """Half the width of the 95 % interval of sales after a click; None where too little is known."""
        money = self.money.get(currency, Money())
        return margin_of_sum(float(money.direct), money.squares.hits, max(self.sessions, money.direct_orders))


@dataclass(frozen=True, slots=True)
class Sessions:
    """The shop's sessions by what became of them, see definitions.SESSIONS."""

    sessions: int = 0
    with_list: int = 0
    with_basket: int = 0
    with_order: int = 0
    bots: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Pages:
    """Tracked pages by consent, see definitions.PAGES."""

    with_consent: int = 0
    without_consent: int = 0
    staff: int = 0
    bots: int = 0

    def __add__(self, other: Pages) -> Pages:
        return Pages(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def people(self) -> int:
        """Pages that were not shown to staff or bots."""
        return self.with_consent + self.without_consent

    @property
    def consent_share(self) -> float | None:
        """The share of people's pages that belong to sessions with consent; None where there was none."""
        return self.with_consent / self.people if self.people else None


def figures(start: date, end: date, by: Sequence[str] = ()) -> dict[tuple[Any, ...], Kpi]:
    """Figures of the days from `start` to `end`, both included, one entry per value of `by`.

    by: "day" or "week" and one of daily.GROUPINGS, in any order; without any, the whole, under the key (). A
        week is named by its first day of the period.

    Days are the shop's. Lists and what happened to them count on the day on which the list was shown, so
    those of the last days still grow; money counts on the day of the order. Raises ValueError for another
    grouping.
    """
    columns = [DIMENSIONS.get(name, name) for name in by]
    grouping = next((each for each in GROUPINGS if set(each) == set(columns) - {"day", "week"}), None)
    if grouping is None or len(set(by)) < len(by) or {"day", "week"} <= set(by):
        names = {column: name for name, column in DIMENSIONS.items()}
        known = " | ".join(", ".join(names[each] for each in grouping) or "()" for grouping in GROUPINGS)
        raise ValueError(f"can't group by {', '.join(by)}; choose from {known}, with or without day or week")
    values = {"start": start, "end": end, "grouping": key_of(grouping)}
    lists = ((key, _lists(*row)) for key, row in _read(LISTS, columns, values))
    money = ((key, Kpi(money={row[0]: _money(*row[1:])})) for key, row in _read(REVENUE, columns, values))
    return _grouped([*lists, *money])


def sales_difference(now: Kpi, before: Kpi, currency: str, longer: Decimal) -> Difference | None:
    """Sales after a click less those before; None where too little is known.

    longer: how many times as many days `now` has
    """
    margin, margin_before = now.revenue_margin(currency), before.revenue_margin(currency)
    if margin is None or margin_before is None:
        return None
    value = float(now.money.get(currency, Money()).direct)
    usual = float(before.money.get(currency, Money()).direct * longer)
    margin_before *= float(longer)
    return difference_of_estimates(
        value, (value - margin, value + margin), usual, (usual - margin_before, usual + margin_before)
    )


def share_difference(now: Money, before: Money) -> Difference | None:
    """The share of sales less that before; None where too little is known."""
    ends, ends_before = now.share_interval, before.share_interval
    if now.share is None or before.share is None or ends is None or ends_before is None:
        return None
    return difference_of_estimates(now.share, ends, before.share, ends_before)


def added(figures: Iterable[Kpi]) -> Kpi:
    """The figures of several days or weeks as one."""
    return sum(figures, Kpi())


def sessions(start: date, end: date) -> dict[date, Sessions]:
    """The shop's sessions by day, from `start` to `end`, both included, where there is a roll-up."""
    return {day: Sessions(**counts) for day, counts in _by_day("sessrec_dailyshop", SESSIONS, start, end)}


def pages(start: date, end: date) -> dict[date, Pages]:
    """The shop's tracked pages by day, from `start` to `end`, both included, where there were any."""
    return {day: Pages(**counts) for day, counts in _by_day("sessrec_dailypages", PAGES, start, end)}


def first_day() -> date | None:
    """The first day of which a session is counted."""
    with database.connection().cursor() as cursor:
        cursor.execute("SELECT min(day) FROM sessrec_dailyshop WHERE sessions > 0")
        day: date | None = cursor.fetchone()[0]
    return day


def counted_days(days: int) -> tuple[date, date]:
    """The last `days` whole days, as on every page; on a shop's first day that day is among them."""
    first = first_day()
    return last_days(days) if first in (None, today()) else whole_days(days)


def _by_day(
    table: str, counted: Sequence[Definition], start: date, end: date
) -> list[tuple[date, dict[str, int]]]:
    names = [each.key for each in counted]
    with database.connection().cursor() as cursor:
        cursor.execute(
            f"SELECT day, {', '.join(names)} FROM {table} "  # noqa: S608
            "WHERE day BETWEEN %s AND %s ORDER BY day",
            [start, end],
        )
        return [(day, dict(zip(names, row, strict=True))) for day, *row in cursor.fetchall()]


WEEK: Final = "greatest(date_trunc('week', day)::date, %(start)s)"
LISTS: Final = f"""
SELECT {{columns}} sum(sessions), ARRAY[{", ".join(f"sum({name})" for name in COUNTS)}]::bigint[],
       ARRAY[{", ".join(f"sum(squares[{number}])" for number in range(1, len(PAIRS) + 1))}]
FROM sessrec_dailylists WHERE day BETWEEN %(start)s AND %(end)s AND grouped_by = %(grouping)s
GROUP BY {{groups}} grouped_by
"""  # noqa: S608
REVENUE: Final = """
SELECT {columns} currency, sum(direct), sum(assisted), sum(total), sum(direct_refunded),
       sum(assisted_refunded), sum(total_refunded), sum(without_session), sum(direct_orders),
       sum(assisted_orders), sum(orders), sum(direct_squares), sum(direct_by_total), sum(total_squares)
FROM sessrec_dailyrevenue WHERE day BETWEEN %(start)s AND %(end)s AND grouped_by = %(grouping)s
GROUP BY {groups} currency
"""


def _read(
    sql: str, columns: Sequence[str], values: Mapping[str, Any]
) -> Iterable[tuple[tuple[Any, ...], Sequence[Any]]]:
    """The rows of a period: key and sums."""
    with database.connection().cursor() as cursor:
        cursor.execute(_grouped_sql(sql, columns), values)
        rows = cursor.fetchall()
    width = len(columns)
    return [
        (tuple(_plain(*each) for each in zip(columns, row[:width], strict=True)), row[width:]) for row in rows
    ]


def _grouped_sql(sql: str, columns: Sequence[str]) -> str:
    """Groups by their place: %(start)s, sent twice, would be two parameters, and no group."""
    selected = "".join(f"{WEEK if column == 'week' else column}, " for column in columns)
    return sql.format(columns=selected, groups="".join(f"{place}, " for place in range(1, len(columns) + 1)))


def _plain(column: str, value: Any) -> Any:
    return (value or None) if column == "run_id" else value


def _lists(sessions: int, counts: Sequence[int], squares: Sequence[float]) -> Kpi:
    named: dict[str, Any] = dict(zip(COUNTS, counts, strict=True))
    return Kpi(**named, sessions=sessions, squares=dict(zip(PAIRS, squares, strict=True)))


def _money(*row: Any) -> Money:
    sums: dict[str, Any] = dict(zip((each.name for each in fields(Money)), row[:-3], strict=False))
    return Money(**sums, squares=Squares(*row[-3:]))


def _grouped(entries: Iterable[tuple[Key, Kpi]]) -> dict[Key, Kpi]:
    """Lists and money of the same key as one, keys in order."""
    groups: dict[Key, Kpi] = {}
    for key, kpi in entries:
        groups[key] = groups[key] + kpi if key in groups else kpi
    return dict(sorted(groups.items(), key=_none_first))


def _added(these: Mapping[Any, Sum], those: Mapping[Any, Sum]) -> dict[Any, Sum]:
    """Two tables of sums as one, keys in order."""
    added = dict(these)
    for key, value in those.items():
        added[key] = added[key] + value if key in added else value
    return dict(sorted(added.items()))


def _none_first(entry: tuple[Any, Kpi]) -> list[tuple[bool, Any]]:
    return [(value is not None, value) for value in entry[0]]
