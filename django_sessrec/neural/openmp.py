"""How long torch's threads wait for each other in a loop before they sleep (GNU OpenMP, Linux)."""

from __future__ import annotations

import os

SPIN_COUNT, SPIN_COUNT_BUSY = 10_000, 1_000
"""Turns of the loop; GNU OpenMP's default is 300,000, several milliseconds.

On a busy machine a thread that waits in the loop uses up the time in which the one it waits for could run.
GRU4Rec with two threads on two virtual cores, targets a second, medians of one run in which the settings took
turns of half a second:

    turns       quiet    load of 9
    300,000    17,507          329
    10,000     17,493          974
    1,000      15,081        6,130
    0          12,028        7,697
"""


def bound_spinning() -> None:
    """Set the bound in the environment, which GNU OpenMP reads once, when torch is imported.

    Whoever has set GOMP_SPINCOUNT or OMP_WAIT_POLICY keeps it.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        os.environ["GOMP_SPINCOUNT"] = str(spin_count(load, os.cpu_count() or 1))


def spin_count(load: float, cpus: int) -> int:
    """The bound on a machine with so many runnable processes, the mean of the last minute."""
    return SPIN_COUNT if load < cpus / 2 else SPIN_COUNT_BUSY
