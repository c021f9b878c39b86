"""Memory of a training run on many clicks: `python -m benchmarks.scale.training_memory --clicks 30000000`.

Zipf-popular clicks of a month on a million items, drawn a day at a time in the place of the days' click
files, go the way of a training run: read, bounded, put in order of session, a neighbour model fitted, and the
intents learnt. Each step's highest memory is that of one process; mapped files, which the system can take
back, are counted in `resident` and not in `own`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django
import numpy as np
from django.conf import settings

from benchmarks import one_page_shop
from benchmarks.scale import zipf

DAYS = 30
STATUS = Path("/proc/self/status")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--clicks", type=int, nargs="+", default=[3_000_000, 10_000_000, 30_000_000])
    options = parser.parse_args()
    results = {}
    for clicks in options.clicks:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh_process:
            results[str(clicks)] = fresh_process.submit(measure, options.items, clicks).result()
        print(clicks, *(f"{name} {value:,.4g}" for name, value in results[str(clicks)].items()), sep="\n    ")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n")


def measure(items: int, clicks: int) -> dict[str, float]:
    """Seconds, processor seconds and megabytes of each step; reading includes drawing the clicks."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        given = one_page_shop.settings({"ENGINE": "django.db.backends.postgresql"})
        settings.configure(**given | {"SESSREC": given["SESSREC"] | {"ARTIFACTS": folder}})
        django.setup()
        from django_sessrec.recsys.intents import Intents
        from django_sessrec.recsys.neighbours import Neighbours
        from django_sessrec.training import click_files, dataset

        start = datetime(2026, 1, 1, tzinfo=UTC)
        nobody = np.zeros(0, np.int64)
        click_files.days = lambda *_: drawn_days(click_files, start, items, clicks)
        click_files.left_out = lambda: click_files.Sessions(nobody, nobody)
        before = own_mb()
        figures: dict[str, float] = {"process_mb": before}
        with Steps(figures, "read"):
            log, counts = dataset.read(start, start + timedelta(DAYS), from_files=True)
        figures |= {"clicks": counts.clicks, "sessions": counts.sessions, "capped": counts.capped_clicks}
        with Steps(figures, "neighbours"):
            model = Neighbours().fit(log)
        del model
        with Steps(figures, "intents"):
            Intents.of(log)
        figures["resident_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return figures


def drawn_days(click_files: Any, start: datetime, items: int, clicks: int) -> Iterator[Any]:
    """Each day's clicks as its file holds them."""
    ids = [str(item) for item in range(1, items + 1)]
    for day in range(DAYS):
        drawn = zipf.draw(items, clicks // DAYS, days=1, seed=day, order=0)
        rng = np.random.default_rng(day)
        found, item = np.unique(drawn.items, return_inverse=True)
        day_clicks = np.zeros(len(drawn.items), click_files.CLICK)
        milliseconds = (int(start.timestamp()) + 86_400 * day + drawn.seconds) * 1000
        day_clicks["id_high"] = (milliseconds << 16).astype(np.uint64)
        day_clicks["session"] = rng.integers(-(2**63), 2**63, drawn.sessions[-1] + 1)[drawn.sessions]
        day_clicks["item"] = item
        encoded = [ids[each - 1].encode() for each in found.tolist()]
        yield click_files.Day(
            day_clicks,
            found,
            np.frombuffer(b"".join(encoded), np.uint8),
            np.concatenate(([0], np.cumsum([len(each) for each in encoded]))),
            {},
        )


class Steps:
    """A context: its seconds, and the most memory that the process had meanwhile, go into `figures`."""

    def __init__(self, figures: dict[str, float], name: str) -> None:
        self._figures, self._name = figures, name
        self._most, self._over = 0.0, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._began, self._began_cpu = time.perf_counter(), time.process_time()
        self._watch.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()
        self._figures[f"{self._name}_s"] = time.perf_counter() - self._began
        self._figures[f"{self._name}_cpu_s"] = time.process_time() - self._began_cpu
        self._figures[f"{self._name}_own_mb"] = self._most

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, own_mb())


def own_mb() -> float:
    """Memory of this process that is no file's."""
    anonymous = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
    return int(anonymous.split()[1]) / 1024


if __name__ == "__main__":
    main()
