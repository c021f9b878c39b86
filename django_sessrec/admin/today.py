"""Today: what recommendations earn, what needs somebody, and what runs; in a new shop what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.admin import experiment_words
from django_sessrec.admin.charts import sparkline
from django_sessrec.admin.flags import flags
from django_sessrec.admin.formatting import (
    NONE,
    PER_CENT,
    colon,
    interval,
    money,
    percent,
    share_of_all,
    signed,
    whole,
)
from django_sessrec.admin.run_figures import overall_progress, stage_label
from django_sessrec.admin.today_chart import chart, length_of, money_of, plot, rows
from django_sessrec.admin.words import placement_name
from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import Experiment
from django_sessrec.measuring.comparison import Difference, difference
from django_sessrec.measuring.days import each_day, last_days, today, whole_days
from django_sessrec.measuring.definitions import DEFINITIONS
from django_sessrec.measuring.kpis import (
    Kpi,
    Pages,
    Sessions,
    added,
    figures,
    sales_difference,
    share_difference,
)
from django_sessrec.measuring.report import Compared, Report, counted_up_to, report
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.alarms import alarms
from django_sessrec.operations.declared_experiments import stands_in_place_of
from django_sessrec.operations.experiments import judgement, take_in_declared, waits_for
from django_sessrec.operations.findings import Code, Finding, Level
from django_sessrec.operations.readiness import Step, steps, sum_of
from django_sessrec.operations.trained_models import trained_models
from django_sessrec.safety import isolated

PERIODS = (7, 28, 90)
USUAL = 28
MOST_FINDINGS = 6
ALARMS_OF_RUNS = frozenset({Code.ALARM_MODEL_AGE, Code.ALARM_ACCURACY})
OPEN = (Experiment.State.WAITING, Experiment.State.RUNNING)


@dataclass(frozen=True, slots=True)
class Card:
    """A headline figure, what it was before, how it went day by day, and how it is counted."""

    title: str
    value: str
    change: str
    good: bool | None  # whether the change is good news; None where it may be chance, or is neither
    note: str
    spark: str
    counted: Sequence[str]


def period_of(given: str) -> int:
    """Days of one of PERIODS; the usual ones for anything else."""
    return next((days for days in PERIODS if given == str(days)), USUAL)


def today_context(days: int, user: Any) -> dict[str, Any]:
    """Everything on the page, for the last `days` whole days and the user who looks at it."""
    this = _report(days)
    setup = steps()
    if not this.whole.now.impressions and not this.whole.before.impressions:
        return {"setup": setup, "done": sum(step.done for step in setup), "days": days}
    currency = main_currency(this)
    needs = needs_you(setup, user)
    return {
        "days": days,
        "periods": [{"days": each, "chosen": each == days} for each in PERIODS],
        "sentence": sentence(this, currency, len(needs)),
        "so_far": _so_far(this, currency),
        "cards": list(_cards(this, currency)),
        "chart": chart(this, currency, changed := flags(this.start, this.end, user)),
        "plot": plot(this, currency, changed),
        "changed": [(date_format(day), words) for day, words in changed.items()],
        "currency": currency,
        "rows": list(rows(this, currency)),
        "total": DEFINITIONS["total"].name,
        "needs": needs[:MOST_FINDINGS],
        "more_needs": max(0, len(needs) - MOST_FINDINGS),
        "running": list(_running()),
        "experiments": list(_experiments()),
        "placements": [_of_placement(this, name, each, currency) for name, each in this.by_placement.items()],
        "models": list(_models()),
        "uncounted": this.uncounted,
        "counted_at": counted_up_to(),
        "days_before": this.days_before,
        "start": this.start,
        "end": this.end,
    }


def _report(days: int) -> Report:
    """The last `days` whole days; on a shop's first day what it has.

    Today is no day to hold against whole ones: until midnight a steady shop would seem to fall.
    """
    this = report(*whole_days(days))
    known = this.whole.now.impressions or this.whole.before.impressions
    return this if known else report(*last_days(days))


def _so_far(this: Report, currency: str) -> str:
    """What today has brought up to now, apart from the days that are over."""
    if this.end >= today():
        return ""
    until = _("Whole days up to %(day)s.") % {"day": date_format(this.end)}
    now = added(figures(today(), today(), ("day",)).values())
    sold = money_of(now, currency)
    amounts = {"direct": money({currency: sold.direct}), "total": money({currency: sold.total})}
    lists = ngettext("%(lists)s list", "%(lists)s lists", now.impressions) % {"lists": whole(now.impressions)}
    if sold.total:
        told = _("Today so far: %(lists)s, %(direct)s after a click of %(total)s in sales.")
    else:
        told = _("Today so far: %(lists)s and no order.")
    return f"{until} {told % {'lists': lists, **amounts}}"


def main_currency(this: Report) -> str:
    """The one in which most was sold; the others stand in the report."""
    sold = this.whole.now.money or this.whole.before.money
    return max(sold, key=lambda currency: sold[currency].total, default="")


def sentence(this: Report, currency: str, needs: int) -> str:
    """What the period brought, and whether anything needs somebody."""
    now = money_of(this.whole.now, currency)
    all_well = (
        _("All well.") if not needs else ngettext("%d thing needs you.", "%d things need you.", needs) % needs
    )
    if not now.total:
        words = _("No order was recorded in these days: what recommendations bring is not known.")
        return f"{all_well} {words}"
    earned = {"earned": money({currency: now.direct}), "share": percent(now.share or 0)}
    words = _("Recommendations brought %(earned)s (%(share)s of recorded sales).") % earned
    return " ".join(filter(None, (all_well, words, _against_before(this, currency))))


def _against_before(this: Report, currency: str) -> str:
    """How much more was earned than before, or since when that can be said."""
    now, before = (money_of(kpi, currency) for kpi in (this.whole.now, this.whole.before))
    length = length_of(this)
    if this.days_before == 0 and this.comparable_from:
        day = {"day": date_format(this.comparable_from + (today() - this.end))}
        return _("A comparison with the days before is possible from %(day)s on.") % day
    if not before.total:
        return ""
    if this.days_before == length:
        change = now.direct - before.direct
        more = _("That is %(amount)s more than in the days before.")
        less = _("That is %(amount)s less than in the days before.")
    else:
        change = now.direct / length - before.direct / this.days_before
        more = _("That is %(amount)s a day more than in the %(days)d days before, as far as figures reach.")
        less = _("That is %(amount)s a day less than in the %(days)d days before, as far as figures reach.")
    amount = money({currency: abs(change)})
    if amount == money({currency: Decimal(0)}):
        return _("That is as much as in the days before.")
    return (more if change > 0 else less) % {"amount": amount, "days": this.days_before}


def _cards(this: Report, currency: str) -> Iterator[Card]:
    now, before = this.whole.now, this.whole.before
    of_days = [this.by_day.get(day, Kpi()) for day in each_day(this.start, this.end)]
    sold, sold_before = money_of(now, currency), money_of(before, currency)
    margin = now.revenue_margin(currency) if currency in now.money else None
    usual = _as_long(this, sold_before.direct)
    ends = sold.share_interval
    yield Card(
        str(DEFINITIONS["direct"].name),
        money({currency: sold.direct}) if sold.total else NONE,
        _relative(sold.direct, usual),
        _good(sales_difference(now, before, currency, _longer(this))),
        "" if margin is None else f"\N{PLUS-MINUS SIGN} {money({currency: Decimal(margin)})}",
        sparkline([float(money_of(each, currency).direct) for each in of_days]),
        [
            _definition("direct"),
            _("Other currencies stand in the report; they are never added up."),
            _("Orders of the last days may still come back: their sales shrink for some time."),
        ],
    )
    yield Card(
        _("Share of sales"),
        NONE if sold.share is None else percent(sold.share),
        _points(sold.share, sold_before.share),
        _good(share_difference(sold, sold_before)),
        "; ".join(filter(None, (ends and _range(ends), share_of_all({currency: sold})))),
        sparkline([money_of(each, currency).share or 0.0 for each in of_days]),
        [
            _("Sales after a click as a share of recorded sales, both less refunds."),
            _("Recorded sales are those of sessions with consent: no others can be credited to a list."),
        ],
    )
    seen, clicked = now.rate("viewability"), now.rate("ctr")
    yield Card(
        _("Lists seen, clicked"),
        f"{percent(seen.value) if now.seen_impressions and seen.value else NONE}, "
        f"{percent(clicked.value) if clicked.value is not None else NONE}",
        _points(clicked.value, before.rate("ctr").value),
        _good(difference(clicked, before.rate("ctr"))),
        _("clicked: %(interval)s") % {"interval": interval(clicked)} if clicked.value is not None else "",
        sparkline([each.rate("ctr").value or 0.0 for each in of_days]),
        [_definition("viewability"), _definition("ctr")],
    )
    visits, visits_before = (
        sum_of(Sessions, each.values()) for each in (this.sessions, this.sessions_before)
    )
    left_out = visits.bots + visits.quarantined
    notes = [ngettext("%s bot or quarantined", "%s bots or quarantined", left_out) % whole(left_out)]
    if (consent := sum_of(Pages, this.pages.values()).consent_share) is not None:
        notes.append(_("%s of the pages with consent") % percent(consent))
    usual = _as_long(this, visits_before.sessions)
    yield Card(
        _("Sessions that count"),
        whole(visits.sessions),
        _relative(visits.sessions, usual),
        None,
        "; ".join(notes),
        sparkline(
            [
                float(this.sessions[day].sessions) if day in this.sessions else 0.0
                for day in each_day(this.start, this.end)
            ]
        ),
        [_definition("sessions"), _definition("bots")],
    )


def _definition(key: str) -> str:
    definition = DEFINITIONS[key]
    return colon(definition.name, f"{definition.formula}.")


def _as_long(this: Report, before: Decimal | int) -> Decimal:
    """A sum of the days before as it were in as many days as the period has."""
    return before * _longer(this)


def _longer(this: Report) -> Decimal:
    """How many times as many days the period has as the days before."""
    return Decimal(length_of(this)) / (this.days_before or 1)


def _relative(now: Decimal | int, before: Decimal) -> str:
    """The change in per cent; empty where there was nothing before."""
    return signed(100 * (now - before) / before, 1) + PER_CENT if before else ""


def _points(now: float | None, before: float | None) -> str:
    if now is None or before is None:
        return ""
    return _("%s points") % signed(100 * (now - before), 1)


def _good(change: Difference | None) -> bool | None:
    """Whether it rose; None where that is not known, or the change may be chance."""
    return None if change is None or change.low <= 0 <= change.high else change.low > 0


def _range(ends: tuple[float, float]) -> str:
    return f"{percent(max(0.0, ends[0]))} \N{EN DASH} {percent(ends[1])}"


def needs_you(setup: Sequence[Step], user: Any) -> list[Finding | Step]:
    """What somebody should do, the worst first; a step of setting up only where nothing is wrong.

    user: who is told; one who may not see training runs reads that a model needs somebody, and not which run
    """
    found = [each for each in (*alarms(), *trained_models()) if each.level != Level.OK]
    if not user.has_perm("sessrec.view_trainingrun"):
        found = _without_runs(found)
    found.sort(key=lambda each: each.level != Level.FAIL)
    needs: list[Finding | Step] = [*found, *(step for step in setup if not step.done)]
    return needs


def _without_runs(found: Sequence[Finding]) -> list[Finding]:
    """One finding, as bad as the worst, in place of all that tell of training runs."""
    of_runs = [each for each in found if each.subject == "model" or each.code in ALARMS_OF_RUNS]
    others = [each for each in found if each not in of_runs]
    if not of_runs:
        return others
    worst = max(of_runs, key=lambda each: each.level == Level.FAIL)
    remedy = _("Tell somebody who may see training runs.")
    return [*others, replace(worst, message=_("A model needs attention."), remedy=remedy)]


def _experiments() -> Iterator[dict[str, Any]]:
    """Open experiments and the verdict on each; those that the settings declare are taken in first."""
    with isolated("take in the experiments that the settings declare"):
        take_in_declared()
    for experiment in Experiment.objects.filter(state__in=OPEN):
        verdict = experiment_words.sentence(
            experiment, judgement(experiment), waits_for(experiment), stands_in_place_of(experiment)
        )
        yield {"experiment": experiment, "name": experiment.name, "state": verdict}


def _running() -> Iterator[dict[str, Any]]:
    for run in TrainingRun.objects.filter(state=TrainingRun.State.RUNNING):
        yield {"run": run, "stage": stage_label(run), "progress": overall_progress(run)}


def _models() -> Iterator[dict[str, Any]]:
    for model in sessrec_settings.MODELS:
        latest = Promotion.objects.filter(model=model).select_related("run").first()
        yield {"name": model, "promotion": latest}


def _of_placement(this: Report, name: str, each: Compared, currency: str) -> dict[str, Any]:
    now, before = money_of(each.now, currency), _as_long(this, money_of(each.before, currency).direct)
    seen, clicked = each.now.rate("viewability").value, each.now.rate("ctr").value
    good = _good(sales_difference(each.now, each.before, currency, _longer(this)))
    return {
        "name": placement_name(name),
        "key": name if name in sessrec_settings.PLACEMENTS else "",  # one that the shop took out has no page
        "shown": whole(each.now.impressions),
        "seen": percent(seen) if seen else NONE,
        "clicked": NONE if clicked is None else percent(clicked),
        "sales": money({currency: now.direct}) if now.direct_orders else NONE,
        "change": _relative(now.direct, before),
        "css": {True: "sessrec-better", False: "sessrec-worse", None: ""}[good],
    }


def status_sentence(user: Any) -> str:
    """The sentence of Today, for the shop's own index and the user who looks at it."""
    this = _report(USUAL)
    return sentence(this, main_currency(this), len(needs_you(steps(), user)))
