"""Processes that others started: which there are, and whether they end."""

import time
from collections.abc import Iterable
from pathlib import Path


def children(parent: int) -> list[int]:
    """The living processes that `parent` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended as we looked
            continue
        if int(its_parent) == parent and state != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(process: int) -> bool:
    """Whether it runs; what has ended and waits to be asked about does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_end(processes: Iterable[int], seconds: float = 20) -> bool:
    """Whether all have ended within this time."""
    patience = time.monotonic() + seconds
    while any(map(alive, processes)):
        if time.monotonic() > patience:
            return False
        time.sleep(0.05)
    return True
