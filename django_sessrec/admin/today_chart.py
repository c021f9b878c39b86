"""The chart of Today, sales after a click day by day: for the server, for the script and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.admin.charts import Chart, Point, line_chart
from django_sessrec.admin.formatting import NONE, colon, fixed, money, percent, whole
from django_sessrec.measuring.days import each_day
from django_sessrec.measuring.kpis import Kpi, Money
from django_sessrec.measuring.report import Report

NO_MONEY: Final = Money()
Changes = Mapping[date, Sequence[str]]


def length_of(this: Report) -> int:
    """Days of the period."""
    return (this.end - this.start).days + 1


def money_of(kpi: Kpi, currency: str) -> Money:
    return kpi.money.get(currency, NO_MONEY)


def chart(this: Report, currency: str, changed: Changes) -> Chart | None:
    """Sales after a click day by day, with the width of chance, the period before, and what was changed."""
    length = timedelta(days=length_of(this))
    now, before = list[Point](), list[Point]()
    for day in each_day(this.start, this.end):
        kpi, earlier = (
            each.get(at, Kpi()) for each, at in ((this.by_day, day), (this.by_day_before, day - length))
        )
        value = float(money_of(kpi, currency).direct)
        margin = kpi.revenue_margin(currency) if currency in kpi.money else None
        bounds = (None, None) if margin is None else (max(0.0, value - margin), value + margin)
        now.append(Point(day.toordinal(), value, _on(day, kpi, currency), *bounds))
        if day - length >= _first_before(this):
            was = float(money_of(earlier, currency).direct)
            before.append(Point(day.toordinal(), was, _on(day - length, earlier, currency)))
    series = {_("these days"): now}
    if this.by_day_before:
        series[_before(this)] = before
    ends = ((this.start.toordinal(), date_format(this.start)), (this.end.toordinal(), date_format(this.end)))
    title = _("Sales after a click, per day (%(currency)s)") % {"currency": currency}
    flagged = {day.toordinal(): colon(date_format(day), "; ".join(words)) for day, words in changed.items()}
    return line_chart(title, series, ends=ends, label=lambda value: fixed(value, 0), flags=flagged)


def _first_before(this: Report) -> date:
    """The first of the days before."""
    return this.start - timedelta(days=this.days_before)


def _before(this: Report) -> str:
    """What the days before are called."""
    return ngettext("the %d day before", "the %d days before", this.days_before) % this.days_before


def _on(day: date, kpi: Kpi, currency: str) -> str:
    return colon(date_format(day), money({currency: money_of(kpi, currency).direct}))


def plot(this: Report, currency: str, changed: Changes) -> dict[str, Any]:
    """The same figures for the script's chart: seconds since 1970 and a column for each line."""
    days = list(each_day(this.start, this.end))
    length = timedelta(days=len(days))
    kpis = [this.by_day.get(day, Kpi()) for day in days]
    margins = [kpi.revenue_margin(currency) if currency in kpi.money else None for kpi in kpis]
    values = [float(money_of(kpi, currency).direct) for kpi in kpis]
    before = [
        float(money_of(this.by_day_before.get(day - length, Kpi()), currency).direct)
        if day - length >= _first_before(this)
        else None
        for day in days
    ]
    return {
        "days": [_seconds(day) for day in days],
        "flags": [_seconds(day) for day in changed],
        "now": values,
        "low": [max(0.0, value - (margin or 0)) for value, margin in zip(values, margins, strict=True)],
        "high": [value + (margin or 0) for value, margin in zip(values, margins, strict=True)],
        "before": before,
        "labels": {"now": _("these days"), "before": _before(this), "day": _("Day")},
    }


def _seconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400


def rows(this: Report, currency: str) -> Iterator[dict[str, str]]:
    """The chart's figures as a table, the newest day first."""
    for day in reversed(list(each_day(this.start, this.end))):
        kpi = this.by_day.get(day, Kpi())
        sold, ctr = money_of(kpi, currency), kpi.rate("ctr").value
        yield {
            "day": date_format(day),
            "direct": money({currency: sold.direct}) if sold.total else NONE,
            "total": money({currency: sold.total}) if sold.total else NONE,
            "shown": whole(kpi.impressions),
            "ctr": NONE if ctr is None else percent(ctr),
        }
