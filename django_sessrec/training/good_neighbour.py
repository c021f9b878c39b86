"""Consideration for what else runs on the host: a training run's priority, and the threads that it takes.

For processes that train and do nothing else, before they import torch. The loops in which torch's threads
wait for each other are bounded by neural/openmp.py, in any process.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from django_sessrec.conf import sessrec_settings

log = logging.getLogger("django_sessrec")

THREADS: Final = "OMP_NUM_THREADS"  # which torch reads when it is imported
LOWEST: Final = 19
SAMPLE_SECONDS: Final = 1.0  # a busy shop's cores are taken by turns
STAT = Path("/proc/stat")
OWN_GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")  # of control groups, version 2


def give_way() -> None:
    """Let the shop's processes go first, and take no more threads than cores that are free or allowed.

    Priority is given up for good, as the system has it. Whoever has set OMP_NUM_THREADS keeps it.
    """
    if hasattr(os, "setpriority"):
        niceness = max(sessrec_settings.TRAIN_NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        if niceness >= LOWEST:
            _take_only_idle_time()
    if THREADS in os.environ or not hasattr(os, "sched_getaffinity"):
        return
    cores, allowed = os.sched_getaffinity(0), allowed_cores()
    threads = threads_for(free_cores(cores), min(len(cores), allowed))
    if threads < len(cores):
        os.environ[THREADS] = str(threads)
        log.info(
            "trains with %d of %d threads: the other cores are taken, or not this container's",
            threads,
            len(cores),
        )


def _take_only_idle_time() -> None:
    """Run when nobody else wants to, and be interrupted at once: Linux's SCHED_IDLE."""
    if hasattr(os, "SCHED_IDLE"):
        with suppress(PermissionError):  # a container may forbid it; niceness stays
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def threads_for(free: float, cores: float) -> int:
    """Threads where so many of `cores` are free: one that finds no core holds up all others of a step."""
    return max(1, min(round(free), int(cores)))


def free_cores(cores: set[int], seconds: float = SAMPLE_SECONDS) -> float:
    """How many of these nothing used, seen for so long; all of them where the system does not tell."""
    before = _idle(cores)
    began = time.monotonic()
    time.sleep(seconds)
    idle = _idle(cores) - before
    if not before:
        return float(len(cores))
    return idle / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)


def _idle(cores: set[int]) -> int:
    """Clock ticks that the cores have spent idle, or waiting for a disk; 0 without /proc/stat."""
    names = {f"cpu{core}" for core in cores}
    try:
        lines = [line.split() for line in STAT.read_text("ascii").splitlines()]
    except OSError:
        return 0
    return sum(int(fields[4]) + int(fields[5]) for fields in lines if fields[0] in names)


def allowed_cores() -> float:
    """Cores that the process may use at a time, by the quotas of its control group, such as a container's or
    a service's, and of those above it; infinite without any."""
    return min(map(_quota, _control_groups()))


def _control_groups() -> list[Path]:
    """The process's own and those above it; in a container the one that it sees as the root."""
    own = ""
    with suppress(OSError, ValueError):
        named = (line.partition("::") for line in OWN_GROUP.read_text("utf-8").splitlines())
        own = next((path for number, _, path in named if number == "0"), "")
    group = GROUPS / own.strip("/")
    return [group, *(each for each in group.parents if each.is_relative_to(GROUPS))]


def _quota(group: Path) -> float:
    try:
        quota, period = (group / "cpu.max").read_text("ascii").split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return float("inf")
