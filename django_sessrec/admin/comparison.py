"""The page that holds two runs against each other, on the same clicks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_sessrec.admin.acts import CONFIRMED, LONGEST_REASON, Act, may
from django_sessrec.admin.charts import Interval, intervals
from django_sessrec.admin.formatting import PER_CENT, fixed, percent, signed, whole
from django_sessrec.admin.forms import DayField
from django_sessrec.admin.products import shown_products
from django_sessrec.measuring.days import ONE, first_moment, today
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.training.comparison import Comparison, NotComparable, Pair, comparable, compare
from django_sessrec.training.replay import SHOWN, Replay, replay

RUNS_OFFERED = 40


class RunsForm(forms.Form):
    """Which two runs; those whose models are still on disk."""

    one = forms.ChoiceField(label=gettext_lazy("Compare"))
    other = forms.ChoiceField(label=gettext_lazy("with"))
    day = DayField(label=gettext_lazy("and replay the sessions of"), required=False)

    def __init__(self, runs: Mapping[int, TrainingRun], given: Mapping[str, Any]) -> None:
        super().__init__(given)
        choices = [(str(pk), str(run)) for pk, run in runs.items()]
        for name in ("one", "other"):
            self.fields[name].choices = choices  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Row:
    """One group of clicks: both hit rates, the difference with its interval, and that drawn."""

    label: str
    pair: Pair
    cases: str
    one: str
    other: str
    difference: str
    margin: str
    interval: Interval


def comparison_page(model_admin: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """?one=13&other=31&day=2026-11-27, or the form alone."""
    published = TrainingRun.objects.filter(state=TrainingRun.State.PUBLISHED)[:RUNS_OFFERED]
    runs = {run.pk: run for run in published if comparable(run)}
    yesterday = today() - ONE
    given = {**_suggested(runs), "day": yesterday.isoformat(), **request.GET.dict()}
    form = RunsForm(runs, given)
    context = model_admin.admin_site.each_context(request) | {
        "title": _("Compare two runs"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "enough": len(runs) > 1,
    }
    if "one" in request.GET and form.is_valid():
        one, other = (runs[int(form.cleaned_data[name])] for name in ("one", "other"))
        day = form.cleaned_data["day"] or yesterday
        context |= {"one": one, "other": other, **_compared(one, other), **_replayed(one, other, day)}
        serves = Promotion.objects.active(one.model) == one
        context["may_promote"] = may(request, Act.PROMOTE) and not serves
        context |= {"confirmed": CONFIRMED, "longest_reason": LONGEST_REASON}
    return TemplateResponse(request, "admin/sessrec/trainingrun/compare.html", context)


def _suggested(runs: Mapping[int, TrainingRun]) -> dict[str, str]:
    """The newest run that does not serve, else the newest, and what serves in its place or beside it."""
    serving = {
        run.pk for model in {run.model for run in runs.values()} if (run := Promotion.objects.active(model))
    }
    newest = next((run for pk, run in runs.items() if pk not in serving), next(iter(runs.values()), None))
    if newest is None:
        return {}
    beside = [run for pk, run in runs.items() if pk in serving and pk != newest.pk]
    beside.sort(key=lambda run: run.model != newest.model)  # the same model's first
    return {"one": str(newest.pk), "other": str((beside or [newest])[0].pk)}


def _compared(one: TrainingRun, other: TrainingRun) -> dict[str, Any]:
    if one == other:
        return {"problem": _("Choose two different runs.")}
    try:
        found = compare(one, other)
    except NotComparable as reason:
        return {"problem": str(reason)}
    tables = _of_baskets(found) if found.baskets else _of_clicks(found)
    pairs = [pair for _title, _first, rows in tables for pair in rows.values()]
    drawn = dict(
        zip(map(id, pairs), intervals([(pair.difference, pair.margin) for pair in pairs]), strict=True)
    )
    return {
        "found": found,
        "verdict": _verdict(found, str(one), str(other)),
        "days": f"{date_format(localtime(found.since))} \N{EN DASH} {date_format(localtime(found.until))}",
        "tables": [
            (title, first, [_row(label, pair, drawn[id(pair)]) for label, pair in rows.items()])
            for title, first, rows in tables
        ],
    }


Groups = list[tuple[str, str, Mapping[str, Pair]]]  # a table's title, its first heading, its rows


def _of_clicks(found: Comparison) -> Groups:
    named = {
        _("All clicks"): found.overall,
        _("...on a product that the session had not viewed"): found.new,
    }
    return [
        (_("Next click found among 20 (HR@20)"), _("Clicks"), named),
        (_("New products, by clicks made before"), _("Clicks before"), found.by_length),
        (_("New products, by number of intents"), _("Intents"), found.by_intents),
    ]


def _of_baskets(found: Comparison) -> Groups:
    named = {_("All products put into a basket"): found.overall}
    return [
        (_("Next product of the basket found among 20 (HR@20)"), _("Products"), named),
        (_("By products in the basket before"), _("In the basket"), found.by_length),
        (_("By number of intents"), _("Intents"), found.by_intents),
    ]


def _replayed(one: TrainingRun, other: TrainingRun, day: date) -> dict[str, Any]:
    """What would have changed in the lists of a day's sessions."""
    if one == other:
        return {}
    try:
        made = replay(one, other, day)
    except NotComparable as reason:
        return {"day": day, "not_replayed": str(reason)}
    return {
        "day": day,
        "replayed": made,
        "part_of_day": made.since > first_moment(day),
        "differ": percent(made.differ / made.replayed),
        "starts_differ": percent(made.starts_differ / made.replayed),
        "shared": fixed(made.shared / made.replayed, 1),
        "shown": SHOWN,
        "reached": [percent(share) for share in made.reached],
        "examples": list(_examples(made)),
    }


