"""A network's fit in a process of its own, which tells how far it is: as a training worker runs it, or as
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
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from benchmarks.fitting import threads
from example_shop.stack.processes import die_with_parent

SESSIONS, ITEMS = 40_000, 5_000
TELL_EVERY = 0.5  # seconds
PATIENCE = 120  # seconds until a fit on a busy machine has told something


class Fit:
    """A context with a fit under way, past its start and its first steps."""

    def __init__(self, niceness: int | None) -> None:
        command = [sys.executable, "-m", __name__, *([] if niceness is None else [str(niceness)])]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._told: list[dict[str, float]] = []
        self._heard = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._reader.start()
        try:
            self._wait_for(lambda: len(self._told) > 2)
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
        """targets_per_s over the last so many seconds, or until the fit next tells; and threads."""
        since = time.monotonic() - seconds
        self._wait_for(lambda: self._told[-1]["at"] >= since)
        told = list(self._told)
        first, last = next((each for each in reversed(told) if each["at"] < since), told[0]), told[-1]
        steps, took = last["targets"] - first["targets"], last["at"] - first["at"]
        return {"targets_per_s": steps / took, "threads": last["threads"]}

    def _wait_for(self, told: Callable[[], bool]) -> None:
        with self._heard:
            self._heard.wait_for(lambda: told() or self._over, PATIENCE)
            if not told():
                raise RuntimeError("the fit tells nothing; its standard error says why")

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with self._heard:
                self._told.append(json.loads(line))
                self._heard.notify_all()
        with self._heard:
            self._over = True
            self._heard.notify_all()


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
    targets, told_at = 0, 0.0
    while True:
        for chosen in trainer.sampler.batches():
            trainer.step(chosen)
            targets += trainer.sampler.windows.n_targets_of(chosen)
            if (now := time.monotonic()) - told_at > TELL_EVERY:
                told_at = now
                tell(at=now, targets=targets, threads=threads())


def tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
