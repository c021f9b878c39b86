"""Nets trained in processes of their own are the same nets, and the processes never outlive the training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.subprocess_fit import CLICKS, fit_in_subprocesses
from django_sessrec.recsys.recommender import NotEnoughData
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
class Dying(GRU4Rec):
    def fit(self, *_: Any, **__: Any) -> NoReturn:
        os._exit(3)


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
