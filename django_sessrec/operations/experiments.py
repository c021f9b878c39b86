"""The life of an experiment: draft, waiting, running, stopped; the schedule tends those that are open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from django.db.models import Max, Min, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import ArmLine, DailyArm, DailyArmOrders, Experiment, Variant
from django_sessrec.measuring.arms import arms, usual
from django_sessrec.measuring.days import ONE, day_of, first_moment, today
from django_sessrec.measuring.rollups import days_with_rows, roll_up
from django_sessrec.measuring.sequences import TUNED_FOR
from django_sessrec.measuring.verdicts import Judgement, Verdict, judge, planned_sessions
from django_sessrec.models import AuditEntry, Impression, Promotion
from django_sessrec.operations.declared_experiments import (
    declared,
    declared_on,
    differ,
    for_everybody,
    json_able,
)
from django_sessrec.operations.sales_cap import sales_cap, usual_currency
from django_sessrec.serving import experiments as serving
from django_sessrec.serving.fallback import hears_models

BASELINE_DAYS: Final = 7  # before an experiment, from which it is planned
RAMPED: Final = "ramped"  # in the audit trail

State = Experiment.State


class ExperimentError(Exception):
    """An act that the experiment's state does not allow, with the reason."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long an experiment takes at the traffic of the last days.

    - `sessions`: of all its arms, to find its smallest effect; None where nothing is known of the placement
    - `a_day`: sessions that would take part
    - `part`: the share of all sessions that `a_day` is; all where nobody takes part yet, as in a shadow
    """

    sessions: int | None
    a_day: float
    part: float = 1.0

    @property
    def days(self) -> int | None:
        """Until `sessions` have taken part; None where there is no end to see."""
        return ceil(self.sessions / self.a_day) if self.sessions and self.a_day else None


def start(experiment: Experiment) -> None:
    """Let sessions take part, as soon as every variant's first model serves.

    Raises ExperimentError where it is no draft, or another one is open on its placement.
    """
    with _held(experiment):
        if experiment.state != State.DRAFT:
            raise ExperimentError(_("Only a draft can be started."))
        if experiment.placement not in sessrec_settings.PLACEMENTS:
            raise ExperimentError(_("The settings no longer have its placement: it would wait for ever."))
        if other := open_on(experiment.placement):
            words = _("“%(other)s” is open on this placement: stop it first.")
            raise ExperimentError(words % {"other": other})
        experiment.state = State.WAITING
        experiment.save()
    _begin_if_ready(experiment)


def open_on(placement: str) -> Experiment | None:
    """The admin's experiment that waits or runs there."""
    open_ones = (State.WAITING, State.RUNNING)
    return Experiment.objects.filter(placement=placement, state__in=open_ones, declared=False).first()


def ramp(experiment: Experiment, part: float) -> None:
    """Let this share of all sessions take part, 0 to 1: more besides those that do, or only some of them."""
    with _held(experiment):
        if not experiment.is_open:
            raise ExperimentError(_("Only an open experiment can be ramped."))
        if experiment.declared:
            raise ExperimentError(_("The settings declare it: take it out of them."))
        experiment.part = part
        experiment.save()
    serving.expire()


def stop(experiment: Experiment, reason: str, keep: str = "", by: str = "schedule") -> None:
    """End it; `keep` names a variant that everybody gets from now on, instead of the placement without it."""
    with _held(experiment), _what_everybody_gets(experiment.placement, by):
        if not experiment.is_open:
            raise ExperimentError(_("Only an open experiment can be stopped."))
        if experiment.declared:
            raise ExperimentError(_("The settings declare it: take it out of them."))
        experiment.state, experiment.stopped_at = State.STOPPED, timezone.now()
        experiment.stop_reason, experiment.kept = reason, keep
        experiment.save()
    serving.expire()


