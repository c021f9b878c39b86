"""A program of the stack: how to start it, see that it answers, and stop it."""

import fcntl
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from .folders import CHECKOUT
from .processes import tied_to_parent


class Program:
    """One child process in a session of its own, so that Ctrl-C in the terminal reaches only the parent."""

    stop_signal = signal.SIGTERM
    stop_seconds = 5.0
    start_seconds = 30.0

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        answers: Callable[[], bool] = lambda: True,
        talkative: bool = True,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.environment = dict(environment or {})
        self.answers = answers  # whether the running program does its work yet
        self.talkative = talkative  # whether its log is for the terminal too
        self.working_folder = CHECKOUT
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make the place ready for a start, the first one or one after a kill -9."""

    def account(self) -> pwd.struct_passwd | None:
        """Return the user to run as, None for the present one."""
        return None

    def launch(self) -> None:
        """Start the process without waiting for its answer."""
        self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.working_folder,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=tied_to_parent(self.stop_signal),
                **run_as(self.account()),
            )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until the process answers; stop it and raise with its last words if it doesn't."""
        deadline = time.monotonic() + self.start_seconds
        while not (self.alive() and self.answers()):
            if not self.alive() or time.monotonic() > deadline:
                state = "does not answer" if self.alive() else "stopped at once"
                self.stop()
                raise RuntimeError(f"{self.name} {state}; the end of {self.log}:\n{self.last_words()}")
            time.sleep(0.01)

    @property
    def pid(self) -> int | None:
        """The process's number, None where there is no process."""
        return self.process.pid if self.process else None

    def alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def interrupt(self) -> None:
        """Ask the process to stop, and don't wait."""
        if self.process is not None:
            self.process.send_signal(self.stop_signal)

    def stop(self) -> None:
        """Ask the process to stop, and after `stop_seconds` kill it and what it started."""
        if self.process is None:
            return
        self.interrupt()
        try:
            self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self.sweep()

    def kill(self) -> None:
        """Kill the process as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def sweep(self) -> None:
        """Kill what a dead process left in its session: a server's forked workers would keep its port."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None  # its number may be somebody else's from now on

    def last_words(self, lines: int = 20) -> str:
        """Return the end of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Lock:
    """A lock on a folder that the kernel lets go of when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self) -> None:
        """Take the lock, or say which process has it."""
        if self.descriptor is not None:
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "another one"
            os.close(descriptor)
            raise RuntimeError(f"{self.path.parent} is in use by process {holder}: stop that first") from None
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self.descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class Identity(TypedDict, total=False):
    """Subprocess's arguments for another user."""

    user: int
    group: int
    extra_groups: list[int]


def run_as(account: pwd.struct_passwd | None) -> Identity:
    """Return subprocess's arguments for another user, none for the present one."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
