"""The report of a period, beside the period before it: what recommendations earned, where, and of how much.

from django_sessrec.measuring.report import report

this = report(start, end)
this.whole.now.money["EUR"].direct, this.whole.before.money["EUR"].direct
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django_sessrec.figure_models import RolledUpDay
from django_sessrec.measuring import kpis, rollups
from django_sessrec.measuring.days import ONE, today
from django_sessrec.measuring.kpis import Kpi, Pages, Sessions

PAGE_SECONDS: Final = 2.0  # that a page may spend on sums which the schedule has not made yet


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures of the period and of the one before, as long."""

    now: Kpi
    before: Kpi


@dataclass(frozen=True, slots=True)
class Report:
    """A period's figures.

    start, end: its days, both included; `before` begins as many days earlier and ends the day before `start`
    whole: everything; its money holds the shop's own total
    by_day, by_day_before: day -> figures; days without any are left out
    by_placement, by_model, by_step: placement, model ("": none), or placement and step -> figures
    sessions, sessions_before: day -> the shop's sessions
    pages, pages_before: day -> its tracked pages by consent
    counted_at: when the latest of these sums was made; None where there is none
    uncounted: days of the period whose sums are missing, because the schedule has not made them
    """

    start: date
    end: date
    whole: Compared
    by_day: Mapping[date, Kpi]
    by_day_before: Mapping[date, Kpi]
    by_placement: Mapping[str, Compared]
    by_model: Mapping[str, Compared]
    by_step: Mapping[tuple[str, ...], Compared]
    sessions: Mapping[date, Sessions]
    sessions_before: Mapping[date, Sessions]
    pages: Mapping[date, Pages]
    pages_before: Mapping[date, Pages]
    counted_at: datetime | None
    uncounted: list[date]


def report(start: date, end: date) -> Report:
    """The figures of the days from `start` to `end`, both included, read from the roll-ups.

    What is due is made first, for PAGE_SECONDS at most: call rollups.roll_up_due() for all of it.
    Raises django.db.Error where the database can't be reached.
    """
    rollups.roll_up_due(PAGE_SECONDS)
    length = (end - start).days + 1
    now, before = (start, end), (start - length * ONE, start - ONE)
    counted_at, uncounted = counted(start, end)
    return Report(
        start=start,
        end=end,
        whole=Compared(*(kpis.figures(*days).get((), Kpi()) for days in (now, before))),
        by_day=_single(kpis.figures(*now, ("day",))),
        by_day_before=_single(kpis.figures(*before, ("day",))),
        by_placement=_compared(now, before, "placement"),
        by_model=_compared(now, before, "model"),
        by_step=_pairs(now, before, ("placement", "step")),
        sessions=kpis.sessions(*now),
        sessions_before=kpis.sessions(*before),
        pages=kpis.pages(*now),
        pages_before=kpis.pages(*before),
        counted_at=counted_at,
        uncounted=uncounted,
    )


def counted(start: date, end: date) -> tuple[datetime | None, list[date]]:
    """When the latest sums of these days were made, and which days lack theirs though they have rows."""
    made = dict(RolledUpDay.objects.filter(day__range=(start, end)).values_list("day", "rolled_up_at"))
    missing = sorted(set(rollups.days_with_rows(start, min(end, today()))) - made.keys())
    return max(made.values(), default=None), missing


Days = tuple[date, date]


def _pairs(now: Days, before: Days, by: tuple[str, ...]) -> dict[tuple[str, ...], Compared]:
    these, those = kpis.figures(*now, by), kpis.figures(*before, by)
    return {key: Compared(these.get(key, Kpi()), those.get(key, Kpi())) for key in sorted({*these, *those})}


def _compared(now: Days, before: Days, by: str) -> dict[str, Compared]:
    return {key: each for (key,), each in _pairs(now, before, (by,)).items()}


def _single(figures: Mapping[tuple[date], Kpi]) -> dict[date, Kpi]:
    return {key: kpi for (key,), kpi in figures.items()}
