"""How long one question to a saved model takes, in a process like a web worker's: one core, one thread."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import private_memory
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.items import Rows

QUESTIONS = 10_000
WARM_UP = 200
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def query_latency(folder: Path, cases: Cases, k: int) -> dict[str, float]:
    """Microseconds of `top(prefix, k)` of the artifact in `folder`, asked one by one; load_s opens it.

    private_mb: memory that the process then has for itself alone, mapped files not counted; Linux only.
    """
    chosen = np.linspace(0, len(cases) - 1, min(QUESTIONS, len(cases))).astype(np.int64)
    prefixes = [np.array(cases.prefix(case)) for case in chosen]
    spawn = multiprocessing.get_context("spawn")
    with environment(ONE_THREAD), ProcessPoolExecutor(1, mp_context=spawn) as fresh_process:
        figures, seconds = fresh_process.submit(ask, folder, prefixes, k).result()
    p50, p90, p99 = np.percentile(seconds, [50, 90, 99]) * 1e6
    return figures | {"query_us_p50": p50, "query_us_p90": p90, "query_us_p99": p99}


def ask(folder: Path, prefixes: list[Rows], k: int) -> tuple[dict[str, float], NDArray[np.float64]]:
    """What it took to be ready, and (n,) seconds of each question."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    began = time.perf_counter()
    recommender = artifact.load(folder)
    load_s = time.perf_counter() - began
    for prefix in prefixes[:WARM_UP]:
        recommender.top(prefix, k)
    seconds = np.zeros(len(prefixes))
    for question, prefix in enumerate(prefixes):
        began = time.perf_counter()
        recommender.top(prefix, k)
        seconds[question] = time.perf_counter() - began
    return {"load_s": load_s, **private_memory()}, seconds


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """These environment variables for processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
