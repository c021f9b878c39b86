"""Answers within a batch of test cases, counted on two sessions whose prefixes stand longest first."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.accuracy.leak import answered
from tests.support.benchmarks import printed
from tests.support.real_clicks import real_clicks

SESSION = np.array([0, 0, 0, 1, 1])
LENGTH = np.array([3, 2, 1, 2, 1])
LAST = np.array([30, 20, 10, 50, 40])
LABEL = np.array([40, 30, 20, 60, 50])


def test_the_next_longer_prefix_in_the_batch_gives_the_answer_away() -> None:
    assert answered(SESSION, LENGTH, LAST, LABEL, 5) == (3 / 5, 4 / 5)  # 40 ends a case of another session


def test_cases_of_other_batches_give_nothing_away() -> None:
    assert answered(SESSION, LENGTH, LAST, LABEL, 1) == (0, 0)
    assert answered(SESSION, LENGTH, LAST, LABEL, 2) == (1 / 5, 1 / 5)


def run(folder: Path, *options: str) -> list[list[str]]:
    table = printed("accuracy.leak", "--data", folder, *options)
    return [line.split()[-2:] for line in table.splitlines()[1:]]


def test_the_program_reads_the_published_file_and_shuffles_it(tmp_path: Path) -> None:
    prefixes = [[5, 6, 7][: 3 - n] for n in range(3)] * 40
    cases = {
        "test_session_id": np.repeat(np.arange(40), 3),
        "prefix": prefixes,
        "label": [8, 7, 6] * 40,
    }
    pq.write_table(pa.table(cases), tmp_path / "test_cases.parquet")
    (published, _), (shuffled, _) = run(tmp_path, "--batch", "3")
    assert published == "66.7%"
    assert float(shuffled.rstrip("%")) < 20


def test_the_count_on_diginetica_repeats() -> None:
    published, shuffled = run(real_clicks("diginetica"))
    assert float(published[0].rstrip("%")) == pytest.approx(73.6)
    assert float(shuffled[0].rstrip("%")) == pytest.approx(0.7)