def keep(experiment: Experiment, variant: str, by: str) -> None:
    """Give everybody a variant of a stopped experiment, or with an empty name the placement without it."""
    with _held(experiment), _what_everybody_gets(experiment.placement, by):
        if experiment.state != State.STOPPED or experiment.declared:
            raise ExperimentError(_("Only an experiment that was stopped here leaves a variant."))
        if other := open_on(experiment.placement):
            words = _("“%(other)s” is open on this placement, and its lists would change: stop it first.")
            raise ExperimentError(words % {"other": other})
        experiment.kept = variant
        experiment.save()
    serving.expire()


def discard(experiment: Experiment) -> None:
    """Delete a draft; what has run stays, with its figures."""
    with _held(experiment):
        if experiment.state != State.DRAFT:
            raise ExperimentError(_("Only a draft can be discarded."))
        experiment.delete()


@contextmanager
def _held(experiment: Experiment) -> Iterator[None]:
    """Inside, the row is as it now is, and nobody else changes an experiment of its placement.

    Two people who act at once, or a person and the schedule, would otherwise undo each other's act: a whole
    row is saved. Raises ExperimentError where it was discarded meanwhile.
    """
    with database.atomic():
        of_placement = Experiment.objects.select_for_update().filter(placement=experiment.placement)
        if experiment.pk not in set(of_placement.order_by("pk").values_list("pk", flat=True)):
            raise ExperimentError(_("It is discarded already."))
        experiment.refresh_from_db()
        yield


@contextmanager
def _what_everybody_gets(placement: str, by: str) -> Iterator[None]:
    """Inside, that may change: sessions of an experiment that the settings declare there saw other lists."""
    open_ones = Experiment.objects.filter(
        name=declared_on(placement), declared=True, state__in=(State.WAITING, State.RUNNING)
    )
    known = [(one, for_everybody(one)) for one in open_ones]
    yield
    for one, before in known:
        if differ(before, for_everybody(one)):
            with _held(one):
                _count_anew(one, by, _everybody_gets_another())


def _everybody_gets_another() -> str:
    return _("What everybody gets on its placement has changed.")


def waits_for(experiment: Experiment) -> list[str]:
    """Variants' first models of which no run serves: until then nothing is compared."""
    models = dict.fromkeys(_first_model(experiment, each) for each in experiment.variants.all())
    return [model for model in models if model and Promotion.objects.active(model) is None]


def plan(experiment: Experiment) -> Plan:
    """How long it takes at the traffic of the last days, by what the sessions of its placement did."""
    now = timezone.now()
    since = now - timedelta(days=BASELINE_DAYS)
    currency = experiment.currency or usual_currency()
    cap = experiment.cap if experiment.counted_from else sales_cap(currency)
    baseline = usual(experiment.placement, since, now, currency, cap)
    part = experiment.part or 1.0
    shares = [each.share for each in experiment.variants.all()]
    sessions = planned_sessions(experiment, baseline, shares)
    return Plan(sessions, baseline.sessions / BASELINE_DAYS * part, part)


def sessions_a_day(experiment: Experiment) -> float:
    """How many take part now: those of the last week, since the last ramp.

    Days before the last ramp and its own are left out: other parts of the sessions took part. Until the first
    day after it is over, it is the part of the sessions of its placement.
    """
    now = timezone.now()
    ramps = AuditEntry.objects.filter(
        action=AuditEntry.Action.EXPERIMENT, detail__experiment=experiment.name, detail__change=RAMPED
    )
    moments = [first_moment(today() - timedelta(days=BASELINE_DAYS)), experiment.counted_from]
    if ramped_at := ramps.aggregate(at=Max("happened_at"))["at"]:
        next_day = day_of(ramped_at) + ONE
        if next_day >= today():
            before = usual(experiment.placement, now - timedelta(days=BASELINE_DAYS), now)
            return before.sessions / BASELINE_DAYS * experiment.part
        moments.append(first_moment(next_day))
    since: datetime = max(filter(None, moments))
    counted = DailyArm.objects.filter(experiment=experiment.name, day__gte=day_of(since))
    sessions: int = counted.aggregate(all=Sum("sessions"))["all"] or 0
    return sessions / max((now - since) / timedelta(days=1), 1 / 24)


