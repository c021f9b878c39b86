"""The report: KPIs of a period by placement, model, step and variant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from django_sessrec.admin.acts import Act, may, require
from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.charts import Chart, Point, line_chart, table_of
from django_sessrec.admin.formatting import cards, cells, colon, interval, percent
from django_sessrec.admin.forms import PeriodForm
from django_sessrec.admin.products_page import products_page
from django_sessrec.admin.words import Named, placement_name, step_name
from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import Experiment, Variant
from django_sessrec.measuring import rollups
from django_sessrec.measuring.daily import INTENTS, SESSION_LENGTHS
from django_sessrec.measuring.days import last_days, today
from django_sessrec.measuring.export import csv_lines
from django_sessrec.measuring.kpis import Kpi, added, figures
from django_sessrec.measuring.report import PAGE_SECONDS, counted
from django_sessrec.models import AuditEntry, Report

EXPORTED = ("day", "placement", "model", "run", "step", "experiment", "variant")
PERIODS = (7, 30, 90)
LINES = 6  # of the chart
DAYS_ONE_BY_ONE = 100  # a longer period's days are added up to weeks


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """The page in place of a list of rows, and its figures as CSV."""

    class Media:
        css = {"all": ["sessrec/admin-charts.css"]}

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("export/", own(self.export_view), name="sessrec_report_export"),
            path("products/", own(self.products_view), name="sessrec_products"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        form = _period(request, self)
        context = self.admin_site.each_context(request) | {
            "title": _("All figures"),
            "opts": self.opts,
            "media": self.media,
            "form": form,
            "periods": _offered(request),
            "may_export": may(request, Act.EXPORT),
        }
        if form.is_valid():
            context |= _figures(**form.cleaned_data)
        return TemplateResponse(request, "admin/sessrec/report.html", context | (extra_context or {}))

    def products_view(self, request: HttpRequest) -> HttpResponse:
        """Products and data."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return products_page(self, request)

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The period's figures in the finest groups."""
        require(request, Act.EXPORT)
        form = _period(request, self)
        if not form.is_valid():
            return HttpResponse(form.errors.as_text(), status=400, content_type="text/plain; charset=utf-8")
        start, end = form.cleaned_data["start"], form.cleaned_data["end"]
        rollups.roll_up_due(PAGE_SECONDS)
        rows = figures(start, end, EXPORTED)
        period = {"start": start.isoformat(), "end": end.isoformat()}
        AuditEntry.objects.note(
            AuditEntry.Action.EXPORT, request.user.get_username(), rows=len(rows), **period
        )
        return HttpResponse(
            csv_lines(EXPORTED, rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="recommendations_{start}_{end}.csv"'},
        )


def _period(request: HttpRequest, model_admin: admin.ModelAdmin) -> PeriodForm:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    given = request.GET.dict()
    if not ({"start", "end"} & given.keys()):
        given["start"], given["end"] = (day.isoformat() for day in last_days(PERIODS[1]))
    return PeriodForm(given)


def _offered(request: HttpRequest) -> list[dict[str, Any]]:
    """The ready-made periods, and which of them is on the page."""
    offered = []
    for days in PERIODS:
        start, end = (day.isoformat() for day in last_days(days))
        chosen = (request.GET.get("start"), request.GET.get("end")) == (start, end)
        chosen |= days == PERIODS[1] and not request.GET
        offered.append({"days": days, "start": start, "end": end, "chosen": chosen})
    return offered


def _figures(start: date, end: date) -> dict[str, Any]:
    rollups.roll_up_due(PAGE_SECONDS)
    counted_at, uncounted = counted(start, end)
    by_variant = figures(start, end, ("placement", "experiment", "variant"))
    of_experiments = {key: kpi for key, kpi in by_variant.items() if key[1]}
    tables = [
        _table(
            _("By placement and model"),
            (_("Placement"), _("Model")),
            {
                (_placement(placement), model or _("no model")): kpi
                for (placement, model), kpi in figures(start, end, ("placement", "model")).items()
            },
        ),
        _experiments(_controls_first(of_experiments)),
        _table(
            _("By step"),
            (_("Placement"), _("Step")),
            {
                (_placement(placement), Named(step_name(step), step)): kpi
                for (placement, step), kpi in figures(start, end, ("placement", "step")).items()
            },
        ),
        _split(
            _("By clicks made before"), _("Clicks"), SESSION_LENGTHS, figures(start, end, ("session_length",))
        ),
        _split(_("By intents of the session"), _("Intents"), INTENTS, figures(start, end, ("intents",))),
    ]
    weekly = (end - start).days >= DAYS_ONE_BY_ONE
    step = "week" if weekly else "day"
    by_day, of_placements = figures(start, end, (step,)), figures(start, end, ("placement", step))
    latest_first = {(date_format(day),): kpi for (day,), kpi in reversed(by_day.items())}
    return {
        "cards": cards(added(by_day.values())),
        "chart": _chart(of_placements, start, end, weekly=weekly),
        "tables": [table for table in tables if table["rows"]],
        "days": _table(_("By week") if weekly else _("By day"), (_("Day"),), latest_first),
        "growing": end >= today() - timedelta(hours=sessrec_settings.ATTRIBUTION_HOURS),
        "counted_at": counted_at,
        "uncounted": uncounted,
        "hours": sessrec_settings.ATTRIBUTION_HOURS,
        "start": start,
        "end": end,
    }


def _placement(key: str) -> Named:
    return Named(placement_name(key), key)


def _table(title: str, keys: tuple[str, ...], figures: Mapping[Any, Kpi]) -> dict[str, Any]:
    """The figures by key, a tuple of what stands in the columns `keys`."""
    return {
        "title": title,
        "keys": keys,
        "headings": [heading for heading, _cell in cells(Kpi())],
        "rows": [(key, cells(kpi)) for key, kpi in figures.items()],
    }


def _split(title: str, key: str, groups: Iterable[str], figures: Mapping[tuple[str], Kpi]) -> dict[str, Any]:
    """The figures by kind of session, in the order of `groups`; lists of which it is not known come last."""
    named = {(name or _("not known"),): figures[name,] for name in (*groups, "") if (name,) in figures}
    return _table(title, (key,), named if set(figures) - {("",)} else {})


def _controls_first(
    figures: Mapping[tuple[str, str, str], Kpi],
) -> dict[tuple[str, str, str], Kpi]:
    """The variants of each experiment as its page has them: the control first."""
    known = Variant.objects.values_list("experiment__name", "name", "place")
    places = {(experiment, variant): place for experiment, variant, place in known}
    order = sorted(figures, key=lambda key: (*key[:2], places.get(key[1:], len(places)), key[2]))
    return {key: figures[key] for key in order}


def _experiments(figures: Mapping[tuple[str, str, str], Kpi]) -> dict[str, Any]:
    """The variants, and the experiments whose pages say which is better: these intervals are for one look."""
    named = {
        (_placement(placement), colon(name, variant)): kpi
        for (placement, name, variant), kpi in figures.items()
    }
    table = _table(_("By experiment"), (_("Placement"), _("Variant")), named)
    pages = Experiment.objects.filter(name__in={name for _placement, name, _variant in figures})
    return table | {"experiments": [(each.pk, each.name) for each in pages]}


def _most_shown(by_placement: Mapping[tuple[str, date], Kpi]) -> dict[tuple[str, date], Kpi]:
    """The figures of the placements with the most lists, and all others' as one, under an empty name."""
    lists: Counter[str] = Counter()
    for (placement, _day), kpi in by_placement.items():
        lists[placement] += kpi.impressions
    if len(lists) <= LINES:
        return dict(by_placement)
    alone = {placement for placement, _lists in lists.most_common(LINES - 1)}
    others: dict[date, Kpi] = {}
    for (placement, day), kpi in by_placement.items():
        if placement not in alone:
            others[day] = added((others.get(day, Kpi()), kpi))
    shown = {key: kpi for key, kpi in by_placement.items() if key[0] in alone}
    return shown | {("", day): others[day] for day in sorted(others)}


def _chart(
    by_placement: Mapping[tuple[str, date], Kpi], start: date, end: date, *, weekly: bool
) -> Chart | None:
    """Clicked lists per shown list by day or week, one line per placement, each with its 95 % interval."""
    series: dict[str, list[Point]] = {}
    told: dict[str, dict[float, str]] = {}
    for (placement, day), kpi in _most_shown(by_placement).items():
        rate = kpi.rate("ctr")
        if rate.value is not None:
            name = placement_name(placement) or _("others")
            figure = f"{percent(rate.value)} ({interval(rate)})"
            words = colon(f"{name}, {date_format(day)}", figure)
            point = Point(day.toordinal(), rate.value, words, *rate.interval)
            series.setdefault(name, []).append(point)
            told.setdefault(name, {})[day.toordinal()] = figure
    ends = ((start.toordinal(), date_format(start)), (end.toordinal(), date_format(end)))
    title = _("Click-through rate per week") if weekly else _("Click-through rate per day")
    table = table_of(_("Day"), told, lambda day: date_format(date.fromordinal(int(day))))
    return line_chart(title, series, ends=ends, label=percent, table=table)
