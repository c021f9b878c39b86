"""Rates with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` out of `trials`, with Wilson's 95 % interval, which holds for few trials and rare hits.

    E. B. Wilson, JASA 22 (1927).

    effective: the number of independent trials that tell as much as these; None: all of them are
    """

    hits: int
    trials: int
    effective: float | None = field(default=None, compare=False)

    @property
    def value(self) -> float | None:
        """The share, or None where nothing was tried."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % confidence interval; all there is where nothing was tried."""
        if not self.trials:
            return 0.0, 1.0
        trials = self.trials if self.effective is None else self.effective
        share, z2 = self.hits / self.trials, Z_95**2
        centre = share + z2 / (2 * trials)
        spread = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
        scale = 1 + z2 / trials
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
