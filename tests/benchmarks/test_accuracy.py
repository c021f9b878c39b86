import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.accuracy.published import PUBLISHED
from benchmarks.accuracy.training_speed import speed
from benchmarks.datasets import load
from benchmarks.fitting import fit
from benchmarks.memory import FORGET_PEAK, PeakMemory
from django_sessrec.neural import GRU4Rec
from django_sessrec.recsys.evaluation import evaluate
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.support.benchmarks import ended, measured, printed
from tests.support.processes import all_end, children
from tests.support.real_clicks import real_clicks

ROOT = Path(__file__).parents[2]
ENDLESS = """
import sys
from pathlib import Path
from benchmarks.fitting import fit_in_subprocesses
from django_sessrec.neural import GRU4Rec
from django_sessrec.recsys.synthetic import synthetic_shop
if __name__ == "__main__":
    fit_in_subprocesses("endless", GRU4Rec(epochs=10_000, threads=1), synthetic_shop().log, Path(sys.argv[1]))
"""


def write_sessions(path: Path, log: SessionLog) -> None:
    session = np.repeat(np.arange(len(log)), log.lengths)
    position = np.arange(log.n_clicks) - log.offsets[session]
    columns = {"session_id": session, "item_id": log.items, "position": position, "timestamp": log.times}
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def clicks_with_times(tmp_path: Path) -> Path:
    earlier, last = synthetic_shop(sessions=800).log.split_last(0.1)
    write_sessions(tmp_path / "train.parquet", earlier)
    write_sessions(tmp_path / "test.parquet", last)
    return tmp_path


@pytest.fixture
def published_cases(tmp_path: Path) -> Path:
    write_sessions(tmp_path / "train_sessions.parquet", synthetic_shop(sessions=800).log)
    cases = {"prefix": [[5, 9, 5], [7]], "label": [9, 300]}
    pq.write_table(pa.table(cases), tmp_path / "test_cases.parquet")
    return tmp_path


def test_the_benchmark_prints_a_table_and_writes_its_figures(clicks_with_times, tmp_path):
    options = ("--models", "popularity,neighbours", "--seeds", "2", "--out", tmp_path / "new/models.json")
    table = printed("accuracy", "--data", clicks_with_times, *options)
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["popularity", "neighbours"]
    figures = json.loads((tmp_path / "new/models.json").read_text())
    assert set(figures) == {"popularity", "neighbours"}
    assert 100 > figures["neighbours"]["hr@20"] > figures["popularity"]["hr@20"] > 1
    expected = {"mrr@20", "ndcg@20", "fit_s", "query_us_p50", "query_us_p90", "by_length", "by_intents"}
    assert expected <= set(figures["neighbours"])


def test_each_seed_of_a_net_is_kept_with_its_speed_and_the_deviation(clicks_with_times, tmp_path):
    options = ("--data", clicks_with_times, "--seeds", "2", "--models", "gru4rec_bpr_max")
    figures = measured("accuracy", *options, out=tmp_path / "models.json")["gru4rec_bpr_max"]
    first, second = (run["hr@20"] for run in figures["runs"])
    assert figures["hr@20"] == pytest.approx((first + second) / 2)
    assert figures["hr@20_std"] == pytest.approx(abs(first - second) / 2**0.5)
    assert figures["targets_per_s"] > 0


@pytest.mark.skipif(not FORGET_PEAK.exists(), reason="only Linux tells a process's highest memory anew")
def test_the_peak_of_a_fit_is_its_own(tmp_path):
    log = synthetic_shop(sessions=100).log
    taken_before = np.ones(2**25)
    del taken_before
    alone = fit("first", Popularity(), log, tmp_path / "first")["peak_mb"]
    greedy = fit("second", Greedy(megabytes=200), log, tmp_path / "second")["peak_mb"]
    assert 180 < greedy - alone < 260
    again = fit("third", Popularity(), log, tmp_path / "third")["peak_mb"]
    assert again < alone + 30


@pytest.mark.skipif(not FORGET_PEAK.exists(), reason="only Linux tells a process's highest memory anew")
def test_the_peak_counts_the_processes_that_were_started():
    greedy = "import time; taken = b'x' * 2**28; time.sleep(1.5)"
    with PeakMemory() as alone:
        pass
    with PeakMemory() as together:
        subprocess.run([sys.executable, "-c", greedy], check=True)
    assert 250 < together.figures["peak_mb"] - alone.figures["peak_mb"] < 330


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in Linux's /proc")
def test_a_benchmark_that_is_killed_takes_its_fit_along(tmp_path):
    program = tmp_path / "endless.py"
    program.write_text(ENDLESS)
    command = [sys.executable, str(program), str(tmp_path / "artifact")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as benchmark:
        assert b"endless: fit" in benchmark.stderr.read(20)
        fits = children(benchmark.pid)
        assert fits
        benchmark.kill()
        assert all_end(fits)


@dataclass(frozen=True)
class Greedy:
    """Popularity, by a fit that takes so much memory and gives it back."""

    megabytes: int

    def fit(self, sessions: SessionLog, **options: Any) -> PopularityRecommender:
        np.ones(self.megabytes * 2**17)
        return Popularity().fit(sessions, **options)


def test_an_unknown_model_is_named(tmp_path):
    done = ended("accuracy", "--data", tmp_path, "--models", "crystal_ball")
    assert done.returncode == 2
    assert "crystal_ball" in done.stderr


def test_what_others_reached_is_what_the_page_calls_comparable() -> None:
    """docs/results.md has the full table, with the reason where a published figure is of other cases."""
    page = (ROOT / "docs" / "results.md").read_text()
    table = page.partition("## Published results on the same split\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^*|]+ \| ([\d.]+) / ([\d.]+) \|[^|]+\| (yes|no)\b", table, re.MULTILINE)
    here = {(hr, mrr) for _, _, hr, mrr in PUBLISHED["diginetica"]}
    assert {(float(hr), float(mrr)) for hr, mrr, comparable in rows if comparable == "yes"} <= here
    assert not here & {(float(hr), float(mrr)) for hr, mrr, comparable in rows if comparable == "no"}


def test_published_cases_keep_their_order_and_their_repeats(published_cases):
    dataset = load(published_cases)
    ids = dataset.train.index.item_ids
    found = [(ids(dataset.test.prefix(case)), ids(dataset.test.labels[case : case + 1])) for case in range(2)]
    assert found == [(["5", "9", "5"], ["9"]), (["7"], ["300"])]
    assert len(dataset.train) == 800
    assert (np.diff(dataset.train.started) > 0).all()


def test_cases_of_items_that_nobody_clicked_are_refused(published_cases):
    cases = {"prefix": [[5]], "label": [12_345]}
    pq.write_table(pa.table(cases), published_cases / "test_cases.parquet")
    with pytest.raises(ValueError, match="training sessions do not have"):
        load(published_cases)


def test_neighbours_reach_their_figures_on_diginetica():
    dataset = load(real_clicks("diginetica"))
    figures = evaluate(Neighbours().fit(dataset.train), dataset.test).as_dict()
    assert figures["cases"] == 60_858
    assert figures["hr@20"] >= 53.0
    assert figures["mrr@20"] >= 18.8


def test_the_speed_of_steps_is_told() -> None:
    log = synthetic_shop(sessions=300).log
    figures = speed(GRU4Rec(embedding_size=16, threads=1), log, steps=3)
    assert figures["targets_per_s"] > 1000 / figures["ms_per_step"]
