"""Learning rates from step to step, as shares of the highest."""

from __future__ import annotations

import math
from collections.abc import Callable

WARM_UP = 100
LAST_RATE = 0.01

Share = Callable[[int], float]
"""From the number of a step, 0 up, to the share of the highest learning rate."""


def warm_up_then_cosine(steps: int) -> Share:
    """Linearly up over the first tenth of `steps`, at most WARM_UP, then along a cosine down to LAST_RATE."""
    warm_up = max(1, min(WARM_UP, steps // 10))

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
        return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2

    return share
