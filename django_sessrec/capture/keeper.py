"""A thread that looks after what a process keeps, for where no page comes that would.

It owns nothing: a process that has none, as where its server allows no threads, keeps its rows until the
next page.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Final

from django.db import connections

from django_sessrec import database, safety
from django_sessrec.capture.breaker import waits_freely

PAUSE_SECONDS: Final = 2.0  # between two looks


class Keeper:
    """Calls `look_after` from time to time while it returns True, and once more after each wake()."""

    def __init__(self, look_after: Callable[[], bool]) -> None:
        self._look_after = look_after
        self._needed, self._hurried = Event(), Event()
        self._looking = Lock()
        self._ended = False
        self._thread: Thread | None = None

    def wake(self) -> None:
        """Have somebody look, within two pauses."""
        if self._thread is None or not self._thread.is_alive():  # the first time, and in a forked process
            self._needed, self._hurried, self._looking = Event(), Event(), Lock()
            events = [self._needed, self._hurried]
            thread = Thread(target=self._run, args=events, name="sessrec-keeper", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads here, or the interpreter ends
                return
            self._thread = thread
        self._ended = False
        if not self._needed.is_set():
            self._needed.set()

    def hurry(self) -> None:
        """Have somebody look at once."""
        self.wake()
        self._hurried.set()

    def end(self, seconds: float) -> None:
        """Look no more, and wait so long at most for a look to end: what it holds is nowhere else."""
        self._ended = True
        if self._looking.acquire(timeout=seconds):
            self._looking.release()

    def _run(self, needed: Event, hurried: Event) -> None:
        waits_freely()
        while needed.wait():
            needed.clear()  # first: what comes while it looks is looked for again
            hurried.wait(PAUSE_SECONDS)
            hurried.clear()
            with self._looking:
                if not self._ended and self._look():
                    needed.set()

    def _look(self) -> bool:
        try:
            with database.outside_pool():
                return self._look_after()
        except Exception as problem:
            safety.log("look after kept rows", problem)
            return True
        finally:
            connections.close_all()