def tend() -> dict[str, list[str]]:
    """Take in what the settings declare, begin what waited, and stop what fails; names by what was done."""
    done: dict[str, list[str]] = {"declared": take_in_declared(), "begun": [], "stopped": []}
    for experiment in Experiment.objects.filter(state=State.WAITING):
        if _begin_if_ready(experiment):
            done["begun"].append(experiment.name)
    for experiment in Experiment.objects.filter(state=State.RUNNING, currency=""):
        _take_currency(experiment)
    for experiment in Experiment.objects.filter(state=State.RUNNING, stops_itself=True, declared=False):
        if reason := why_stop(experiment):
            try:
                stop(experiment, reason)
            except ExperimentError:  # somebody was faster
                continue
            note("stopped", experiment, "schedule", reason)
            done["stopped"].append(experiment.name)
    return done


def judgement(experiment: Experiment) -> Judgement:
    """The experiment's figures up to now, and the verdict on them."""
    return judge(experiment, list(experiment.variants.all()), arms(experiment))


def why_stop(experiment: Experiment) -> str:
    """The stop rule that the experiment's figures break, in words; empty where they break none."""
    judged = judgement(experiment)
    if judged.verdict == Verdict.BROKEN:  # no figure can be trusted, in either direction
        return ""
    if judged.failed:
        variant, guard = judged.failed[0]
        words = {
            "full": _("guard rail: “%(variant)s” surely has fewer full lists than the control"),
            "refunds": _("guard rail: “%(variant)s” surely has more refunds than the control"),
            "time": _("guard rail: “%(variant)s” surely has slower lists than the control"),
        }
        return words[guard] % {"variant": variant}
    if judged.verdict == Verdict.WORSE:
        return _("no variant is as good as the control")
    return ""


def take_in_declared() -> list[str]:
    """Rows of the experiments that the settings declare, so that their pages are like those of the others.

    One that is declared otherwise than before, or whose placement has changed, is counted anew: sessions that
    were split otherwise or saw other lists can't be added up with those to come.
    """
    names = []
    found = declared()
    for name, (placements, variants) in found.items():
        columns = {
            variant: {"place": place, "share": keys["SHARE"], "changes": json_able(keys)}
            for place, (variant, keys) in enumerate(variants.items())
        }
        experiment, new = Experiment.objects.get_or_create(
            name=name,
            defaults={"placement": placements[0], "declared": True, "state": State.WAITING},
        )
        if not experiment.declared:
            continue
        with _held(experiment):
            before = _variants(experiment)
            for variant, values in columns.items():
                experiment.variants.update_or_create(name=variant, defaults=values)
            experiment.variants.exclude(name__in=columns).delete()
            moved = experiment.placement not in placements
            if moved:
                experiment.placement = placements[0]
            now = for_everybody(experiment)
            if moved or (before and before != _variants(experiment)):
                reason = _("The settings declare it otherwise than before.")
                _count_anew(experiment, "settings", reason)
            elif differ(experiment.settled or {}, now):
                _count_anew(experiment, "settings", _everybody_gets_another())
            else:
                if experiment.state == State.STOPPED:  # declared again
                    experiment.state, experiment.stopped_at = State.WAITING, None
                experiment.settled = now
                experiment.save()
        names += [name] if new else []
    gone = Experiment.objects.filter(declared=True, state__in=(State.WAITING, State.RUNNING))
    gone.exclude(name__in=found).update(state=State.STOPPED, stopped_at=timezone.now())
    return names


def _variants(experiment: Experiment) -> list[tuple[Any, ...]]:
    return list(experiment.variants.values_list("name", "place", "share", "changes"))


