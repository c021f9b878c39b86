"""The ranker's features against plain Python, and the kernel's promises to its callers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_sessrec.recsys.candidate_features import (
    FEATURES,
    NEIGHBOUR_MODELS,
    RECENCY_DAYS,
    CandidateFeatures,
)
from django_sessrec.recsys.kernels.candidate_features import Proposals
from django_sessrec.recsys.kernels.features import CANDIDATES
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import Reason, Source, best
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.strategies import LOGS, N_ITEMS, SESSIONS, log_of

DAY = 86_400
SEEDS = st.integers(0, 100)


SIZE = 12


def vectors_of(n_rows: int, size: int = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, size)).astype(np.float32)


def listing(log: SessionLog, *unlisted: int) -> PopularityRecommender:
    """Popularity by which all items but these may be ranked."""
    clicks = np.zeros(len(log.index), np.float32)
    clicks[[0, *unlisted]] = -np.inf
    return PopularityRecommender(log.index, clicks)


def features_of(log: SessionLog, *unlisted: int, size: int = SIZE, seed: int = 0) -> CandidateFeatures:
    return CandidateFeatures(
        Postings.of(log), listing(log, *unlisted), vectors_of(len(log.index), size, seed)
    )


def network_of(log: SessionLog, *unlisted: int, size: int = SIZE, seed: int = 0) -> Proposals:
    """What a network of these vectors says of a session's vector drawn by the seed."""
    vector = np.random.default_rng(1_000 + seed).normal(size=size).astype(np.float32)
    scores = vectors_of(len(log.index), size, seed) @ vector
    scores[[0, *unlisted]] = -np.inf
    return Proposals(vector, *best(scores, CANDIDATES), float(np.log(np.exp(scores).sum())))


def described(log: SessionLog, session: list[int], seed: int = 0) -> dict[int, dict[str, float]]:
    """Candidate -> its features by name."""
    asked = np.array(session, np.int32)
    rows, features = features_of(log, seed=seed).candidates(asked, network_of(log, seed=seed))
    assert len(set(rows.tolist())) == len(rows)
    return {
        row: dict(zip(FEATURES, found, strict=True))
        for row, found in zip(rows.tolist(), features.tolist(), strict=True)
    }


def co_clicks(log: SessionLog, click: int, row: int) -> dict[str, float]:
    """What the sessions that hold `click` say of `row`, counted from the click's last place in each."""
    found = dict.fromkeys(("next", "previous", "after", "before", "lately"), 0.0) | {"newest": np.inf}
    for s in range(len(log)):
        items = log[s].tolist()
        if click not in items:
            continue
        place = len(items) - 1 - items[::-1].index(click)
        age = float(log.started.max() - log.started[s]) / DAY
        for other, item in enumerate(items):
            if item != row or other == place:
                continue
            recency = np.exp(-age / RECENCY_DAYS)
            found["after" if other > place else "before"] += recency / (1 + 0.4 * (abs(other - place) - 1))
            found["next"] += recency * (other == place + 1)
            found["previous"] += recency * (other == place - 1)
            found["lately"] += age <= 14
            found["newest"] = min(found["newest"], age)
    return found


def usual_repeats(log: SessionLog) -> float:
    counts = [log[s].tolist().count(row) for s in range(len(log)) for row in set(log[s].tolist())]
    return (sum(count > 1 for count in counts) + 1) / (len(counts) + 2)


def newest_distinct(session: list[int]) -> list[int]:
    return list(dict.fromkeys(reversed(session)))


def sessions_with(log: SessionLog, row: int) -> list[int]:
    return [s for s in range(len(log)) if row in log[s]]


