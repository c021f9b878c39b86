"""Statistics of experiments that may be looked at every day, with the session as the unit.

An ordinary 95 % interval is meant for one look: looked at daily for a month, a quarter of all A/A tests show
a winner. A confidence sequence covers the truth at all looks together with 95 %. This is the asymptotic one
with a normal mixture (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 52, 2024, theorem
2.2; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49, 2021). The price is its width: at the
number of sessions for which it is tuned it is half as wide again as the ordinary interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, lgamma, log, sqrt
from statistics import NormalDist
from typing import Final

from django_sessrec.measuring.comparison import Difference, Squares

ALPHA: Final = 0.05  # the chance that a sequence leaves the truth out at any look
POWER: Final = 0.8
TUNED_FOR: Final = 10_000  # sessions, where an experiment has no plan of its own
ALARM: Final = 0.001  # a sample ratio that chance gives more rarely than this, at any look, is a fault
# Of the Dirichlet about the planned shares: of two equal arms it expects 45 to 55 %. 10 to 1,000 found splits
# of 52/48 and 51/49 within a few days of each other; smaller ones know a dead arm sooner.
CONCENTRATION: Final = 100
MIN_SESSIONS: Final = 50  # of an arm, with a trial each; below, a normal approximation is no basis


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two sums over the sessions of an arm: clicked lists to lists, or revenue to sessions.

    with_trials: sessions that have a trial; of refunds to order lines, those with an order
    """

    hits: float
    trials: float
    sessions: int
    squares: Squares
    with_trials: int

    @classmethod
    def mean(cls, total: float, squares: float, sessions: int) -> Ratio:
        """A mean per session: each session is one trial."""
        return cls(total, sessions, sessions, Squares(squares, total, sessions), sessions)

    def __add__(self, other: Ratio) -> Ratio:
        """The ratio of two groups that share no session."""
        return Ratio(
            self.hits + other.hits,
            self.trials + other.trials,
            self.sessions + other.sessions,
            self.squares + other.squares,
            self.with_trials + other.with_trials,
        )

    @property
    def value(self) -> float | None:
        """The ratio, or None where there are no trials."""
        return self.hits / self.trials if self.trials else None

    @property
    def unit_variance(self) -> float:
        """The ratio's variance times its sessions, by the delta method; inf where too little is known."""
        if self.sessions < 2 or not self.trials:
            return inf
        ratio, squares = self.hits / self.trials, self.squares
        deviations = squares.hits - 2 * ratio * squares.product + ratio**2 * squares.trials
        per_session = max(0.0, deviations) / (self.sessions - 1)
        return per_session / (self.trials / self.sessions) ** 2

    @property
    def smoothed_variance(self) -> float:
        """The same of a share, with one trial more that hits and one that misses: never 0 for a share."""
        trials = self.trials + 2
        share = (self.hits + 1) / trials
        return max(0.0, share * (1 - share)) * self.sessions / trials

    def variance_beside(self, other: Ratio) -> float:
        """The unit variance, to be held against another ratio of the same measure.

        Where nothing varied yet, as with no full list of sixty, chance would still have it vary: as the other
        one's does, or where that did not vary either, by what is added in smoothed_variance.
        """
        return self.unit_variance or other.unit_variance or self.smoothed_variance


def width(sessions: float, tuned_for: float = TUNED_FOR, alpha: float = ALPHA) -> float:
    """Half the sequence's width, in standard errors, after so many sessions of all arms together.

    tuned_for: the sessions at which the sequence is narrowest; to be chosen before the first look
    """
    narrowest = -2 * log(alpha)
    mixture = sessions * (narrowest + log(narrowest) + 1) / tuned_for
    return sqrt(2 * (mixture + 1) / mixture * log(sqrt(mixture + 1) / alpha))


def sequence(
    arm: Ratio, control: Ratio, tuned_for: float = TUNED_FOR, alpha: float = ALPHA
) -> Difference | None:
    """The arm's ratio less the control's, with bounds that hold at every look; None below MIN_SESSIONS.

    alpha: to be divided by the number of arms that are held against one control
    """
    if min(arm.with_trials, control.with_trials) < MIN_SESSIONS or arm.value is None or control.value is None:
        return None
    error = sqrt(
        arm.variance_beside(control) / arm.sessions + control.variance_beside(arm) / control.sessions
    )
    if error == 0 or not (arm.hits or control.hits):  # as with no order at all: nothing is known
        return None
    value = arm.value - control.value
    margin = error * width(arm.sessions + control.sessions, tuned_for, alpha)
    return Difference(value, value - margin, value + margin)


def one_sequence(sample: Ratio, tuned_for: float = TUNED_FOR, alpha: float = ALPHA) -> Difference | None:
    """A ratio with bounds that hold at every look, to be held against 0; None below MIN_SESSIONS."""
    if sample.with_trials < MIN_SESSIONS or sample.value is None or sample.unit_variance == 0:
        return None
    margin = sqrt(sample.unit_variance / sample.sessions) * width(sample.sessions, tuned_for, alpha)
    return Difference(sample.value, sample.value - margin, sample.value + margin)


def sessions_needed(
    control: Ratio, relative: float, shares: tuple[float, float] = (0.5, 0.5), alpha: float = ALPHA
) -> int | None:
    """Sessions of both arms after which a relative difference from this control is found with POWER.

    A sequence that is tuned for this number then excludes 0 with that chance at the last look alone.
    None where the control has no trial, no hit, or one of the shares is 0.
    """
    if not control.value or control.unit_variance == inf or not all(shares) or not relative:
        return None
    variance = control.unit_variance * sum(sum(shares) / share for share in shares)
    return ceil(variance * (reach(alpha) / (control.value * relative)) ** 2)


def reach(alpha: float = ALPHA) -> float:
    """How many standard errors an effect must have to be found with POWER where the sequence is narrowest."""
    return width(TUNED_FOR, TUNED_FOR, alpha) + NormalDist().inv_cdf(POWER)


def sample_ratio(sessions: Sequence[int], shares: Sequence[float]) -> float:
    """The chance of ever seeing a split as far from the planned shares as this one, at whatever look.

    One over the Bayes factor of shares that are somewhere about the planned ones (Dirichlet) against these
    (Lindon and Malek, NeurIPS 2022). A sound split falls below p at any look with a chance of p at most.

    1.0 where nothing was split, 0.0 where an arm without a share has sessions.
    """
    planned = [(count, share) for count, share in zip(sessions, shares, strict=True) if share]
    whole, total = sum(count for count, _share in planned), sum(shares)
    if whole < sum(sessions):
        return 0.0
    factor = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + whole)  # its logarithm
    for count, share in planned:
        expected = share / total
        prior = CONCENTRATION * expected
        factor += lgamma(prior + count) - lgamma(prior) - count * log(expected)
    return min(1.0, exp(-factor))
