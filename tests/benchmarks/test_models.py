import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.datasets import load
from django_sessrec.recsys.evaluation import evaluate
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.real_clicks import real_clicks

ROOT = Path(__file__).parents[2]


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
    command = [sys.executable, "-m", "benchmarks.models", "--data", str(clicks_with_times)]
    command += [
        "--models",
        "popularity,neighbours",
        "--seeds",
        "2",
        "--out",
        str(tmp_path / "new/models.json"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["popularity", "neighbours"]
    figures = json.loads((tmp_path / "new/models.json").read_text())
    assert set(figures) == {"popularity", "neighbours"}
    assert 100 > figures["neighbours"]["hr@20"] > figures["popularity"]["hr@20"] > 1
    assert {"mrr@20", "ndcg@20", "fit_s", "query_us_p50", "query_us_p90", "by_length", "by_intents"} <= set(
        figures["neighbours"]
    )


def test_an_unknown_model_is_named(tmp_path):
    command = [sys.executable, "-m", "benchmarks.models", "--data", str(tmp_path), "--models", "crystal_ball"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "crystal_ball" in done.stderr


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
