"""Python processes beside the tests, on the tests' own database, and the processes that others started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

CHECKOUT = Path(__file__).resolve().parents[2]


@contextmanager
def process(*arguments, cwd, own_session=False, **environment):
    """Run `python *arguments` in `cwd`; its output goes to the file `output` there. Ended at the end.

    own_session: as a service has one
    """
    variables = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(CHECKOUT),
        **environment,
    }
    with (cwd / "output").open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=own_session,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            kill(child.pid, *descendants(child.pid))
            child.wait()


def database_url():
    """The URL of the tests' own database."""
    database = settings.DATABASES["default"]
    return f"postgresql://{database['USER']}@/{database['NAME']}?host={quote(database['HOST'])}"


def wait_for(condition, child=None, seconds=300):
    """What `condition` returns, once it is true; fails with the child's last words."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        alive = child is None or child.poll() is None
        assert alive, "the process has ended"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


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


def descendants(parent: int) -> list[int]:
    """What `parent` started, and what these did."""
    return [each for child in children(parent) for each in (child, *descendants(child))]


def kill(*processes: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Send the signal to those that have not ended meanwhile."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, by)


def command_line(process: int) -> bytes:
    """What the process was started as, each argument ended by a zero byte; empty once it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(process: int) -> bool:
    """Whether it runs; what has ended and waits to be asked about does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_end(processes: Iterable[int], seconds: float = 300) -> bool:
    """Whether all have ended within this time."""
    patience = time.monotonic() + seconds
    while any(map(alive, processes)):
        if time.monotonic() > patience:
            return False
        time.sleep(0.05)
    return True