def _count_anew(experiment: Experiment, by: str, reason: str) -> None:
    """Forget what was counted, and wait until every variant serves."""
    for counted in (DailyArm, DailyArmOrders, ArmLine):
        counted.objects.filter(experiment=experiment.name).delete()
    experiment.state, experiment.stopped_at = State.WAITING, None
    experiment.counted_from, experiment.tuned_for = timezone.now(), None
    experiment.settled = for_everybody(experiment)
    experiment.save()
    note("counted anew", experiment, by, reason)


def _begin_if_ready(experiment: Experiment) -> bool:
    """Whether a waiting experiment runs now."""
    serving.expire()  # what another one has left a moment ago belongs to this one's control
    known = experiment.placement in sessrec_settings.PLACEMENTS
    if experiment.state != State.WAITING or not known or waits_for(experiment):
        return False
    with _held(experiment):
        if experiment.state != State.WAITING:  # somebody stopped it meanwhile
            return False
        variants = list(experiment.variants.all())
        for each in variants:
            each.model = _first_model(experiment, each)
            each.save()
        if experiment.tuned_for is None:  # else its sessions of before a stop count on
            experiment.counted_from = _first_list(experiment) if experiment.declared else timezone.now()
            experiment.currency = usual_currency()
            experiment.cap = sales_cap(experiment.currency)
            experiment.tuned_for = plan(experiment).sessions or TUNED_FOR
        experiment.state = State.RUNNING
        experiment.save()
    serving.expire()
    if experiment.declared:  # its sessions had variants before
        _sum_anew(experiment)
    return True


def _take_currency(experiment: Experiment) -> None:
    """The first purchase's, where none was known when it began: its sales would count as nothing for ever."""
    if not (currency := usual_currency()):
        return
    with _held(experiment):
        if experiment.state != State.RUNNING or experiment.currency:
            return
        experiment.currency = currency
        experiment.save()
    _sum_anew(experiment)


def _sum_anew(experiment: Experiment) -> None:
    """Make the days anew on which its sessions count."""
    for day in days_with_rows(day_of(experiment.counted_from or timezone.now()), today()):
        roll_up(day)


def _first_list(experiment: Experiment) -> datetime:
    """The first list of a declared experiment since all its variants serve; now where there is none."""
    models = {model for each in experiment.variants.all() if (model := _first_model(experiment, each))}
    served = Promotion.objects.filter(model__in=models).values("model").annotate(at=Min("promoted_at"))
    since = [each["at"] for each in served]
    if experiment.counted_from:  # declared otherwise
        since.append(experiment.counted_from)
    shown = Impression.objects.filter(experiment=experiment.name)
    if since:
        shown = shown.filter(shown_at__gte=max(since))
    return shown.aggregate(at=Min("shown_at"))["at"] or timezone.now()


def _first_model(experiment: Experiment, variant: Variant) -> str:
    """The model that its lists are asked of first; empty for a holdout, and where no list depends on one."""
    settled = _settings(experiment, variant)
    models = settled["MODELS"]
    asked = models and hears_models(settled.get("STEPS"), settled.get("VARIETY", 0))
    return "" if variant.holdout or not asked else str(models[0])


def _settings(experiment: Experiment, variant: Variant) -> Mapping[str, Any]:
    if experiment.placement not in sessrec_settings.PLACEMENTS:  # the shop took it out since
        return {"MODELS": (), **variant.changes}
    left = serving.kept(experiment.placement)  # of experiments that are over, for everybody
    return {**sessrec_settings.placement(experiment.placement), **left, **variant.changes}


def note(change: str, experiment: Experiment, by: str, reason: str, **detail: Any) -> None:
    """A line in the audit trail."""
    AuditEntry.objects.note(
        AuditEntry.Action.EXPERIMENT, by, reason=reason, experiment=experiment.name, change=change, **detail
    )
