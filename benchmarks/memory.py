"""The most memory that a piece of work had resident, in its own process and in those that it started."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

FORGET_PEAK, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
EVERY = 0.25  # seconds between looks at the processes that were started


class PeakMemory:
    """A context whose `figures` are {"peak_mb": megabytes} at its end; empty where the system has no /proc.

    The higher of the process's own peak, which the kernel tells, and of the highest sum that was seen at a
    look of itself and of the processes that it started meanwhile, shared libraries counted in each.
    """

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self._together = 0.0
        self._others = set(children(os.getpid()))  # started before
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
        self.figures["peak_mb"] = max(int(highest.split()[1]) / 1024, self._together)

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            processes = {os.getpid(), *children(os.getpid())} - self._others
            self._together = max(self._together, sum(map(resident_mb, processes)))


def private_memory() -> dict[str, float]:
    """{"private_mb": megabytes} that this process shares with no other; empty without a /proc."""
    if not STATUS.exists():
        return {}
    anonymous = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
    return {"private_mb": int(anonymous.split()[1]) / 1024}


def children(parent: int) -> Iterator[int]:
    """The processes that `parent` started, and those that they did."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(stat.parent.name)
                yield from children(int(stat.parent.name))


def resident_mb(process: int) -> float:
    """Megabytes of its memory that are in the machine's; 0 where it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 2**20
    return 0.0
