"""Two real processes train one net: the same weights in both, and as good as one process makes it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from django_sessrec.neural import GRU4Rec
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.sessions import SessionLog

CHECKOUT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
PROGRAM = """
import sys
from pathlib import Path
from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.torchrun import distributed_training
from django_sessrec.recsys import artifact
from django_sessrec.recsys.synthetic import synthetic_shop

folder, negatives = Path(sys.argv[1]), int(sys.argv[2])
recipe = GRU4Rec(embedding_size=16, epochs=2, threads=1, negatives=negatives)
with distributed_training() as leads:
    if leads:
        log, later = synthetic_shop().log.split_last(0.1)
        steps = []
        net = recipe.fit(log, validation=later, progress=lambda share, shown: steps.append(share))
        artifact.save(net, folder / "model", card={"told": len(steps)})
"""


RESUMED = """
import os, sys
from pathlib import Path
from django_sessrec.neural import GRU4Rec, checkpoint
from django_sessrec.neural.torchrun import distributed_training
from django_sessrec.recsys import artifact
from django_sessrec.recsys.synthetic import synthetic_shop

checkpoint.SECONDS_BETWEEN, checkpoint.SHARE_OF_TIME = 0, float("inf")
folder, end_at = Path(sys.argv[1]), float(sys.argv[2])

def ends(share, shown):
    if share > end_at:
        os._exit(9)

with distributed_training() as leads:
    if leads:
        log = synthetic_shop(sessions=1_500).log
        net = GRU4Rec(embedding_size=16, epochs=2, threads=1).fit(
            log, progress=ends, checkpoints=folder / "state"
        )
        artifact.save(net, folder / "model", card={})
"""


OUT_OF_MEMORY = """
import logging, os, sys
import torch
from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.torchrun import distributed_training
from django_sessrec.neural.training import Trainer
from django_sessrec.recsys.synthetic import synthetic_shop

logging.basicConfig(level=logging.INFO)
step, steps = Trainer.step, []

def fails_at_the_fourth(trainer, chosen):
    steps.append(chosen)
    if os.environ["RANK"] == sys.argv[2] and len(steps) == 4:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
    return step(trainer, chosen)

Trainer.step = fails_at_the_fourth
with distributed_training() as leads:
    if leads:
        GRU4Rec(embedding_size=16, epochs=1, threads=1).fit(synthetic_shop(sessions=300).log)
"""


CHAMPION = """
import logging, sys
from pathlib import Path
from django_sessrec.neural import Ranked
from django_sessrec.neural.torchrun import distributed_training
from django_sessrec.recsys import artifact
from django_sessrec.recsys.synthetic import synthetic_shop

logging.basicConfig(level=logging.INFO)
folder = Path(sys.argv[1])
recipe = Ranked(network={"embedding_size": 16, "epochs": 2}, periods=1, epochs=1, threads=1)
with distributed_training() as leads:
    if leads:
        told = []
        log = synthetic_shop().log.split_last(0.1)[0]
        tell = lambda share, shown: told.append((share, shown.get("network")))
        model = recipe.fit(log, progress=tell, checkpoints=folder / "state")
        artifact.save(model, folder / "model", card={"told": told})
"""


@pytest.mark.parametrize("negatives", [8192, 32], ids=["adam", "adam by the row"])
def test_two_processes_train_one_net(
    negatives: int, logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    """That their weights agree, each process checks after every epoch."""
    run(PROGRAM, tmp_path, str(negatives))
    net = artifact.load(tmp_path / "model")
    log, later = logs
    cases = Cases.from_log(later)
    alone = replace(GRU4Rec(embedding_size=16, epochs=2, threads=1), negatives=negatives).fit(
        log, validation=later
    )
    together = evaluate(net, cases)
    assert together.hr > 0.97 * evaluate(alone, cases).hr
    assert together.hr > 7 * evaluate(Popularity().fit(log), cases).hr


def test_a_resumed_run_of_two_processes_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    for folder in (whole, resumed):
        folder.mkdir()
    run(RESUMED, whole, "2")
    run(RESUMED, resumed, "0.4", succeeds=False)
    assert {path.name for path in resumed.iterdir()} == {"state", "program.py"}
    run(RESUMED, resumed, "2")
    one, other = (artifact.load(folder / "model") for folder in (whole, resumed))
    np.testing.assert_array_equal(one.items, other.items)


def test_two_processes_train_each_net_of_the_champion(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    said = run(CHAMPION, tmp_path)
    assert "process 1 trained 2 networks with the first one" in said
    told = artifact.read_manifest(tmp_path / "model")["card"]["told"]
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert {1, 2} <= {net for _, net in told}
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"0", "1"}
    cases = Cases.from_log(logs[1])
    assert (
        evaluate(artifact.load(tmp_path / "model"), cases).hr
        > 7 * evaluate(Popularity().fit(logs[0]), cases).hr
    )


@pytest.mark.parametrize("rank", ["0", "1"], ids=["of the first", "of the other"])
def test_a_gpu_out_of_memory_ends_all_processes_and_is_named(rank: str, tmp_path: Path) -> None:
    """None starts again alone on the processor: the others would wait for it in vain."""
    said = run(OUT_OF_MEMORY, tmp_path, rank, succeeds=False)
    assert "OutOfMemoryError: CUDA out of memory." in said
    assert "started again on the processor" not in said
    if rank == "1":
        assert "process 1 stops, because its GPU ran out of memory: " in said
        assert "the first one is gone" not in said


def run(program: str, folder: Path, *arguments: str, succeeds: bool = True) -> str:
    """What two processes of it said."""
    (folder / "program.py").write_text(program)
    ended = subprocess.run(
        [*TORCHRUN, str(folder / "program.py"), str(folder), *arguments],
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (ended.returncode == 0) == succeeds, ended.stderr
    return ended.stderr
