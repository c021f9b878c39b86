"""Processes that die with the one that started them, and what a killed one leaves behind."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PROC = Path("/proc")

# Loaded here because loading a library between fork and exec can deadlock.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tied_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel send `death_signal` to the child when its parent is gone.

    The kernel watches the thread that forked: start children from a thread that lives as long as they do.
    """
    parent = os.getpid()

    def tie() -> None:
        die_with_parent(death_signal)
        if os.getppid() != parent:  # it was killed between the fork and the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


def die_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send `death_signal` to this process when the one that started it is gone."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, death_signal)


def working_in(folder: Path) -> list[int]:
    """Return the processes whose working folder this is; a database server and its backends stay in theirs.

    Zombies have no working folder, so they don't count. Without /proc (macOS) the answer is empty.
    """
    folder = folder.resolve()
    return [pid for pid in _others() if _working_folder(pid) == folder]


def exists(pid: int) -> bool:
    """Say whether there is a process of this number, anybody's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def carrying(variable: str, value: str) -> list[int]:
    """Return the processes that were started with this environment variable, children's children included."""
    wanted = os.fsencode(f"{variable}={value}")
    return [pid for pid in _others() if wanted in _environment(pid)]


def end(find: Callable[[], list[int]], *, politely: signal.Signals, patience: float) -> None:
    """Ask the processes that `find` returns to stop, kill those that don't, and wait until none is left."""
    for stop_signal, seconds in ((politely, patience), (signal.SIGKILL, 5.0)):
        for pid in find():
            with suppress(ProcessLookupError):
                os.kill(pid, stop_signal)
        deadline = time.monotonic() + seconds
        while find():
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"Processes {find()} do not stop, not even killed: look at them with ps")


def _others() -> list[int]:
    entries = PROC.iterdir() if PROC.is_dir() else ()
    return [int(entry.name) for entry in entries if entry.name.isdecimal() and int(entry.name) != os.getpid()]


def _working_folder(pid: int) -> Path | None:
    try:
        return (PROC / str(pid) / "cwd").readlink()
    except OSError:  # gone meanwhile, a zombie, or another user's
        return None


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
