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

    query_cpu_us_*: the processor's time for it, which tells more where the machine has other work.
    private_mb: memory that the process then has for itself alone, mapped files not counted; Linux only.
    """
    chosen = np.linspace(0, len(cases) - 1, min(QUESTIONS, len(cases))).astype(np.int64)
    prefixes = [np.array(cases.prefix(case)) for case in chosen]
    spawn = multiprocessing.get_context("spawn")
    with environment(ONE_THREAD), ProcessPoolExecutor(1, mp_context=spawn) as fresh_process:
        figures, seconds = fresh_process.submit(ask, folder, prefixes, k).result()
    for name, taken in zip(("query_us", "query_cpu_us"), seconds, strict=True):
        for percent, value in zip((50, 90, 99), np.percentile(taken, [50, 90, 99]) * 1e6, strict=True):
            figures[f"{name}_p{percent}"] = value
    return figures


def ask(folder: Path, prefixes: list[Rows], k: int) -> tuple[dict[str, float], NDArray[np.float64]]:
    """What it took to be ready, and (2, n) seconds of each question: the clock's, and the processor's."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    began = time.perf_counter()
    recommender = artifact.load(folder)
    load_s = time.perf_counter() - began
    for prefix in prefixes[:WARM_UP]:
        recommender.top(prefix, k)
    seconds = np.zeros((2, len(prefixes)))
    for question, prefix in enumerate(prefixes):
        began = np.array([time.perf_counter(), time.thread_time()])
        recommender.top(prefix, k)
        seconds[:, question] = [time.perf_counter(), time.thread_time()] - began
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
