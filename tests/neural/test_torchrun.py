"""Two real processes train one net: the same weights in both, and as good as one process makes it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

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
from django_sessrec.neural.torchrun import crew
from django_sessrec.recsys import artifact
from django_sessrec.recsys.synthetic import synthetic_shop

folder, negatives = Path(sys.argv[1]), int(sys.argv[2])
recipe = GRU4Rec(embedding_size=16, epochs=2, threads=1, negatives=negatives)
with crew() as leads:
    if leads:
        log, later = synthetic_shop().log.split_last(0.1)
        steps = []
        net = recipe.fit(log, validation=later, progress=lambda share, shown: steps.append(share))
        artifact.save(net, folder / "model", card={"told": len(steps)})
"""


@pytest.mark.parametrize("negatives", [8192, 32], ids=["adam", "adam by the row"])
def test_two_processes_train_one_net(
    negatives: int, logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    """That their weights agree, each process checks after every epoch."""
    (tmp_path / "program.py").write_text(PROGRAM)
    ended = subprocess.run(
        [*TORCHRUN, str(tmp_path / "program.py"), str(tmp_path), str(negatives)],
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    net = artifact.load(tmp_path / "model")
    log, later = logs
    cases = Cases.from_log(later)
    alone = replace(GRU4Rec(embedding_size=16, epochs=2, threads=1), negatives=negatives).fit(
        log, validation=later
    )
    together = evaluate(net, cases)
    assert together.hr > 0.97 * evaluate(alone, cases).hr
    assert together.hr > 7 * evaluate(Popularity().fit(log), cases).hr
