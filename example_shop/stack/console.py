"""What the stack writes on the terminal: its own lines, numbered steps, and the programs' logs."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

from .program import Program

COLOURS = (36, 33, 35, 32, 34, 31)  # of the terminal: one for each program, in the order of their start
_turn = count()


def say(text: str) -> None:
    """Write a line at once; a terminal that was closed must not keep the programs from being stopped."""
    with suppress(OSError):
        print(text, flush=True)


def coloured(text: str, colour: int) -> str:
    """Colour text for a terminal that shows colours; see no-color for the variable."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{colour}m{text}\033[0m"


class LogFollower:
    """Shows the lines that a program adds to its log.

    The program writes into the file itself: a pipe to here would fill up while a step runs.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.prefix = coloured(f"{program.name:>8} | ", COLOURS[next(_turn) % len(COLOURS)])
        self.position = 0

    def show(self) -> None:
        """Write the complete lines that are new."""
        if not (self.program.talkative and self.program.log.exists()):
            return
        with self.program.log.open("rb") as log:
            log.seek(self.position)
            lines, newline, _ = log.read().rpartition(b"\n")
        self.position += len(lines) + len(newline)
        for line in lines.decode(errors="replace").splitlines():
            say(self.prefix + line)


@contextmanager
def step(number: int, total: int, title: str) -> Iterator[None]:
    """Announce a step of the way, and say how long it took."""
    say(coloured(f"[{number}/{total}] {title} ...", 1))
    started = time.monotonic()
    yield
    say(f"[{number}/{total}] {title}: {time.monotonic() - started:.1f} s")
