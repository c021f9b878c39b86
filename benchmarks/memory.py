"""The most memory that a piece of work had resident, in its own process and in those that it started."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

FORGET_PEAK, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
EVERY = 0.25  # seconds between looks at the processes that were started


class PeakMemory:
    """A context whose `figures` are {"peak_mb": megabytes} at its end; empty where the system has no /proc.

    The process's own peak is the kernel's. To it comes the highest sum of its children's that was seen
    at a look, libraries that they share counted in each: more than there was, never less by much.
    """

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self._of_children = 0.0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        if FORGET_PEAK.exists():
            FORGET_PEAK.write_text("5")
            self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not FORGET_PEAK.exists():
            return
        self._over.set()
        self._watch.join()
        highest = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        self.figures["peak_mb"] = int(highest.split()[1]) / 1024 + self._of_children

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            self._of_children = max(self._of_children, sum(children_mb(os.getpid())))


def private_memory() -> dict[str, float]:
    """{"private_mb": megabytes} that this process shares with no other; empty without a /proc."""
    if not STATUS.exists():
        return {}
    anonymous = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
    return {"private_mb": int(anonymous.split()[1]) / 1024}


def children_mb(parent: int) -> Iterator[float]:
    """Resident megabytes of each process that `parent` started, and of those that they did."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            its_parent = int(stat.read_text().rpartition(")")[2].split()[1])
            resident = int(stat.with_name("statm").read_text().split()[1])
        except OSError:  # it ended meanwhile
            continue
        if its_parent == parent:
            yield resident * PAGE / 2**20
            yield from children_mb(int(stat.parent.name))
