"""The life of an experiment: draft, waiting, running, stopped; the schedule tends those that are open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from django.db.models import Min
from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import Experiment, Variant
from django_sessrec.measuring.arms import arms, usual
from django_sessrec.measuring.days import day_of, today
from django_sessrec.measuring.rollups import days_with_rows, roll_up
from django_sessrec.measuring.sequences import TUNED_FOR
from django_sessrec.measuring.verdicts import Judgement, Verdict, judge, planned_sessions
from django_sessrec.models import AuditEntry, Event, EventName, Promotion
from django_sessrec.serving import experiments as serving

BASELINE_DAYS: Final = 7  # before an experiment, from which it is planned
CAP_SHARE: Final = 0.99  # of orders, which count whole
CAP_ORDERS: Final = 50  # below, there is no cap

State = Experiment.State


class ExperimentError(Exception):
    """An act that the experiment's state does not allow, with the reason."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long an experiment takes at the traffic of the last days.

    - `sessions`: of all its arms, to find its smallest effect; None where nothing is known of the placement
    - `a_day`: sessions that would take part
    """

    sessions: int | None
    a_day: float

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
        open_ones = Experiment.objects.filter(
            placement=experiment.placement, state__in=(State.WAITING, State.RUNNING), declared=False
        )
        if other := open_ones.first():
            words = _("“%(other)s” is open on this placement: stop it first.")
            raise ExperimentError(words % {"other": other})
        experiment.state = State.WAITING
        experiment.save()
    _begin_if_ready(experiment)


def ramp(experiment: Experiment, part: float) -> None:
    """Let this share of all sessions take part, 0 to 1; those that take part already stay."""
    with _held(experiment):
        if not experiment.is_open:
            raise ExperimentError(_("Only an open experiment can be ramped."))
        if experiment.declared:
            raise ExperimentError(_("The settings declare it: take it out of them."))
        experiment.part = part
        experiment.save()
    serving.forget()


def stop(experiment: Experiment, reason: str, keep: str = "") -> None:
    """End it; `keep` names a variant that everybody gets from now on, instead of the placement as it is."""
    with _held(experiment):
        if not experiment.is_open:
            raise ExperimentError(_("Only an open experiment can be stopped."))
        if experiment.declared:
            raise ExperimentError(_("The settings declare it: take it out of them."))
        experiment.state, experiment.stopped_at = State.STOPPED, timezone.now()
        experiment.stop_reason, experiment.kept = reason, keep
        experiment.save()
    serving.forget()


def keep(experiment: Experiment, variant: str) -> None:
    """Give everybody a variant of a stopped experiment, or with an empty name the placement as it is."""
    with _held(experiment):
        if experiment.state != State.STOPPED or experiment.declared:
            raise ExperimentError(_("Only an experiment that was stopped here leaves a variant."))
        experiment.kept = variant
        experiment.save()
    serving.forget()


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


def waits_for(experiment: Experiment) -> list[str]:
    """Variants' first models of which no run serves: until then nothing is compared."""
    models = dict.fromkeys(_first_model(experiment, each) for each in experiment.variants.all())
    return [model for model in models if model and Promotion.objects.active(model) is None]


def plan(experiment: Experiment) -> Plan:
    """How long it takes at the traffic of the last days, by what the sessions of its placement did."""
    now = timezone.now()
    since = now - timedelta(days=BASELINE_DAYS)
    baseline = usual(experiment.placement, since, now, experiment.currency, experiment.cap)
    shares = [each.share for each in experiment.variants.all()]
    return Plan(
        planned_sessions(experiment, baseline, shares), baseline.sessions / BASELINE_DAYS * experiment.part
    )


def tend() -> dict[str, list[str]]:
    """Take in what the settings declare, begin what waited, and stop what fails; names by what was done."""
    done: dict[str, list[str]] = {"declared": take_in_declared(), "begun": [], "stopped": []}
    for experiment in Experiment.objects.filter(state=State.WAITING):
        if _begin_if_ready(experiment):
            done["begun"].append(experiment.name)
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
    """Rows of the experiments that the settings declare, so that their pages are like those of the others."""
    names = []
    declared = dict(_declared())
    for name, (placement, variants) in declared.items():
        experiment, new = Experiment.objects.get_or_create(
            name=name,
            defaults={"placement": placement, "declared": True, "state": State.WAITING},
        )
        if not experiment.declared:
            continue
        with database.atomic():
            for place, (variant, keys) in enumerate(variants.items()):
                changes = {key: value for key, value in keys.items() if key != "SHARE"}
                values = {"place": place, "share": keys["SHARE"], "changes": _json_able(changes)}
                experiment.variants.update_or_create(name=variant, defaults=values)
            experiment.variants.exclude(name__in=variants).delete()
            if experiment.state == State.STOPPED:  # declared again
                experiment.state, experiment.stopped_at = State.WAITING, None
                experiment.save()
        names += [name] if new else []
    gone = Experiment.objects.filter(declared=True, state__in=(State.WAITING, State.RUNNING))
    gone.exclude(name__in=declared).update(state=State.STOPPED, stopped_at=timezone.now())
    return names


