"""What a fit costs: its time and its memory, in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.memory import PeakMemory
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Estimator
from django_sessrec.recsys.sessions import SessionLog
from example_shop.stack.processes import die_with_parent


def fit_in_subprocesses(
    label: str, estimator: Estimator, sessions: SessionLog, folder: Path
) -> dict[str, Any]:
    """Fit in a fresh process, save the artifact as `folder`, and return what it took.

    fit_s, fit_cpu_s:  from the sessions in memory to the recommender: wall, and processor time of all threads
    fit_threads:       threads that torch computes with; 1 where the model does not use it
    peak_mb:           most memory that the process and those it started had resident meanwhile: libraries,
                       the sessions and the fit; no evaluation and no saving. Linux only
    targets_per_s:     clicks trained on, as the last net's progress told it
    save_s:            from the recommender to the artifact on disk
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, mp_context=spawn, initializer=die_with_parent, initargs=(signal.SIGKILL,)
    ) as fresh_process:
        return fresh_process.submit(fit, label, estimator, sessions, folder).result()


def fit(label: str, estimator: Estimator, sessions: SessionLog, folder: Path) -> dict[str, Any]:
    """The same in this process."""
    latest: dict[str, Any] = {}
    show = shown(f"{label}: fit")

    def progress(share: float, figures: Mapping[str, Any]) -> None:
        latest.update(figures)
        show(share, figures)

    began, began_cpu = time.perf_counter(), cpu_seconds()
    with PeakMemory() as memory:
        recommender = estimator.fit(sessions, progress=progress)
    figures = {
        "fit_s": time.perf_counter() - began,
        "fit_cpu_s": cpu_seconds() - began_cpu,
        "fit_threads": threads(),
        **memory.figures,
        **{key: value for key, value in latest.items() if key == "targets_per_s"},
    }
    began = time.perf_counter()
    artifact.save(recommender, folder, card={})
    return figures | {"save_s": time.perf_counter() - began}


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def threads() -> int:
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else 1


def shown(label: str) -> Any:
    """A progress callback that rewrites one line of a terminal."""

    def show(share: float, figures: Mapping[str, Any]) -> None:
        details = " ".join(f"{key} {value:.4g}" for key, value in figures.items())
        end = "\n" if share >= 1 else ""
        print(f"\r{label} {share:4.0%} {details:60}", end=end, file=sys.stderr, flush=True)

    return show
