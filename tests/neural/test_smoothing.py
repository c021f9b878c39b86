"""Items are scored by what they and their neighbours have learnt, and read by their own vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from django_sessrec.neural import GRU4Rec
from django_sessrec.neural.smoothing import NEIGHBOURS, neighbours, smoothed
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.onnx_recommender import INPUTS
from django_sessrec.recsys.sessions import SessionLog

SMALL = GRU4Rec(embedding_size=16, epochs=1, threads=1)
LONE = 5


@pytest.fixture(scope="module")
def few() -> SessionLog:
    """1 and 2 meet twice, 1 and 3 once, all at a distance of one click; 4 and LONE meet nobody."""
    visits = [[1, 2], [2, 1], [3, 1], [4], [LONE, LONE]]
    ids = np.repeat(np.arange(len(visits)), [len(visit) for visit in visits])
    rows = np.concatenate(visits).astype(np.int32)
    return SessionLog.from_rows(ids, rows, np.arange(len(rows)), ItemIndex([str(row) for row in range(1, 6)]))


def test_neighbours_are_told_with_their_shares_of_the_co_clicks(few: SessionLog) -> None:
    near, shares = neighbours(few)
    assert near.shape == shares.shape == (6, NEIGHBOURS)
    assert near[1, :2].tolist() == [2, 3]
    np.testing.assert_allclose(shares[1, :3], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(shares[[2, 3], 0], 1)
    assert not shares[[0, 4, LONE]].any()


def test_a_vector_is_drawn_towards_its_neighbours(few: SessionLog) -> None:
    vectors = np.eye(6, dtype=np.float32)
    vectors[0] = 0
    mixed = smoothed(vectors, few, 0.5)
    np.testing.assert_allclose(
        mixed[1], np.array([0, 1, 1 / 3, 1 / 6, 0, 0]) / np.sqrt(1 + 1 / 9 + 1 / 36), 1e-5
    )
    np.testing.assert_array_equal(mixed[[0, 4, LONE]], vectors[[0, 4, LONE]])
    assert vectors[1].tolist() == [0, 1, 0, 0, 0, 0], "what was given is left as it is"


def test_a_vector_keeps_its_length(few: SessionLog) -> None:
    """Networks without a scale score by plain inner products."""
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    lengths = np.linalg.norm(smoothed(vectors, few, 0.5), axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(vectors, axis=1), rtol=1e-5)


def test_items_are_scored_by_what_their_neighbours_know_and_read_as_they_are(
    logs: tuple[SessionLog, SessionLog], tmp_path: Path
) -> None:
    plain, net = replace(SMALL, smoothing=0).fit(logs[0]), SMALL.fit(logs[0])
    np.testing.assert_array_equal(net.inputs, plain.items)
    np.testing.assert_allclose(net.items, smoothed(plain.items, logs[0], SMALL.smoothing))
    sessions = [logs[1][session] for session in range(5)]
    np.testing.assert_array_equal(net.vectors(sessions), plain.vectors(sessions))
    cases = Cases.from_log(logs[1])
    assert evaluate(net, cases).hr > evaluate(plain, cases).hr
    for name, each in (("plain", plain), ("smoothed", net)):
        artifact.save(each, tmp_path / name, card={})
        loaded = artifact.load(tmp_path / name)
        np.testing.assert_array_equal(loaded.scores(sessions), each.scores(sessions))
        assert (tmp_path / name / INPUTS).exists() == (name == "smoothed")


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="smoothing must be 0 or above"):
        GRU4Rec(smoothing=-0.1)
