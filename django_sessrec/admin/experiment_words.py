"""An experiment's verdict in a sentence, and its figures as a table with a forest plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_sessrec.admin.formatting import MINUS, NONE, PER_CENT, colon, fixed, percent, whole
from django_sessrec.admin.formatting import signed as with_sign
from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import Experiment, Variant
from django_sessrec.measuring.arms import Arm
from django_sessrec.measuring.comparison import Difference
from django_sessrec.measuring.report import counted_up_to
from django_sessrec.measuring.sequences import ALARM
from django_sessrec.measuring.verdicts import Judgement, Verdict
from django_sessrec.operations.experiments import Plan, sessions_a_day
from django_sessrec.operations.heartbeat import schedule_runs
from django_sessrec.serving.shadow import Shadow

TITLES: Final[Mapping[str, str | Promise]] = {
    "clicks": gettext_lazy("Clicked lists, of 100 lists"),
    "orders": gettext_lazy("Sessions with an order, of 100"),
    "revenue": gettext_lazy("Sales per 100 sessions"),
    "full": gettext_lazy("Full lists, of 100 lists"),
    "refunds": gettext_lazy("Refunded order lines, of 100"),
    "time": gettext_lazy("Time that a list takes"),
    "preference": gettext_lazy("Clicks won, per 100 sessions"),
}
GUARDED: Final = ("full", "refunds", "time")
WIDTH: Final = 200  # of the plot, in its own units
EDGE: Final = 6  # of these that stay free at either end
Reach = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A line of the forest plot, in the plot's own units; None where nothing is known yet."""

    low: float
    value: float
    high: float
    label: str
    beyond: int = 0  # -1 or 1 where it reaches out of the plot on that side


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one variant beside the control's."""

    title: str | Promise
    variant: str
    control: str
    figure: str
    difference: str
    interval: Interval | None
    kind: str = ""  # "better" or "worse" where that is known
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """All lines over one scale, on which `zero` is the control."""

    lines: Sequence[Line] = ()
    zero: float = WIDTH / 2
    ends: tuple[str, str] = ("", "")
    guards: Sequence[tuple[str, bool | None, str]] = field(default=())  # title, whether it holds, note


def sentence(
    experiment: Experiment,
    judged: Judgement,
    waits_for: Sequence[str] = (),
    paused_for: Experiment | None = None,
) -> str:
    """The verdict, with how sure it is; `paused_for`: the experiment that stands in its place."""
    if paused_for is None:
        return _verdict(experiment, judged, waits_for)
    paused = _("Paused: “%(other)s” stands in its place.") % {"other": paused_for.name}
    return f"{paused} {_verdict(experiment, judged, waits_for, paused=True)}"


def _verdict(
    experiment: Experiment, judged: Judgement, waits_for: Sequence[str], *, paused: bool = False
) -> str:
    if experiment.state == Experiment.State.DRAFT:
        return _("A draft: no session takes part yet.")
    if judged.verdict == Verdict.WAITING:
        return _waiting(experiment, waits_for)
    if judged.verdict == Verdict.EMPTY:
        at, began = counted_up_to(), experiment.counted_from
        if at is None or (began is not None and at < began):
            return _("It has just begun: no session is counted yet.")
        moment = date_format(localtime(at), "DATETIME_FORMAT")
        return _("Up to %(moment)s no session was counted.") % {"moment": moment}
    if judged.verdict == Verdict.UNCOMPARED:
        return _(
            "Clicked lists can't decide this: a holdout has no lists to click. See its orders and"
            " sales below."
        )
    if judged.verdict == Verdict.BROKEN:
        return _(
            "The sessions are not split as planned, which chance does in less than one case in 1,000. Do not"
            " trust these figures: look for a cache or an error that loses lists of one variant."
        )
    return _known(experiment, judged, paused=paused)


def _waiting(experiment: Experiment, waits_for: Sequence[str]) -> str:
    if experiment.state == Experiment.State.STOPPED:
        return _("Stopped before every variant served: nothing was compared.")
    if waits_for:
        models = ", ".join(waits_for)
        return _("Waiting for %(models)s, of which no run serves yet. Nothing is compared before.") % {
            "models": models
        }
    if experiment.placement in sessrec_settings.PLACEMENTS:
        if schedule_runs():
            return _("Every variant serves: the schedule begins it within five minutes.")
        return _("Every variant serves.") + f" {needs_schedule()}"
    return _("Waiting. Nothing is compared before every variant serves.")


def needs_schedule() -> str:
    """What is to be done where nothing begins an experiment that waits."""
    return _(
        "The schedule that begins it does not run: start Celery's beat and a worker. “Health and alerts” says"
        " how."
    )