def _declared() -> Iterable[tuple[str, tuple[str, Mapping[str, Any]]]]:
    """Name -> placement and variants; the first placement of several with the same experiment."""
    seen = set()
    for placement in sessrec_settings.PLACEMENTS:
        experiment = sessrec_settings.placement(placement)["EXPERIMENT"]
        if experiment and experiment["NAME"] not in seen:
            seen.add(experiment["NAME"])
            yield experiment["NAME"], (placement, experiment["VARIANTS"])


def _json_able(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Titles may be lazy, and rules objects: their text will do, since nothing is served from these rows."""
    plain = (str, int, float, bool, type(None))
    return {
        key: [str(each) for each in value]
        if isinstance(value, list | tuple)
        else value
        if isinstance(value, plain)
        else str(value)
        for key, value in changes.items()
    }


def _begin_if_ready(experiment: Experiment) -> bool:
    """Whether a waiting experiment runs now; a declared one is counted since its last model was promoted."""
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
        experiment.counted_from = _all_served_from(variants) if experiment.declared else timezone.now()
        experiment.currency = sessrec_settings.CURRENCY or _usual_currency()
        experiment.cap = _cap(experiment.currency)
        experiment.tuned_for = plan(experiment).sessions or TUNED_FOR
        experiment.state = State.RUNNING
        experiment.save()
    serving.forget()
    if experiment.declared:  # its sessions had variants before: these days are summed anew
        for day in days_with_rows(day_of(experiment.counted_from), today()):
            roll_up(day)
    return True


def _all_served_from(variants: Iterable[Variant]) -> datetime:
    models = {each.model for each in variants if each.model}
    first = Promotion.objects.filter(model__in=models).values("model").annotate(at=Min("promoted_at"))
    return max((each["at"] for each in first), default=timezone.now())


def _first_model(experiment: Experiment, variant: Variant) -> str:
    """The model that the variant's lists are asked of first; empty for a holdout."""
    models = _settings(experiment, variant)["MODELS"]
    return "" if variant.holdout or not models else str(models[0])


def _settings(experiment: Experiment, variant: Variant) -> Mapping[str, Any]:
    if experiment.placement not in sessrec_settings.PLACEMENTS:  # the shop took it out since
        return {"MODELS": (), **variant.changes}
    return {**sessrec_settings.placement(experiment.placement), **variant.changes}


def _usual_currency() -> str:
    """That of the latest purchase."""
    since = timezone.now() - timedelta(days=BASELINE_DAYS)
    bought = Event.objects.filter(name=EventName.PURCHASE, bot=False, occurred_at__gte=since)
    return bought.order_by("-pk").values_list("currency", flat=True).first() or ""


def _cap(currency: str) -> Any:
    """What CAP_SHARE of the last sessions with an order spent at most; None where there are too few."""
    since = timezone.now() - 4 * timedelta(days=BASELINE_DAYS)
    with database.connection().cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), round(percentile_cont(%s) WITHIN GROUP (ORDER BY spent)::numeric, 2) FROM (
                SELECT sum(quantity * coalesce(price, 0)) AS spent FROM sessrec_event
                WHERE name = 'purchase' AND NOT bot AND currency = %s AND occurred_at >= %s
                GROUP BY session_id
            ) AS sessions
            """,
            [CAP_SHARE, currency, since],
        )
        sessions, cap = cursor.fetchone()
    return cap if sessions >= CAP_ORDERS else None


def note(change: str, experiment: Experiment, by: str, reason: str, **detail: Any) -> None:
    """A line in the audit trail."""
    AuditEntry.objects.note(
        AuditEntry.Action.EXPERIMENT, by, reason=reason, experiment=experiment.name, change=change, **detail
    )
