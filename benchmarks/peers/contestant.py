"""A peer's side of the race: it trains while it has the turn, and is judged when the turn is over.

Orders come line by line on standard input: `train SECONDS` (of processor time), `judge`, `end`. Answers are
lines of JSON on standard output; whatever the peer's library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.sessions import SessionLog

TRAIN, VALIDATION, TEST = "train.npz", "validation.npz", "test.npz"
LONGEST = 20  # clicks that every contestant reads


def write(folder: Path, train: SessionLog, validation: Cases, test: Cases) -> None:
    """Lay out the data for the contestants; items are rows from here on."""
    rows = len(train.index)
    np.savez(folder / TRAIN, rows=rows, items=train.items, offsets=train.offsets, times=train.times)
    for name, cases in ((VALIDATION, validation), (TEST, test)):
        columns = ("items", "starts", "stops", "labels", "lengths")
        np.savez(folder / name, **{column: getattr(cases, column) for column in columns})


def read_train(folder: Path) -> SessionLog:
    with np.load(folder / TRAIN) as saved:
        index = ItemIndex([str(row) for row in range(1, int(saved["rows"]))])
        return SessionLog(index, saved["items"], saved["offsets"], saved["times"])


def read_cases(path: Path, index: ItemIndex) -> Cases:
    with np.load(path) as saved:
        return Cases(index, **saved)


class Scorer(Protocol):
    """A peer's net in its present state."""

    def __call__(self, sessions: Sequence[Rows]) -> FloatArray:
        """(B,) sessions of 1 to LONGEST rows -> (B, rows); column 0 is not looked at."""
        ...


@dataclass
class Peer:
    """Shows the evaluation a scorer as a recommender."""

    index: ItemIndex
    scorer: Scorer

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        """-inf for a session of nothing that the peer knows: it has no answer."""
        scores = np.full((len(sessions), len(self.index)), -np.inf, np.float32)
        asked = [number for number, session in enumerate(sessions) if len(session)]
        if asked:
            scores[asked] = self.scorer([sessions[number][-LONGEST:] for number in asked])
            scores[:, 0] = -np.inf
        return scores


class Race:
    """Keeps the time of one contestant, whose training loop calls `trained` after each batch."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.folder = folder
        self.train = read_train(folder)
        self.targets = 0
        self.seconds = self.cpu_seconds = 0.0

    def run(self, scorer: Scorer, training: Callable[[], None]) -> None:
        """Wait for the first turn, then train for ever; an `end` ends the process."""
        self.peer: Any = Peer(self.train.index, scorer)
        self.answer(ready=True)
        self.wait()
        while True:
            training()

    def begin(self) -> None:
        """Start the turn's clock, again where the library had its data to prepare before its first batch."""
        self.began, self.began_cpu = time.perf_counter(), time.process_time()
        self.ends = self.began_cpu + self.turn

    def trained(self, targets: int) -> None:
        self.targets += targets
        if time.process_time() >= self.ends:
            self.seconds += time.perf_counter() - self.began
            self.cpu_seconds += time.process_time() - self.began_cpu
            self.answer(**self.figures(VALIDATION))
            self.wait()

    def wait(self) -> None:
        """Do as told until it is our turn to train."""
        for line in sys.stdin:
            order, *seconds = line.split()
            if order == "train":
                self.turn = float(seconds[0])
                self.begin()
                return
            if order == "end":
                break
            self.answer(**self.figures(TEST))
        sys.exit()

    def figures(self, cases: str) -> dict[str, Any]:
        """How far training is, in time of its own, and how well the net foretells these cases."""
        report = evaluate(self.peer, read_cases(self.folder / cases, self.train.index)).as_dict()
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "epochs": self.targets / (self.train.n_clicks - len(self.train)),
            "targets_per_s": self.targets / self.seconds,
            "targets_per_cpu_s": self.targets / self.cpu_seconds,
            "hr@20": report["hr@20"],
            "mrr@20": report["mrr@20"],
        }

    def answer(self, **figures: Any) -> None:
        print(json.dumps(figures), file=self.answers, flush=True)


def padded(sessions: Sequence[Rows], rows: Rows, *, left: bool) -> torch.Tensor:
    """(B, LONGEST) numbers in the peer's own counting, `rows` telling ours to theirs; 0 where is no click."""
    table = np.zeros((len(sessions), LONGEST), np.int64)
    for line, session in zip(table, sessions, strict=True):
        place = slice(LONGEST - len(session), None) if left else slice(len(session))
        line[place] = rows[session]
    return torch.from_numpy(table)
