"""Nets trained in processes of their own are the same nets, and the processes never outlive the training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.estimator import note_out_of_memory
from django_sessrec.neural.subprocess_fit import CLICKS, fit_in_subprocesses
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress
from django_sessrec.recsys.sessions import SessionLog
from tests.support.processes import alive, all_end, children

SMALL = GRU4Rec(embedding_size=16, epochs=1, threads=1)
ENDLESS = """
import sys
from pathlib import Path
from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.subprocess_fit import fit_in_subprocesses
from django_sessrec.recsys.synthetic import synthetic_shop
fit_in_subprocesses(
    GRU4Rec(epochs=10_000, threads=1), synthetic_shop().log, [100, 200, 300], parallel_fits=2,
    progress=lambda share, shown: print(share, flush=True), checkpoints=Path(sys.argv[1]),
)
"""
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in Linux's /proc")


@dataclass(frozen=True, kw_only=True)
class Killed(GRU4Rec):
    def fit(self, *_: Any, **__: Any) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True, kw_only=True)
class Dying(GRU4Rec):
    def fit(self, *_: Any, **__: Any) -> NoReturn:
        os._exit(3)


@dataclass(frozen=True, kw_only=True)
class Noting(GRU4Rec):
    """Says what a fit says whose GPU runs out of memory, of the longer log alone, and first."""

    def fit(
        self, sessions: SessionLog, *, progress: Progress | None = None, **options: Any
    ) -> OnnxRecommender:
        if len(sessions) == 600:
            note_out_of_memory(progress)
        else:
            time.sleep(3)
        return super().fit(sessions, progress=progress, **options)


def test_what_any_of_them_notes_is_passed_on(logs: tuple[SessionLog, SessionLog]) -> None:
    notes: list[str] = []

    def progress(share: float, shown: Mapping[str, Any]) -> None:
        notes.extend(filter(None, [shown.get("note")]))

    noting = Noting(embedding_size=16, epochs=1, threads=1)
    fit_in_subprocesses(noting, logs[0].slice(0, 600), [400, 600], parallel_fits=2, progress=progress)
    assert notes == ["The GPU ran out of memory; the training started again on the processor."]


def test_they_are_the_nets_that_would_have_been_fitted_here(logs: tuple[SessionLog, SessionLog]) -> None:
    log = logs[0].slice(0, 600)
    told: list[float] = []
    fitted = fit_in_subprocesses(
        SMALL, log, [400, 600], parallel_fits=2, progress=lambda share, _: told.append(share)
    )
    for net, sessions in zip(fitted, (log.slice(0, 400).compacted(), log), strict=True):
        here = SMALL.fit(sessions)
        assert net.index == here.index
        np.testing.assert_array_equal(net.items, here.items)
        assert net.encoder == here.encoder
    assert told == sorted(told)
    assert told[-1] == 1


def test_what_went_wrong_there_is_raised_here(logs: tuple[SessionLog, SessionLog]) -> None:
    with pytest.raises(NotEnoughData, match="collect more visits"):
        fit_in_subprocesses(SMALL, logs[0], [1, 600], parallel_fits=1)


def test_a_process_that_dies_is_named(logs: tuple[SessionLog, SessionLog]) -> None:
    with pytest.raises(RuntimeError, match="trains network 1 ended with status 3"):
        fit_in_subprocesses(Dying(), logs[0], [600], parallel_fits=1)


def test_a_process_that_is_killed_is_told_of_as_such(logs: tuple[SessionLog, SessionLog]) -> None:
    with pytest.raises(ChildProcessError, match="trains network 1 was killed by signal 9; "):
        fit_in_subprocesses(Killed(), logs[0], [600], parallel_fits=1)


@needs_proc
def test_a_training_that_is_stopped_ends_its_processes(logs: tuple[SessionLog, SessionLog]) -> None:
    of_others = set(children(os.getpid()))
    seen: list[int] = []

    def stop(*_: object) -> None:
        seen.extend({*children(os.getpid())} - of_others)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_in_subprocesses(
            GRU4Rec(epochs=10_000, threads=1), logs[0], [500, 600], parallel_fits=2, progress=stop
        )
    assert len(seen) == 2
    assert not any(map(alive, seen))


@needs_proc
def test_a_training_that_is_killed_takes_its_processes_along_and_leaves_no_clicks_elsewhere(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    (elsewhere := tmp_path / "tmp").mkdir()
    program = [sys.executable, "-c", ENDLESS, str(tmp_path / "kept")]
    environment = {**os.environ, "TMPDIR": str(elsewhere)}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as training:
        assert training.stdout is not None
        assert float(training.stdout.readline()) < 1
        nets = children(training.pid)
        assert len(nets) == 2
        training.send_signal(signal.SIGKILL)
        assert all_end(nets)
    assert not list(elsewhere.rglob(CLICKS))
    assert len(list((tmp_path / "kept").rglob(CLICKS))) == 1
    fit_in_subprocesses(SMALL, logs[0], [600], parallel_fits=1, checkpoints=tmp_path / "kept")
    assert not list((tmp_path / "kept").rglob(CLICKS))
