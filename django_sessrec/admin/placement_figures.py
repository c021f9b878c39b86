"""What a placement brought in the last days, and who made its lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.admin.charts import Layer, Table, stacked_bars, table_of
from django_sessrec.admin.formatting import NONE, Cell, cells, colon, fixed, percent, whole
from django_sessrec.admin.words import step_name
from django_sessrec.measuring import rollups
from django_sessrec.measuring.days import each_day
from django_sessrec.measuring.kpis import Kpi, counted_days, figures
from django_sessrec.measuring.latest_lists import products_reached
from django_sessrec.measuring.report import PAGE_SECONDS

DAYS: Final = 28
FINEST: Final = ("day", "placement", "model", "run", "step", "experiment", "variant")
HEADLINES: Final = 5  # of formatting.cells: sales, purchases, lists, seen, clicked
LAYERS: Final = 6  # colours of the bars; rarer sources are one layer


@dataclass(frozen=True, slots=True)
class Sources:
    """Who made a placement's lists: shares by day, and of all days with the layer's number."""

    layers: Sequence[Layer]
    legend: Sequence[tuple[int, str, str]]
    ends: tuple[str, str]
    table: Table


def placement_figures(placement: str, limit: int) -> dict[str, Any]:
    """Headline figures and sources of the last DAYS days; empty for a placement without a list."""
    rollups.roll_up_due(PAGE_SECONDS)
    days = counted_days(DAYS)
    found = figures(*days, ("placement",)).get((placement,))
    if found is None or not found.impressions:
        return {}
    return {
        "figures": [*cells(found)[:HEADLINES], *_of_lists(found, limit), *_of_latest(placement)],
        "figure_days": DAYS,
        "sources": _sources(placement, *days),
    }


def _of_lists(found: Kpi, limit: int) -> list[tuple[str, Cell]]:
    short = found.rate("short_share").value
    return [
        (_("Full lists"), Cell(NONE if short is None else percent(1 - short))),
        (
            _("Products in a list"),
            Cell(fixed(found.items_shown / found.impressions, 1), _("at most %d") % limit),
        ),
    ]


def _of_latest(placement: str) -> list[tuple[str, Cell]]:
    lists, products = products_reached(placement)
    if not lists:
        return []
    of = ngettext("of the latest list", "of the latest %(lists)s lists", lists)
    return [(_("Different products"), Cell(whole(products), of % {"lists": whole(lists)}))]


def _sources(placement: str, start: date, end: date) -> Sources:
    made: dict[str, dict[date, int]] = {}
    for (day, where, model, _run, step, *_test), kpi in figures(start, end, FINEST).items():
        if where == placement and kpi.impressions:
            by_day = made.setdefault(model or step_name(step), {})
            by_day[day] = by_day.get(day, 0) + kpi.impressions
    made = without_rare(made)
    days = list(each_day(start, end))
    columns = [{name: by_day[day] for name, by_day in made.items() if day in by_day} for day in days]
    layers = stacked_bars(
        columns, lambda place, name, share: colon(date_format(days[place]), f"{name} {percent(share)}")
    )
    legend = [(each.number, each.name, percent(each.share)) for each in layers]
    totals = [sum(column.values()) for column in columns]
    shares: dict[str, dict[float, str]] = {
        layer.name: {
            place: percent(column[layer.name] / total)
            for place, (column, total) in enumerate(zip(columns, totals, strict=True))
            if layer.name in column
        }
        for layer in layers
    }
    table = table_of(_("Day"), shares, lambda place: date_format(days[int(place)]))
    return Sources(layers, legend, (date_format(start), date_format(end)), table)


def without_rare(made: Mapping[str, dict[date, int]]) -> dict[str, dict[date, int]]:
    """The sources with most lists, and all others as one."""
    most = sorted(made, key=lambda name: -sum(made[name].values()))
    if len(most) <= LAYERS:
        return dict(made)
    kept = {name: made[name] for name in most[: LAYERS - 1]}
    others: dict[date, int] = {}
    for name in most[LAYERS - 1 :]:
        for day, lists in made[name].items():
            others[day] = others.get(day, 0) + lists
    return kept | {_("others"): others}