def _row(label: str, pair: Pair, interval: Interval) -> Row:
    return Row(
        label,
        pair,
        whole(pair.cases),
        fixed(100 * pair.one, 1) + PER_CENT,
        fixed(100 * pair.other, 1) + PER_CENT,
        signed(100 * pair.difference, 1),
        fixed(100 * pair.margin, 1),
        interval,
    )


def _verdict(found: Comparison, one: str, other: str) -> str:
    """One sentence on what shoppers would notice: products that they had not seen."""
    pair = found.new if found.new.cases and not found.baskets else found.overall
    words = {
        "one": one,
        "other": other,
        "difference": fixed(abs(100 * pair.difference), 1),
        "margin": fixed(100 * pair.margin, 1),
        "cases": whole(pair.cases),
    }
    return (_in_baskets if found.baskets else _in_clicks)(pair) % words


def _in_clicks(pair: Pair) -> str:
    if not pair.difference and not pair.margin:
        return _("%(one)s and %(other)s find exactly the same of %(cases)s clicks.")
    if pair.is_chance:
        return _(
            "No difference beyond chance: on %(cases)s clicks %(one)s and %(other)s differ by "
            "%(difference)s points, and chance alone makes up to %(margin)s."
        )
    if pair.difference > 0:
        return _("Of 100 next clicks %(one)s finds %(difference)s more than %(other)s (± %(margin)s).")
    return _("Of 100 next clicks %(one)s finds %(difference)s fewer than %(other)s (± %(margin)s).")


def _in_baskets(pair: Pair) -> str:
    if not pair.difference and not pair.margin:
        return _("%(one)s and %(other)s find exactly the same of %(cases)s products put into baskets.")
    if pair.is_chance:
        return _(
            "No difference beyond chance: on %(cases)s products put into baskets %(one)s and %(other)s differ"
            " by %(difference)s points, and chance alone makes up to %(margin)s."
        )
    if pair.difference > 0:
        return _(
            "Of 100 products put into baskets %(one)s finds %(difference)s more than %(other)s"
            " (± %(margin)s)."
        )
    return _(
        "Of 100 products put into baskets %(one)s finds %(difference)s fewer than %(other)s (± %(margin)s)."
    )


def _examples(made: Replay) -> Iterator[dict[str, Any]]:
    ids = [item for each in made.examples for items in (each.clicked, each.one, each.other) for item in items]
    products = shown_products(ids)
    for each in made.examples:
        yield {
            "clicked": [products[item_id] for item_id in each.clicked],
            "lists": [[products[item_id] for item_id in items] for items in (each.one, each.other)],
        }
