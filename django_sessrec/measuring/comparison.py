"""Comparison of rates, with the session as the unit, because lists of one session are alike.

A rate is a ratio of two sums over sessions. Its variance follows by the delta method from the sums' squares
(Cochran, Sampling Techniques, 3rd ed., section 6.3; Deng et al., KDD 2018), and what it leaves of the trials
is their effective number, with which Wilson's interval is taken (Dean and Pagano, J. Survey Statistics and
Methodology 3, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from django_sessrec.measuring.proportions import Z_95, Rate


@dataclass(frozen=True, slots=True)
class Squares:
    """Sums over sessions of hits², hits x trials and trials²."""

    hits: float
    product: float
    trials: float

    def __add__(self, other: Squares) -> Squares:
        return Squares(self.hits + other.hits, self.product + other.product, self.trials + other.trials)


def effective_trials(hits: int, trials: int, sessions: int, squares: Squares) -> float:
    """How many independent trials tell as much as these; never more than there are.

    Without a hit, or with nothing but hits, as many as sessions: no spread tells how alike their lists are.
    """
    if sessions < 2 or hits in (0, trials):
        return min(trials, sessions)
    share = hits / trials
    squared_deviations = squares.hits - 2 * share * squares.product + share**2 * squares.trials
    variance = sessions / (sessions - 1) * squared_deviations / trials**2
    return min(trials, share * (1 - share) / variance) if variance > 0 else trials


def margin_of_sum(total: float, squares: float, sessions: int) -> float | None:
    """Half the width of the 95 % interval of a sum over sessions; None where one session tells nothing."""
    if sessions < 2:
        return None
    return Z_95 * sqrt(max(0.0, sessions / (sessions - 1) * (squares - total**2 / sessions)))


def ratio_interval(hits: float, trials: float, units: int, squares: Squares) -> tuple[float, float] | None:
    """The ends of the 95 % interval of a ratio of two sums over `units`; None where too little is known.

    By the delta method and the normal distribution, cut off at 0 and 1: for amounts, which no trials are.
    """
    if units < 2 or trials <= 0:
        return None
    share = hits / trials
    squared_deviations = squares.hits - 2 * share * squares.product + share**2 * squares.trials
    margin = Z_95 * sqrt(max(0.0, units / (units - 1) * squared_deviations)) / trials
    return max(0.0, share - margin), min(1.0, share + margin)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two rates and its 95 % interval."""

    value: float
    low: float
    high: float


def difference(rate: Rate, other: Rate) -> Difference | None:
    """`rate` less `other`, of different sessions; None where one of them has no trial.

    Newcombe's hybrid score interval, Statistics in Medicine 17 (1998), method 10.
    """
    if rate.value is None or other.value is None:
        return None
    return difference_of_estimates(rate.value, rate.interval, other.value, other.interval)


def difference_of_estimates(
    one: float, ends: tuple[float, float], other: float, other_ends: tuple[float, float]
) -> Difference:
    """`one` less `other`, of which each is known with the ends of its own 95 % interval.

    Zou and Donner, Statistics in Medicine 27 (2008): Newcombe's method for any two estimates.
    """
    (low, high), (other_low, other_high) = ends, other_ends
    value = one - other
    return Difference(
        value,
        value - sqrt((one - low) ** 2 + (other_high - other) ** 2),
        value + sqrt((high - one) ** 2 + (other - other_low) ** 2),
    )
