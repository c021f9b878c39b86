"""A share with the interval that chance allows it, so that a handful of clicks fools nobody."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` out of `trials`, with Wilson's 95 % interval, right for few trials and rare hits.

    E. B. Wilson, JASA 22 (1927).
    """

    hits: int
    trials: int

    @property
    def value(self) -> float | None:
        """The share, or None where nothing was tried."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest share that the figures leave plausible."""
        if not self.trials:
            return 0.0, 1.0
        share, z2 = self.hits / self.trials, Z_95**2
        centre = share + z2 / (2 * self.trials)
        spread = Z_95 * sqrt(share * (1 - share) / self.trials + z2 / (4 * self.trials**2))
        scale = 1 + z2 / self.trials
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