def _known(experiment: Experiment, judged: Judgement, *, paused: bool) -> str:
    variant, bounds = judged.decides
    if bounds is None:
        if experiment.state == Experiment.State.STOPPED:
            return _("Stopped with too few sessions to say anything.")
        return _("Too early: there are too few sessions to say anything.")
    measure = _goal(experiment)
    unit = UNITS[measure]
    low, high = (amount(measure, end, experiment.currency, signed=True) for end in (bounds.low, bounds.high))
    words = {"variant": variant, "low": low, "high": high, "what": unit}
    if judged.verdict == Verdict.BETTER:
        return _("“%(variant)s” is better: between %(low)s and %(high)s %(what)s.") % words
    if judged.verdict == Verdict.WORSE:
        return _("“%(variant)s” is worse than the control: between %(low)s and %(high)s %(what)s.") % words
    if judged.verdict == Verdict.ALIKE:
        words["effect"] = percent(experiment.effect)
        return (
            _("No difference worth finding: between %(low)s and %(high)s %(what)s, less than %(effect)s.")
            % words
        )
    if experiment.state == Experiment.State.STOPPED:
        stopped = _("Stopped without a result: “%(variant)s” brought between %(low)s and %(high)s %(what)s.")
        return stopped % words
    early = _("Too early. “%(variant)s” brings between %(low)s and %(high)s %(what)s. You may look daily.")
    return early % words if paused else f"{early % words} {remaining(experiment, judged)}".strip()


def pauses(declared: str) -> str:
    """What becomes of a declared experiment while another one runs on its placement."""
    words = _("“%(name)s”, which the settings declare on this placement, pauses as long as this one runs.")
    return words % {"name": declared}


def goes_on(declared: str) -> str:
    """What becomes of a declared experiment afterwards."""
    words = _(
        "“%(name)s”, which the settings declare on this placement, goes on: its variants change what"
        " everybody gets."
    )
    return words % {"name": declared}


UNITS: Final[Mapping[str, str | Promise]] = {
    "clicks": gettext_lazy("clicked lists per 100 lists"),
    "orders": gettext_lazy("orders per 100 sessions"),
    "revenue": gettext_lazy("of sales per 100 sessions"),
    "preference": gettext_lazy("clicks per 100 sessions, held against the other model"),
}


def remaining(experiment: Experiment, judged: Judgement) -> str:
    """How long it still takes at this traffic; empty where that is unknown."""
    if not judged.needed or not (a_day := sessions_a_day(experiment)):
        return ""
    left = ceil((judged.needed - judged.sessions) / a_day)
    effect = percent(experiment.effect)
    if left <= 0:
        return _("A difference of %(effect)s would most likely have shown by now.") % {"effect": effect}
    words = ngettext(
        "At this traffic a difference of %(effect)s shows after about %(days)s more day.",
        "At this traffic a difference of %(effect)s shows after about %(days)s more days.",
        left,
    )
    return words % {"effect": effect, "days": whole(left)}


def figures(experiment: Experiment, judged: Judgement) -> Figures:
    """Every measure of every variant against the control's, the one that decides first."""
    goal = _goal(experiment)
    known = [
        (name, variant, bounds)
        for variant, by_name in judged.differences.items()
        for name, bounds in by_name.items()
        if name not in GUARDED
    ]
    known.sort(key=lambda line: line[0] != goal)
    interleaved = goal == "preference"
    control = Arm() if interleaved else judged.control
    reaches = [
        _relative(bounds, control.ratio(name).value, interleaved)
        for name, _variant, bounds in known
        if bounds
    ]
    most = max((abs(end) for reach in reaches if reach for end in reach), default=0.0)
    most = min(most, 1.0) or 1.0
    lines = []
    for name, variant, bounds in known:
        reach = _relative(bounds, control.ratio(name).value, interleaved) if bounds else None
        label = judged.decides[0] if interleaved else variant
        lines.append(
            Line(
                TITLES[name],
                label,
                NONE if interleaved else amount(name, control.ratio(name).value, experiment.currency),
                NONE
                if interleaved
                else amount(name, judged.arms[variant].ratio(name).value, experiment.currency),
                _difference(name, bounds, experiment.currency),
                _interval(reach, bounds, most, colon(label, _difference(name, bounds, experiment.currency))),
                _kind(bounds),
                name == goal,
            )
        )
    ends = (f"{MINUS}{part(round(most, 2))}", f"+{part(round(most, 2))}") if not interleaved else ("", "")
    return Figures(lines, WIDTH / 2, ends, guards(judged))


