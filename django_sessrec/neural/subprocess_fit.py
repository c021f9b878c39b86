"""Fits in processes of their own, several at a time.

Each is `python -m django_sessrec.neural.subprocess_fit FOLDER NUMBER`, with an order in the folder. Two
networks on one thread each take two thirds of the time of one after the other on two threads, and the memory
of a fit goes back to the system with its process. They are plain programs, because the processes of a Celery
worker may have no children by multiprocessing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

import django_sessrec
from django_sessrec.neural.errors import ExportMismatch, TrainingDiverged
from django_sessrec.neural.estimator import NeuralEstimator, estimator_from
from django_sessrec.recsys import artifact
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress
from django_sessrec.recsys.sessions import SessionLog

PROGRAM = "django_sessrec.neural.subprocess_fit"
PREFIX = "sessrec-"  # of the folder with the clicks
ORDER, CLICKS, NETWORKS = "order.json", "clicks.npz", "networks"
ERRORS = {error.__name__: error for error in (NotEnoughData, TrainingDiverged, ExportMismatch)}
OF_PROCESSES = {error.__name__: error for error in (ChildProcessError, RuntimeError)}


def fit_in_subprocesses(
    estimator: NeuralEstimator,
    sessions: SessionLog,
    cuts: Sequence[int],
    *,
    parallel_fits: int,
    progress: Progress | None = None,
    checkpoints: Path | None = None,
) -> list[OnnxRecommender]:
    """A recommender for each cut, fitted on so many of the first sessions and on their items alone.

    parallel_fits: processes at a time, each with the estimator's threads
    checkpoints:   a folder from which interrupted fits resume. The clicks that the processes read are in it,
                   too, so that those that a kill leaves are removed with it, and don't fill /tmp.
    Raises what the estimator's fit raises, and RuntimeError for a process that ended otherwise.
    """
    home = _home(checkpoints)
    with TemporaryDirectory(prefix=PREFIX, dir=home, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        order = {
            "estimator": estimator.to_json(),
            "cuts": list(map(int, cuts)),
            "checkpoints": None if checkpoints is None else str(checkpoints.absolute()),
            "item_ids": sessions.index.ids[1:],
        }
        (folder / ORDER).write_text(json.dumps(order), encoding="utf-8")
        np.savez(folder / CLICKS, allow_pickle=False, **sessions.arrays())
        _Processes(folder).run(len(cuts), parallel_fits, progress)
        folders = [folder / NETWORKS / str(number) for number in range(len(cuts))]
        return [cast("OnnxRecommender", artifact.load(each)) for each in folders]


def _home(checkpoints: Path | None) -> Path | None:
    """Where the clicks go, cleared of those of a fit that was killed; None for the system's folder."""
    if checkpoints is None:
        return None
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError:  # a fit does without checkpoints, too
        return None
    for left in checkpoints.glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    return checkpoints


class _Processes:
    """The processes of one order. A thread reads the lines of each; the caller's thread reports them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.stopping = False
        self.messages: SimpleQueue[tuple[int, Mapping[str, Any]]] = SimpleQueue()

    def run(self, fits: int, parallel_fits: int, progress: Progress | None) -> None:
        """Start all fits, wait for them and report; no process is left behind, however this ends."""
        shares = np.zeros(fits)
        with ThreadPoolExecutor(parallel_fits) as pool:
            for number in range(fits):
                pool.submit(self._fit, number)
            try:
                while shares.min() < 1:
                    number, message = self.messages.get()
                    if "error" in message:
                        raise (ERRORS | OF_PROCESSES)[message["error"]](message["message"])
                    first = number == (shares < 1).argmax()  # figures are shown of one network at a time
                    shares[number] = message["share"]
                    if progress is not None:
                        of_any = {"note": message["note"]} if "note" in message else {}
                        shown = {**message, "network": number + 1} if first else of_any
                        progress(float(shares.mean()), shown)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()

    def _fit(self, number: int) -> None:
        try:
            status = self._listen(number)
        except Exception as error:  # the caller waits for some message of every fit
            self._fail(number, f"could not be started: {error}")
        else:
            if status < 0:
                what = f"was killed by signal {-status}; 9 mostly means that memory was short"
                self._fail(number, what, ChildProcessError)
            elif status:
                self._fail(number, f"ended with status {status}; the worker's log says why")

    def _listen(self, number: int) -> int:
        command = [sys.executable, "-m", PROGRAM, str(self.folder), str(number)]
        with subprocess.Popen(  # noqa: S603
            command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            self.running.append(process)
            if self.stopping:
                process.kill()
            for line in process.stdout or ():
                self.messages.put((number, json.loads(line)))
        return process.returncode

    def _fail(self, number: int, what: str, error: type[Exception] = RuntimeError) -> None:
        message = f"the process that trains network {number + 1} {what}"
        self.messages.put((number, {"error": error.__name__, "message": message}))

    def _stop(self) -> None:
        self.stopping = True
        for process in self.running:
            process.kill()


def _environment() -> dict[str, str]:
    """The processes' environment, in which they find this package wherever it was imported from."""
    home = str(Path(django_sessrec.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


def first(sessions: SessionLog, cut: int) -> SessionLog:
    """The first `cut` sessions, over their items alone; all sessions if there are no more."""
    return sessions.slice(0, cut).compacted() if cut < len(sessions) else sessions


def main(folder: Path, number: int) -> None:
    """Fit the `number`th network of the order in `folder`; lines of JSON on standard output report it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    estimator = estimator_from(order["estimator"])
    with np.load(folder / CLICKS, allow_pickle=False) as arrays:
        sessions = SessionLog(ItemIndex(order["item_ids"]), **arrays)
    checkpoints = order["checkpoints"] and Path(order["checkpoints"]) / str(number)
    try:
        fitted = estimator.fit(
            first(sessions, order["cuts"][number]),
            progress=lambda share, shown: _send(**shown, share=min(share, 0.99)),  # 1 once it is saved
            checkpoints=checkpoints,
        )
        artifact.save(fitted, folder / NETWORKS / str(number), card={})
    except tuple(ERRORS.values()) as error:
        _send(error=type(error).__name__, message=str(error))
    else:
        _send(share=1.0)


def _send(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """End this process when its standard input closes: then the parent is gone, however it ended."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
