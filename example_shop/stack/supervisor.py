"""Keeps programs running until Ctrl-C, shows their logs, and stops them in the right order."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from .console import LogFollower, say
from .processes import carrying, end
from .program import Lock, Program

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MARKER = "SESSREC_SUPERVISED"  # in the environment of every program and of whatever it starts
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STEADY_SECONDS = 60.0  # a program that ran so long has got over what stopped it before


@dataclass
class Watched:
    """A program under supervision, and when to start it again should it have stopped."""

    program: Program
    logs: LogFollower
    started_at: float = field(default_factory=time.monotonic)
    delay: float = 0.0
    retry_at: float | None = None

    def look(self, now: float) -> None:
        """Show new log lines; plan a new start for a program that stopped, later after each failure."""
        self.logs.show()
        if self.program.alive():
            return
        if self.retry_at is None:
            steady = self.delay == 0 or now - self.started_at > STEADY_SECONDS
            self.delay = FIRST_DELAY if steady else min(2 * self.delay, LONGEST_DELAY)
            self.retry_at = now + self.delay
            self.program.sweep()
            say(f"{self.program.name} stopped; it starts again in {self.delay:g} s ({self.program.log})")
        elif now >= self.retry_at:
            self.retry_at = None
            self.started_at = now
            try:
                self.program.launch()
            except (OSError, RuntimeError) as error:
                say(f"{self.program.name} can't start: {error}")


class Supervisor:
    """Runs groups of programs: each group starts when the one before it answers, and stops before it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.lock = Lock(state / "supervisor.lock")
        self.groups: list[list[Watched]] = []

    def __enter__(self) -> Self:
        self.lock.take()
        end_leftovers(self.state)
        self.handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        for number in STOP_SIGNALS:
            signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # stopping takes seconds at most: nothing to interrupt
        self.stop()
        self.lock.release()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def start(self, *programs: Program) -> None:
        """Start a group of programs together and wait until each of them answers."""
        self.groups.append([Watched(program, LogFollower(program)) for program in programs])
        for program in programs:
            program.environment[MARKER] = str(self.state)
            if program.log.exists():
                program.log.replace(program.log.with_suffix(".previous.log"))
            program.launch()
        for program in programs:
            program.wait()

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Start again what stops, until Ctrl-C or SIGTERM raises KeyboardInterrupt."""
        while not until():
            for group in self.groups:
                for watched in group:
                    watched.look(time.monotonic())
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the last group first, the programs of a group at the same time."""
        for group in reversed(self.groups):
            for watched in group:
                watched.program.interrupt()
            for watched in group:
                watched.program.stop()
                watched.logs.show()


def end_leftovers(state: Path) -> None:
    """End what a killed supervisor left; for who has its lock, so that each that carries the mark is such."""
    end(lambda: carrying(MARKER, str(state)), politely=signal.SIGTERM, patience=3)
