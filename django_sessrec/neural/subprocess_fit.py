"""Nets trained in processes of their own, some at a time.

Two nets of one thread each take two thirds of the time of one after the other on two threads, and what a
training takes of memory goes back to the system with its process. Plain programs, because the processes
of a Celery worker may have no children by multiprocessing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

import django_sessrec
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.export import ExportMismatch
from django_sessrec.neural.training import TrainingDiverged
from django_sessrec.recsys import artifact
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress
from django_sessrec.recsys.sessions import SessionLog

ORDER, CLICKS, NETS = "order.json", "clicks.npz", "nets"
PROGRAM = f"from {__name__} import carry_out; carry_out()"
PROBLEMS = {problem.__name__: problem for problem in (NotEnoughData, TrainingDiverged, ExportMismatch)}


def fit_in_subprocesses(
    estimator: NeuralEstimator,
    sessions: SessionLog,
    cuts: Sequence[int],
    *,
    at_once: int,
    progress: Progress | None = None,
    checkpoints: Path | None = None,
) -> list[OnnxRecommender]:
    """A net for each cut, fitted on so many of the first sessions and on their items alone.

    at_once:     so many processes, each with the estimator's threads.
    checkpoints: a folder with whose help nets go on whose training was killed.
    Raises what the estimator's fit raises, and RuntimeError for a process that came to another end.
    """
    with TemporaryDirectory(prefix="sessrec-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        order = {
            "estimator": [type(estimator).__module__, type(estimator).__name__],
            "options": asdict(estimator),
            "cuts": list(map(int, cuts)),
            "checkpoints": None if checkpoints is None else str(checkpoints.absolute()),
            "item_ids": sessions.index.ids[1:],
        }
        (folder / ORDER).write_text(json.dumps(order), encoding="utf-8")
        np.savez(folder / CLICKS, items=sessions.items, offsets=sessions.offsets, times=sessions.times)
        _Processes(folder).run(len(cuts), at_once, progress)
        folders = [folder / NETS / str(number) for number in range(len(cuts))]
        return [cast("OnnxRecommender", artifact.load(each)) for each in folders]


class _Processes:
    """Those that carry out one order. A thread hears what each tells; the caller's own tells it on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.stopping = False
        self.told: SimpleQueue[tuple[int, Mapping[str, Any]]] = SimpleQueue()

    def run(self, nets: int, at_once: int, progress: Progress | None) -> None:
        shares = np.zeros(nets)
        with ThreadPoolExecutor(at_once) as pool:
            for number in range(nets):
                pool.submit(self._train, number)
            try:
                while shares.min() < 1:
                    number, shown = self.told.get()
                    if "error" in shown:
                        raise PROBLEMS.get(shown["error"], RuntimeError)(shown["message"])
                    first = number == (shares < 1).argmax()  # the curve shown is one net's at a time
                    shares[number] = shown["share"]
                    if progress is not None:
                        progress(float(shares.mean()), {**shown, "net": number + 1} if first else {})
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()

    def _train(self, number: int) -> None:
        try:
            status = self._listen(number)
        except Exception as problem:  # the caller waits for some word of every net
            self._complain(number, f"could not be started: {problem}")
        else:
            if status:
                self._complain(number, f"ended with status {status}; the worker's log says why")

    def _listen(self, number: int) -> int:
        command = [sys.executable, "-c", PROGRAM, str(self.folder), str(number)]
        with subprocess.Popen(  # noqa: S603
            command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            self.running.append(process)
            if self.stopping:
                process.kill()
            for line in process.stdout or ():
                self.told.put((number, json.loads(line)))
        return process.returncode

    def _complain(self, number: int, what: str) -> None:
        message = f"the process that trains net {number + 1} {what}"
        self.told.put((number, {"error": "", "message": message}))

    def _stop(self) -> None:
        self.stopping = True
        for process in self.running:
            process.kill()


def _environment() -> dict[str, str]:
    """The processes' variables: with them they find this package wherever it was imported from."""
    home = str(Path(django_sessrec.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


def first(sessions: SessionLog, cut: int) -> SessionLog:
    """So many of the first sessions, over their items alone."""
    return sessions.slice(0, cut).compacted() if cut < len(sessions) else sessions


def carry_out() -> None:
    """Train the net of an order that the command line names; lines of JSON tell how far it is."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    module, name = order["estimator"]
    estimator = getattr(import_module(module), name)(**order["options"])
    with np.load(folder / CLICKS, allow_pickle=False) as arrays:
        sessions = SessionLog(ItemIndex(order["item_ids"]), **arrays)
    checkpoints = order["checkpoints"] and Path(order["checkpoints"]) / str(number)
    try:
        # The whole share is told once the net is saved.
        net = estimator.fit(
            first(sessions, order["cuts"][number]),
            progress=lambda share, shown: _tell(**shown, share=min(share, 0.99)),
            checkpoints=checkpoints,
        )
        artifact.save(net, folder / NETS / str(number), card={})
    except tuple(PROBLEMS.values()) as problem:
        _tell(error=type(problem).__name__, message=str(problem))
    else:
        _tell(share=1.0)


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """The pipe to our input closes when the parent is gone, however it went."""
    sys.stdin.read()
    os._exit(1)