@settings(deadline=None, max_examples=200)
@given(log=LOGS, session=SESSIONS)
def test_co_clicks_are_those_of_the_log(log, session):
    clicks = newest_distinct(session)
    for row, found in described(log, session).items():
        for name, click in zip(("last", "second", "third"), clicks, strict=False):
            expected = co_clicks(log, click, row)
            around = expected["after"] + expected["before"]
            for direction in ("previous", "after", "before"):
                assert found[f"{direction}_{name}"] == pytest.approx(np.log1p(expected[direction]), abs=1e-4)
            rate = np.log((around + 0.02) / (len(sessions_with(log, click)) + 2))
            assert found[f"rate_{name}"] == pytest.approx(rate, abs=1e-4)
        expected = co_clicks(log, clicks[0], row)
        assert found["next_last"] == pytest.approx(np.log1p(expected["next"]), abs=1e-4)
        newest = expected["newest"]
        since = np.log(0.1 + newest) if newest < np.inf else 6.0
        assert found["since_together"] == pytest.approx(since, abs=1e-4)
        assert found["together_lately"] == pytest.approx(np.log1p(expected["lately"]), abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(log=LOGS, session=SESSIONS)
def test_counts_and_the_visit_are_told(log, session):
    age = (log.started.max() - log.started) / DAY
    for row, found in described(log, session).items():
        ages = age[sessions_with(log, row)]
        assert found["count"] == pytest.approx(np.log1p(len(ages)), abs=1e-5)
        assert found["count_7_days"] == pytest.approx(np.log1p((ages <= 7).sum()), abs=1e-5)
        assert found["last_seen"] == pytest.approx(np.log(0.1 + ages.min(initial=400)), abs=1e-4)
        assert found["occurrences"] == session.count(row)
        assert found["is_clicked"] == (row in session)
        gap = session[::-1].index(row) if row in session else np.inf
        assert found["nearness"] == pytest.approx(1 / (1 + gap))
        first_gap = len(session) - 1 - session.index(row) if row in session else np.inf
        assert found["first_nearness"] == pytest.approx(1 / (1 + first_gap))
        returns = [click in session[:place] for place, click in enumerate(session)]
        assert found["returns"] == pytest.approx(sum(returns) / max(1, len(session) - 1))
        assert found["last_returned"] == returns[-1]
        repeats = sum(log[s].tolist().count(row) > 1 for s in sessions_with(log, row))
        assert found["repeat_rate"] == pytest.approx(
            np.log((repeats + 2 * usual_repeats(log)) / (len(ages) + 2)), abs=1e-4
        )
        assert found["length"] == pytest.approx(np.log(len(session)), abs=1e-5)


@settings(deadline=None, max_examples=100)
@given(log=LOGS, session=SESSIONS, seed=SEEDS)
def test_sources_are_told_as_they_rank(log, session, seed):
    asked = np.array(session, np.int32)
    candidates = features_of(log, seed=seed)
    network = network_of(log, seed=seed)
    scores = vectors_of(len(log.index), seed=seed) @ network.vector
    found = described(log, session, seed)
    assert set(found) == set(range(1, N_ITEMS + 1)), "a network that knows all few items proposes all"
    for model in NEIGHBOUR_MODELS:
        shares = candidates.neighbour_models[model].probabilities([asked])[0]
        for row, features in found.items():
            assert features[f"share_{model}"] == pytest.approx(np.log(shares[row] + 1e-5), abs=1e-3)
    log_partition = np.log(np.exp(scores[1:]).sum())
    for row, features in found.items():
        assert features["network"] == pytest.approx(scores[row] - log_partition, abs=1e-4)
        below = scores[row] - scores[1:].max()
        assert features["network_against_best"] == pytest.approx(below, abs=1e-4)


@pytest.mark.parametrize("size", [1, 7, 8, 128])
def test_cosines_are_those_of_the_vectors(size):
    log = log_of([[1, 2, 3], [2, 3, 4]])
    vectors = vectors_of(len(log.index), size)
    candidates = features_of(log, size=size)
    rows, features = candidates.candidates(np.array([1, 2], np.int32), network_of(log, size=size))
    cosines = vectors @ vectors[2] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[2])
    np.testing.assert_allclose(features[:, FEATURES.index("cosine_last")], cosines[rows], atol=1e-5)


def test_a_large_shop_gets_a_hundred_candidates_with_the_visits_own_items_among_them():
    log = synthetic_shop().log
    candidates = features_of(log)
    for s in range(0, len(log), 50):
        rows, features = candidates.candidates(log[s], network_of(log))
        assert features.shape == (CANDIDATES, len(FEATURES))
        assert set(newest_distinct(log[s].tolist())[:10]) <= set(rows.tolist())


def test_what_may_not_be_ranked_is_no_candidate():
    log = log_of([[1, 2, 3], [2, 3, 4]])
    rows, _ = features_of(log, 2, 3).candidates(np.array([2, 1], np.int32), network_of(log, 2, 3))
    assert set(rows.tolist()) == set(range(1, N_ITEMS + 1)) - {2, 3}


def test_each_row_is_credited_to_the_neighbour_model_that_ranks_it_highest():
    """After 1 and 2, most went to 3; beside 2 alone stood 4, in long and old visits; nothing led to 5."""
    together = [[1, 2, 3]] * 20
    beside = [[8, 2, 4]] * 30
    candidates = features_of(log_of([*beside, *together, [5, 6]]))
    reasons = candidates.because(np.array([1, 2], np.int32), [3, 4, 5])
    assert reasons[0].source == Source.NEIGHBOURS
    assert set(reasons[0].clicks) == {1, 2}
    assert reasons[1] == Reason(Source.CO_VIEWED, (2,), (30,))
    assert reasons[2] is None


def test_threads_do_not_disturb_each_other_and_questions_leave_no_trace():
    log = synthetic_shop().log
    candidates = features_of(log)
    network = network_of(log)

    def answer(s: int) -> tuple[list[int], list[list[float]]]:
        rows, features = candidates.candidates(log[s], network)
        return rows.tolist(), features.tolist()

    alone = [answer(s) for s in range(200)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            assert list(threads.map(answer, range(200))) == alone


@pytest.mark.parametrize("rows", [[], [0], [-1, 1], [1, N_ITEMS + 1], [2**31 - 1]])
def test_rows_that_the_model_does_not_have_are_refused(rows):
    log = log_of([[1, 2], [2, 3]])
    rows = np.array(rows, np.int32)
    network = network_of(log)
    with pytest.raises(ValueError, match="a session of rows 1 to 8"):
        features_of(log).candidates(rows, network)
    with pytest.raises(ValueError, match="a network's list of rows 1 to 8"):
        features_of(log).candidates(np.array([1], np.int32), network._replace(rows=rows))


def test_what_a_network_can_not_have_said_is_refused():
    log = log_of([[1, 2], [2, 3]])
    session, network = np.array([1], np.int32), network_of(log)
    for wrong in (
        network._replace(vector=network.vector[:5]),
        network._replace(scores=network.scores[:5]),
    ):
        with pytest.raises(ValueError, match="a vector of 12 and a score for each row are needed"):
            features_of(log).candidates(session, wrong)
    for log_partition in (-np.inf, np.nan):
        with pytest.raises(ValueError, match="ranks nothing"):
            features_of(log).candidates(session, network._replace(log_partition=log_partition))
    with pytest.raises(ValueError, match="7 vectors do not fit 9 rows"):
        CandidateFeatures(Postings.of(log), Popularity().fit(log), np.zeros((7, 3), np.float32))
    few = np.zeros((7, 5), np.float32)
    with pytest.raises(ValueError, match=r"features \(7, 5\) do not fit 9 rows"):
        CandidateFeatures(Postings.of(log), Popularity().fit(log), np.zeros((9, 3), np.float32), few)
