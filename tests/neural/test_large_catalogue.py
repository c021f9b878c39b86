"""Lists of a large catalogue: found among the network's best, as if all items had been scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale import untrained
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.kernels.features import CANDIDATES
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.ranked import RankedRecommender
from django_sessrec.recsys.recommender import best
from django_sessrec.recsys.sessions import SessionLog

ITEMS = 43_000


@pytest.fixture(scope="module")
def log() -> SessionLog:
    return untrained.log_of(ITEMS, 100_000)


@pytest.fixture(scope="module")
def network(log: SessionLog) -> OnnxRecommender:
    return untrained.network(log, size=32)


@pytest.fixture(scope="module")
def ranked(log: SessionLog, network: OnnxRecommender) -> RankedRecommender:
    return untrained.ranked(log, network)


@pytest.fixture(scope="module")
def asked(log: SessionLog) -> list[Rows]:
    cases = Cases.from_log(log.split_last(0.1)[1]).thinned(150)
    return [np.array(cases.prefix(case)) for case in range(len(cases))]


def test_the_network_s_best_and_the_sum_over_all_are_those_of_all_scores(
    network: OnnxRecommender, asked: list[Rows]
) -> None:
    for session in asked:
        found = network.proposals(session, CANDIDATES)
        scores = network.scores([session])[0]
        rows, of_best = best(scores, CANDIDATES)
        np.testing.assert_allclose(found.scores, of_best, atol=1e-4)
        assert (found.rows != rows).mean() <= 0.02, "but for items that float32 can't tell apart"
        expected = np.log(np.exp(scores.astype(np.float64)).sum())
        assert found.log_partition == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("k", [8, 32, 130])
def test_lists_are_those_of_all_scores(ranked: RankedRecommender, asked: list[Rows], k: int) -> None:
    """The partition is off by a thousandth, which moves all candidates alike."""
    places = alike = 0
    for session in asked:
        exclude = [*session.tolist(), 1, 2]
        rows, scores = ranked.top(session, k, exclude=exclude)
        expected, of_expected = best(ranked.scores([session])[0], k, exclude=exclude)
        np.testing.assert_allclose(scores, of_expected, atol=5e-3)
        assert not {*rows.tolist()} & {*exclude}
        places += k
        alike += int((rows == expected).sum())
    assert alike >= 0.995 * places


def test_of_a_session_without_clicks_the_popular_items_are_listed(ranked: RankedRecommender) -> None:
    nothing = np.zeros(0, np.int32)
    rows, _ = ranked.top(nothing, 20, exclude=[5])
    assert rows.tolist() == best(ranked.network.popularity, 20, exclude=[5])[0].tolist()
    assert not len(ranked.top(np.array([3], np.int32), 0)[0])


def test_an_artifact_finds_its_best_in_bytes_too(
    ranked: RankedRecommender, asked: list[Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact.save(ranked, tmp_path / "model", card={})
    opened = artifact.load(tmp_path / "model")
    assert isinstance(opened, RankedRecommender)
    monkeypatch.setattr(OnnxRecommender, "scores_of", None)
    for session in asked[:20]:
        assert opened.top(session, 20)[0].tolist() == ranked.top(session, 20)[0].tolist()
