"""The report of a period, beside the period before it: what recommendations earned, where, and of how much.

from django_sessrec.measuring.report import report

this = report(start, end)
this.whole.now.money["EUR"].direct, this.whole.before.money["EUR"].direct
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django_sessrec.figure_models import RolledUpDay
from django_sessrec.measuring import kpis, rollups
from django_sessrec.measuring.days import ONE, today
from django_sessrec.measuring.kpis import Kpi, Pages, Sessions

PAGE_SECONDS: Final = 2.0  # that a page may spend on sums which the schedule has not made yet
WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures of the period and of the one before, as long."""

    now: Kpi
    before: Kpi


@dataclass(frozen=True, slots=True)
class Report:
    """A period's figures.

    start, end: its days, both included
    days_before: days of the period before, which ends the day before `start`: as many, or in a young shop the
        whole weeks of them that have figures; 0 where there is nothing to compare with
    comparable_from: the first day on which a period of this length has a week before it; None where no
        session was ever counted
    whole: everything; its money holds the shop's own total
    by_day, by_day_before: day -> figures; days without any are left out
    by_placement: placement -> figures
    sessions, sessions_before: day -> the shop's sessions
    pages: day -> its tracked pages by consent
    uncounted: days of the period whose sums are missing, because the schedule has not made them
    """

    start: date
    end: date
    days_before: int
    comparable_from: date | None
    whole: Compared
    by_day: Mapping[date, Kpi]
    by_day_before: Mapping[date, Kpi]
    by_placement: Mapping[str, Compared]
    sessions: Mapping[date, Sessions]
    sessions_before: Mapping[date, Sessions]
    pages: Mapping[date, Pages]
    uncounted: list[date]


def report(start: date, end: date) -> Report:
    """The figures of the days from `start` to `end`, both included, read from the roll-ups.

    What is due is made first, for PAGE_SECONDS at most: call rollups.roll_up_due() for all of it.
    Raises django.db.Error where the database can't be reached.
    """
    rollups.roll_up_due(PAGE_SECONDS)
    length = (end - start).days + 1
    first = kpis.first_day()
    days_before = _known(length, first, start)
    now, before = (start, end), (start - days_before * ONE, start - ONE)
    _made_at, uncounted = counted(start, end)
    by_day, by_day_before = (_by(days, "day") for days in (now, before))
    return Report(
        start=start,
        end=end,
        days_before=days_before,
        comparable_from=first and first + (WEEK + length - 1) * ONE,
        whole=Compared(kpis.added(by_day.values()), kpis.added(by_day_before.values())),
        by_day=by_day,
        by_day_before=by_day_before,
        by_placement=_compared(_by(now, "placement"), _by(before, "placement")),
        sessions=kpis.sessions(*now),
        sessions_before=kpis.sessions(*before),
        pages=kpis.pages(*now),
        uncounted=uncounted,
    )


def _known(length: int, first: date | None, start: date) -> int:
    """How many days before `start` to compare with: weekdays count alike only in whole weeks."""
    known = (start - first).days if first else 0
    return length if known >= length else max(0, known - known % WEEK)


def counted(start: date, end: date) -> tuple[datetime | None, list[date]]:
    """When the latest sums of these days were made, and which days lack theirs though they have rows."""
    made = dict(RolledUpDay.objects.filter(day__range=(start, end)).values_list("day", "rolled_up_at"))
    missing = sorted(set(rollups.days_with_rows(start, min(end, today()))) - made.keys())
    return max(made.values(), default=None), missing


def counted_up_to() -> datetime | None:
    """When the sums of the latest day were made; None where no day has any."""
    return RolledUpDay.objects.order_by("-day").values_list("rolled_up_at", flat=True).first()


Days = tuple[date, date]


def _by(days: Days, name: str) -> dict[Any, Kpi]:
    """The figures by one dimension; none where the last day is before the first."""
    found = kpis.figures(*days, (name,)) if days[0] <= days[1] else {}
    return {key: kpi for (key,), kpi in found.items()}


def _compared(now: Mapping[str, Kpi], before: Mapping[str, Kpi]) -> dict[str, Compared]:
    return {key: Compared(now.get(key, Kpi()), before.get(key, Kpi())) for key in sorted({*now, *before})}
