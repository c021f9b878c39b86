"""The verdict on an experiment: which differences are known, whether the split is sound, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import ceil
from typing import Final

from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import INTERLEAVED, Experiment, Variant
from django_sessrec.measuring.arms import Arm
from django_sessrec.measuring.comparison import Difference
from django_sessrec.measuring.sequences import (
    ALARM,
    ALPHA,
    TUNED_FOR,
    Ratio,
    one_sequence,
    sample_ratio,
    sequence,
    sessions_needed,
)

COMPARED: Final = ("clicks", "orders", "revenue", "full", "refunds", "time")
# Guard rails, and the direction that is bad: fewer full lists, more refunds, slower lists.
GUARDS: Final[Mapping[str, int]] = {"full": -1, "refunds": 1, "time": 1}
OF_LISTS: Final = ("clicks", "full", "time")  # which a holdout has none of, to be compared with
SHARES: Final = ("clicks", "orders", "full", "refunds")  # each trial counts once


class Verdict(Enum):
    """What can be said now."""

    WAITING = auto()  # nothing is counted yet
    EMPTY = auto()  # no session took part
    UNCOMPARED = auto()  # lists decide, and a holdout, which has none, leaves no two to compare
    BROKEN = auto()  # the split is not the planned one, so no figure can be trusted
    EARLY = auto()  # the difference may still be either way
    BETTER = auto()
    WORSE = auto()
    ALIKE = auto()  # any difference is smaller than the smallest worth finding


@dataclass(frozen=True, slots=True)
class Judgement:
    """An experiment's figures, held against its control's.

    - `arms`: variant -> its sessions, the control first; without those of variants that were removed
    - `differences`: variant -> ratio of arms.RATIOS -> its difference from the control's, None if unknown yet
      (OF_LISTS are not in it where one of the two is a holdout)
    - `split`: the chance of ever seeing a split as uneven as this one
    - `failed`: guard rails that failed, as (variant, ratio)
    - `decides`: the variant that the verdict is about, and its difference
    - `needed`: sessions of all arms to find the smallest effect, by the control's figures so far
    - `removed`: sessions of variants that the experiment does not have any more
    """

    verdict: Verdict
    arms: Mapping[str, Arm]
    differences: Mapping[str, Mapping[str, Difference | None]]
    split: float = 1.0
    failed: Sequence[tuple[str, str]] = ()
    decides: tuple[str, Difference | None] = ("", None)
    needed: int | None = None
    removed: int = 0

    @property
    def sessions(self) -> int:
        return sum(arm.sessions for arm in self.arms.values())

    @property
    def control(self) -> Arm:
        return next(iter(self.arms.values()), Arm())


def judge(experiment: Experiment, variants: Sequence[Variant], found: Mapping[str, Arm]) -> Judgement:
    """The verdict on the arms that were found, by variant."""
    if experiment.kind == Experiment.Kind.INTERLEAVING:
        return _interleaved(experiment, variants, found)
    arms = {each.name: found.get(each.name, Arm()) for each in variants}
    removed = sum(arm.sessions for name, arm in found.items() if name not in arms)
    if not experiment.is_counted or len(arms) < 2:
        return Judgement(Verdict.WAITING, arms, {}, removed=removed)
    split = sample_ratio([arm.sessions for arm in arms.values()], [each.share for each in variants])
    tuned_for, alpha = experiment.tuned_for or TUNED_FOR, _alpha(len(arms))
    (first, control), *others = arms.items()
    holdouts = {each.name for each in variants if each.holdout}
    differences = {
        name: {
            each: _possible(each, sequence(arm.ratio(each), control.ratio(each), tuned_for, alpha))
            for each in COMPARED
            if each not in OF_LISTS or not holdouts & {first, name}
        }
        for name, arm in others
    }
    failed = [
        (name, guard)
        for name, known in differences.items()
        for guard in GUARDS
        if (bounds := known.get(guard)) is not None and _fails(guard, bounds)
    ]
    goal = str(experiment.goal)
    needed = planned_sessions(experiment, control, [each.share for each in variants])
    by_goal = {name: known[goal] for name, known in differences.items() if goal in known}
    verdict, decides = _decided(by_goal, control.ratio(goal), experiment.effect)
    if not any(arm.sessions for arm in arms.values()):
        verdict = Verdict.EMPTY
    elif split < ALARM:
        verdict = Verdict.BROKEN
    return Judgement(verdict, arms, differences, split, failed, decides, needed, removed)


def _possible(name: str, bounds: Difference | None) -> Difference | None:
    """Two shares differ by 1 at most; of a few sessions the normal approximation goes beyond."""
    if bounds is None or name not in SHARES:
        return bounds
    return replace(bounds, low=max(-1.0, bounds.low), high=min(1.0, bounds.high))


def _fails(guard: str, bounds: Difference) -> bool:
    """Whether a variant is surely worse than the control; a few milliseconds are what another model costs."""
    if guard == "time":
        allowed = sessrec_settings.alarms["SLOWER_LISTS_MS"]
        return allowed is not None and bounds.low > allowed
    return bounds.high < 0 if GUARDS[guard] < 0 else bounds.low > 0


def planned_sessions(experiment: Experiment, control: Arm, shares: Sequence[float]) -> int | None:
    """Sessions of all arms after which the smallest effect is found; None where nothing is known yet."""
    goal = str(experiment.goal)
    if experiment.kind == Experiment.Kind.INTERLEAVING or len(shares) < 2:
        return None
    # The variant with the smallest share needs the longest.
    pair = (shares[0], min((share for share in shares[1:] if share), default=0.0))
    needed = sessions_needed(control.ratio(goal), experiment.effect, pair, _alpha(len(shares)))
    return ceil(needed * sum(shares) / sum(pair)) if needed else None


def _alpha(arms: int) -> float:
    """The error that each comparison with the control may have, so that all together have ALPHA."""
    return ALPHA / (arms - 1)


def _decided(
    by_goal: Mapping[str, Difference | None], control: Ratio, effect: float
) -> tuple[Verdict, tuple[str, Difference | None]]:
    """The verdict on the goal, and the variant that it is about: the best one."""
    if not by_goal:
        return Verdict.UNCOMPARED, ("", None)
    known = {name: each for name, each in by_goal.items() if each is not None}
    if not known:
        return Verdict.EARLY, (next(iter(by_goal)), None)
    best = max(known, key=lambda name: known[name].value)
    bounds = known[best]
    if winners := [name for name, each in known.items() if each.low > 0]:
        best = max(winners, key=lambda name: known[name].value)
        return Verdict.BETTER, (best, known[best])
    if len(known) == len(by_goal) and all(each.high < 0 for each in known.values()):
        return Verdict.WORSE, (best, bounds)
    worth = effect * (control.value or 0)
    if len(known) == len(by_goal) and all(-worth < each.low and each.high < worth for each in known.values()):
        return Verdict.ALIKE, (best, bounds)
    return Verdict.EARLY, (best, bounds)


def _interleaved(experiment: Experiment, variants: Sequence[Variant], found: Mapping[str, Arm]) -> Judgement:
    """By the clicks that either model's items get within the same lists: the second against the first."""
    arm = found.get(INTERLEAVED, Arm())
    removed = sum(each.sessions for name, each in found.items() if name != INTERLEAVED)
    arms = {INTERLEAVED: arm}
    if not experiment.is_counted or len(variants) != 2:
        return Judgement(Verdict.WAITING, arms, {}, removed=removed)
    bounds = one_sequence(arm.ratio("preference"), experiment.tuned_for or TUNED_FOR)
    second = variants[1].name
    if not arm.sessions:
        verdict = Verdict.EMPTY
    elif bounds is None or bounds.low <= 0 <= bounds.high:
        verdict = Verdict.EARLY
    else:
        verdict = Verdict.BETTER if bounds.low > 0 else Verdict.WORSE
    return Judgement(
        verdict, arms, {INTERLEAVED: {"preference": bounds}}, decides=(second, bounds), removed=removed
    )
