"""Our side of the race: it gives the peers their turns, fits ours in between and compares the two."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import load
from benchmarks.fitting import fit_in_subprocesses
from benchmarks.peers import contestant
from django_sessrec.neural import GRU4Rec, SASRec
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.sessions import SessionLog

CHECKOUT = Path(__file__).parents[2]
PYTHON = CHECKOUT / ".venv-peers/bin/python"
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "recbole_gru4rec": ("recbole_gru4rec", {}),
    "recbole_gru4rec_512": ("recbole_gru4rec", {"train_batch_size": 512}),  # learns sooner on a processor
    "rectools_sasrec": ("rectools_sasrec", {}),
}
"""Modules beside this one, and what is set beside the settings that they name."""
OURS: dict[str, type[NeuralEstimator]] = {"gru4rec": GRU4Rec, "sasrec": SASRec}
FITS = [("gru4rec", 1 / 8), ("gru4rec", 1 / 4), ("gru4rec", 1 / 2), ("gru4rec", 1.0), ("sasrec", 1.0)]
FITS += [("gru4rec", 2.0), ("gru4rec", 3.0)]
ACCURACY = ("hr@20", "mrr@20")
LOOKED_AT = 10_000  # cases of the last days, after each turn
Points = dict[str, dict[str, Any]]


def fit(text: str) -> tuple[str, float]:
    name, epochs = text.split(":")
    return name, float(epochs)


def compete(options: argparse.Namespace, folder: Path, results: Points) -> None:
    """Let all contestants train in turns, then judge them on the test set."""
    dataset = load(options.data)
    train, validation = course(dataset.train, options.share)
    contestant.write(folder, train, validation, dataset.test.reindexed(train.index))
    with ExitStack() as stack:
        peers = {name: stack.enter_context(peer(name, folder, options)) for name in options.peers}
        turns = range(round(options.minutes * 60 / options.turn))
        for turn, ours in zip_longest(turns, options.fits):
            if options.until and time.time() > options.until.timestamp():
                break
            if turn is not None:
                for name, order in peers.items():
                    add_point(results, name, order(f"train {options.turn}"))
            if ours is not None:
                add_point(results, ours[0], fitted(*ours, train, validation, folder, options.threads))
            save(options.out, results)
        for name in results.keys() & peers.keys():
            results[name]["test"] = peers[name]("judge")
    for name in results.keys() & OURS.keys():
        longest = max(point["epochs"] for point in results[name]["points"])
        results[name]["test"] = accuracy(folder / f"{name}-{longest}", dataset.test)
    save(options.out, results)


def course(sessions: SessionLog, share: float) -> tuple[SessionLog, Cases]:
    """So large a share of the newest sessions, and the cases of the days after them.

    A click on an item that these sessions do not have counts as a miss.
    """
    train, last_days = sessions.split_last(0.07)
    if share < 1:
        _, train = train.split_last(share)
    train = train.compacted()
    validation = Cases.from_log(last_days).reindexed(train.index)
    looked_at = np.linspace(0, len(validation) - 1, min(LOOKED_AT, len(validation)))
    return train, validation.take(looked_at.astype(np.int64))


@contextmanager
def peer(name: str, folder: Path, options: argparse.Namespace) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A contestant in a process of its own, ready to train; yields what gives it an order."""
    module, settings = PEERS[name]
    arguments = [folder, str(options.threads), json.dumps(settings)]
    process = subprocess.Popen(
        [options.python.absolute(), "-m", f"benchmarks.peers.{module}", *arguments],
        cwd=tempfile.mkdtemp(dir=folder),  # they leave logs where they are
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": str(options.threads)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def answer() -> dict[str, Any]:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} ended with {process.wait()}; its last lines above say why")
        return json.loads(line)

    def order(line: str) -> dict[str, Any]:
        print(line, file=process.stdin, flush=True)
        return answer()

    try:
        answer()
        yield order
    finally:
        process.stdin.close()
        process.stdout.close()
        process.terminate()
        process.wait()


def fitted(
    name: str, epochs: float, train: SessionLog, validation: Cases, folder: Path, threads: int
) -> dict[str, Any]:
    """One complete fit of ours as a point; part of an epoch is one of so many of the newest sessions."""
    saved = folder / f"{name}-{epochs}"
    estimator = OURS[name](epochs=max(1, round(epochs)), threads=threads)
    if epochs < 1:
        _, train = train.split_last(epochs)
    took = fit_in_subprocesses(f"{name}, {epochs:g} epochs", estimator, train, saved)
    targets = estimator.epochs * (train.n_clicks - len(train))
    return {
        "seconds": took["fit_s"],
        "cpu_seconds": took["fit_cpu_s"],
        "epochs": epochs,
        "targets_per_s": targets / took["fit_s"],
        "targets_per_cpu_s": targets / took["fit_cpu_s"],
        **accuracy(saved, validation),
    }


def accuracy(folder: Path, cases: Cases) -> dict[str, float]:
    report = evaluate(artifact.load(folder), cases).as_dict()
    return {key: report[key] for key in ACCURACY}


def add_point(results: Points, name: str, point: dict[str, Any]) -> None:
    results.setdefault(name, {"points": []})["points"].append(point)
    figures = " ".join(f"{key} {value:,.4g}" for key, value in point.items())
    print(f"{name:16} {figures}", file=sys.stderr, flush=True)


def reached(theirs: Mapping[str, Any], ours: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The peer's best point by MRR, and our quickest fit that was as good by both figures."""
    best = max(theirs["points"], key=itemgetter("mrr@20"))
    fits = [{"by": name, **point} for name, figures in ours.items() for point in figures["points"]]
    as_good = [fit for fit in fits if all(fit[key] >= best[key] for key in ACCURACY)]
    if not as_good:
        return {"best": best}
    first = min(as_good, key=itemgetter("cpu_seconds"))
    sooner = {f"{clock}_ratio": best[clock] / first[clock] for clock in ("seconds", "cpu_seconds")}
    return {"best": best, "first": first, **sooner}


def save(out: Path | None, results: Points) -> None:
    """All figures so far, each peer's compared with ours."""
    ours = {name: figures for name, figures in results.items() if name in OURS}
    for name in results.keys() - ours:
        results[name]["reached"] = reached(results[name], ours)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=2) + "\n")
