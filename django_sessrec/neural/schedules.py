"""How the learning rate goes from step to step, as a share of its peak."""

from __future__ import annotations

import math
from collections.abc import Callable

WARM_UP = 100
LAST_RATE = 0.01

Share = Callable[[int], float]


def warm_up_then_cosine(steps: int) -> Share:
    """Up over the first steps, then down to LAST_RATE."""
    warm_up = max(1, min(WARM_UP, steps // 10))

    def share(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
        return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2

    return share


def constant(_step: int) -> float:
    """The peak throughout."""
    return 1.0
