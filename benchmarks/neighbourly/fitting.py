"""A network's fit in a process of its own, which reports how far it is: as a training worker runs it, or as
it ran before there was any consideration.

`python -m benchmarks.neighbourly.fitting [TRAIN_NICENESS]` fits until it is killed, and writes a line of JSON
twice a second; without the number it shows no consideration.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from benchmarks.fitting import threads
from example_shop.stack.processes import die_with_parent

SESSIONS, ITEMS = 40_000, 5_000
REPORT_EVERY = 0.5  # seconds
COUNTING = """
import os
os.nice(19)
if hasattr(os, "SCHED_IDLE"):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""
TIMEOUT_SECONDS = 300  # for the next report of a fit on a busy machine


class Fit:
    """A context with a fit under way, past its start and its first steps.

    as_service: in a session of its own, as a worker of its own is
    """

    def __init__(self, niceness: int | None, *, as_service: bool = False) -> None:
        command = [sys.executable, "-m", __name__, *([] if niceness is None else [str(niceness)])]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=as_service
        )
        self._reports: list[dict[str, float]] = []
        self._heard = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._reader.start()
        try:
            self._wait_for(lambda: len(self._reports) > 2)
        except RuntimeError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def figures(self, seconds: float) -> dict[str, float]:
        """targets_per_s over the last `seconds`, or until the fit's next report; and its threads."""
        since = time.monotonic() - seconds
        self._wait_for(lambda: self._reports[-1]["at"] >= since)
        reports = list(self._reports)
        first, last = (
            next((each for each in reversed(reports) if each["at"] < since), reports[0]),
            reports[-1],
        )
        steps, took = last["targets"] - first["targets"], last["at"] - first["at"]
        return {"targets_per_s": steps / took, "threads": last["threads"]}

    def _wait_for(self, done: Callable[[], bool]) -> None:
        with self._heard:
            self._heard.wait_for(lambda: done() or self._over, TIMEOUT_SECONDS)
            if not done():
                raise RuntimeError("the fit reports nothing; its standard error says why")

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with self._heard:
                self._reports.append(json.loads(line))
                self._heard.notify_all()
        with self._heard:
            self._over = True
            self._heard.notify_all()


@contextmanager
def idle_loop() -> Iterator[None]:
    """Beside a process that counts and needs no memory, of the lowest priority that there is: what is left
    of its cost is the system's and the processor's."""
    process = subprocess.Popen([sys.executable, "-c", COUNTING])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    die_with_parent(signal.SIGKILL)
    if len(sys.argv) > 1:
        import django
        from django.test import override_settings

        from django_sessrec.training.good_neighbour import give_way

        django.setup()
        with override_settings(SESSREC={"TRAIN_NICENESS": int(sys.argv[1])}):
            give_way()
    fit_on_and_on()


def fit_on_and_on() -> None:
    """Training steps of GRU4Rec on a synthetic shop, epoch after epoch."""
    from django_sessrec.neural import GRU4Rec
    from django_sessrec.neural.training import Trainer
    from django_sessrec.recsys.synthetic import synthetic_shop

    recipe = GRU4Rec(epochs=10_000)
    sessions = synthetic_shop(items=ITEMS, groups=50, sessions=SESSIONS).log
    trainer = Trainer(recipe.encoder(recipe.initial_vectors(sessions)).train(), recipe, sessions)
    targets, reported_at = 0, 0.0
    while True:
        for chosen in trainer.sampler.batches():
            trainer.step(chosen)
            targets += trainer.sampler.windows.n_targets_of(chosen)
            if (now := time.monotonic()) - reported_at > REPORT_EVERY:
                reported_at = now
                tell(at=now, targets=targets, threads=threads())


def tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