def guards(judged: Judgement) -> list[tuple[str, bool | None, str]]:
    """The guard rails of all variants: whether each holds, None where that is not known, and the figures."""
    found = []
    for variant, by_name in judged.differences.items():
        for name in GUARDED:
            if name in by_name:
                rate, usual = judged.arms[variant].ratio(name).value, judged.control.ratio(name).value
                note = " / ".join(_guarded(name, each) for each in (rate, usual) if each is not None) or NONE
                holds = (variant, name) not in judged.failed if by_name[name] else None
                found.append((colon(TITLES[name], variant), holds, note))
    return found


def _guarded(name: str, value: float) -> str:
    return f"{fixed(value, 1)}\N{NO-BREAK SPACE}ms" if name == "time" else percent(value)


def answered(arm: Arm) -> str:
    """The share of an arm's lists that its own model made."""
    share = arm.ratio("answered").value
    return NONE if share is None else percent(share)


def split(judged: Judgement) -> str:
    """Whether the sessions are split as planned, with the chance of such a split."""
    chance = f"p = {fixed(judged.split, 3 if judged.split < 0.1 else 2)}"
    held = _("not as planned") if judged.split < ALARM else _("as planned")
    return f"{held} ({chance})"


def amount(name: str, value: float | None, currency: str, *, signed: bool = False) -> str:
    """A figure of 100 sessions or lists."""
    if value is None:
        return NONE
    text = (with_sign if signed else fixed)(100 * value, 0 if name == "revenue" and abs(value) >= 1 else 2)
    return f"{text} {currency}".rstrip() if name == "revenue" else text


def _difference(name: str, bounds: Difference | None, currency: str) -> str:
    if bounds is None:
        return NONE
    value, low, high = (
        amount(name, each, currency, signed=True) for each in (bounds.value, bounds.low, bounds.high)
    )
    return f"{value} [{low} \N{HORIZONTAL ELLIPSIS} {high}]"


def _relative(bounds: Difference, control: float | None, absolute: bool) -> Reach | None:
    """The ends as shares of the control's figure."""
    scale = 1.0 if absolute else control
    return (bounds.low / scale, bounds.high / scale) if scale else None


def _interval(reach: Reach | None, bounds: Difference | None, most: float, label: str) -> Interval | None:
    if reach is None or bounds is None:
        return None
    low, high = (end / most for end in reach)
    beyond = 1 if high > 1 else -1 if low < -1 else 0
    low, middle, high = (_place(share) for share in (low, (low + high) / 2, high))
    return Interval(low, middle, high, label, beyond)


def _place(share: float) -> float:
    """From the left, with room for a dot at the ends."""
    return round(WIDTH / 2 + (WIDTH / 2 - EDGE) * max(-1.0, min(1.0, share)), 1)


def _kind(bounds: Difference | None) -> str:
    if bounds is None or bounds.low <= 0 <= bounds.high:
        return ""
    return "better" if bounds.low > 0 else "worse"


def _goal(experiment: Experiment) -> str:
    return "preference" if experiment.kind == Experiment.Kind.INTERLEAVING else str(experiment.goal)


def duration(plan: Plan, part_now: float = 1.0) -> str:
    """A plan in words; `part_now`: the share of sessions that take part."""
    if plan.days is None or plan.sessions is None:
        return _("Unknown: too few sessions of this placement in the last days.")
    told = ngettext(
        "About %(days)s day, for %(sessions)s sessions.",
        "About %(days)s days, for %(sessions)s sessions.",
        plan.days,
    ) % {"days": whole(plan.days), "sessions": whole(plan.sessions)}
    once = _("That is once all sessions take part: now none does.")
    return told if part_now else f"{told} {once}"


def part(share: float) -> str:
    """The share of sessions that take part, without a decimal where none is needed."""
    return fixed(100 * share, 0 if share * 100 == round(share * 100) else 1) + PER_CENT


def changes(variant: Variant) -> str:
    """What a variant changes of its placement."""
    if variant.holdout:
        return _("no recommendations")
    labels = {"MODELS": _("models"), "LIMIT": _("length of the list")}
    parts = []
    for key, value in variant.changes.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        parts.append(colon(labels.get(key, key), text))
    return "; ".join(parts) or NONE


def shadows(found: Sequence[Shadow]) -> list[str]:
    """What each variant of a pilot would show, in a sentence."""
    told = _(
        "“%(variant)s” would start %(other)s of the lists of the latest %(lists)s sessions with another"
        " product. It shares %(shared)s of the control's products, %(filled)s of its lists are full, and its"
        " own model makes %(answered)s of them."
    )
    return [
        told
        % {
            "variant": each.variant,
            "lists": whole(each.lists),
            **{
                name: percent(getattr(each, field))
                for name, field in {
                    "other": "other_first",
                    "shared": "shared",
                    "filled": "filled",
                    "answered": "answered",
                }.items()
            },
        }
        for each in found
    ]
