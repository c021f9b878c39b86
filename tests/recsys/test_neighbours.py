from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_sessrec.recsys.neighbours import Neighbours, NeighboursRecommender, RecentNeighbours
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import best
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.contract import RecommenderContract
from tests.recsys.oracle import neighbour_shares, neighbour_votes
from tests.recsys.strategies import LOGS, N_ITEMS, SESSIONS, log_of

PARAMETERS = st.builds(
    Neighbours,
    clicks=st.integers(1, 5),
    click_decay=st.sampled_from([0.5, 1.5, 1e6]),
    idf_power=st.sampled_from([0.0, 1.0, 2.0]),
    day_decay=st.sampled_from([1.0, 100.0]),
    length_power=st.sampled_from([0.0, 0.5]),
    sessions_per_item=st.sampled_from([1, 3, 5_000]),
    neighbours=st.sampled_from([1, 2, 5, 700]),
    self_weight=st.sampled_from([0.0, 1.5]),
    forward_decay=st.sampled_from([1.0, 6.0]),
    backward_decay=st.sampled_from([2.0, 5.0]),
    backward_weight=st.sampled_from([0.0, 1.0]),
    item_idf_power=st.sampled_from([0.0, 0.5, 1.0]),
    reach=st.sampled_from([1, 3, 50]),
)


class TestNeighbours(RecommenderContract):
    estimator = Neighbours()


class TestRecentNeighbours(RecommenderContract):
    estimator = RecentNeighbours()


class TestNeighboursOfTheLastClick(RecommenderContract):
    estimator = Neighbours(clicks=1, self_weight=0.0, day_decay=2.0, neighbours=50, reach=3)


@settings(deadline=None, max_examples=300)
@given(parameters=PARAMETERS, log=LOGS, session=SESSIONS)
def test_the_kernel_sums_what_the_formula_says(parameters, log, session):
    expected = np.full(N_ITEMS + 1, -np.inf)
    for row, shares in neighbour_shares(parameters, log, session).items():
        if sum(shares.values()) > 0:
            expected[row] = sum(shares.values())
    scores = parameters.fit(log).scores([np.array(session, np.int32)])[0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_the_kernel_sums_what_the_formula_says_among_many_sessions():
    log = synthetic_shop(items=60, groups=5, sessions=600).log
    parameters = Neighbours(neighbours=40, sessions_per_item=60)
    recommender = parameters.fit(log)
    for session in range(0, 600, 60):
        expected = neighbour_shares(parameters, log, log[session].tolist())
        rows, scores = recommender.top(log[session], 60)
        assert set(rows.tolist()) == set(expected)
        np.testing.assert_allclose(scores, [sum(expected[row].values()) for row in rows], rtol=1e-4)


@settings(deadline=None)
@given(parameters=PARAMETERS, log=LOGS, session=SESSIONS)
def test_the_reasons_are_the_clicks_that_added_most(parameters, log, session):
    shares, speaking = neighbour_votes(parameters, log, session)
    rows = [row for row in range(1, N_ITEMS + 1) if sum(shares.get(row, {}).values()) > 0]
    reasons = parameters.fit(log).because(np.array(session, np.int32), rows)
    for row, reason in zip(rows, reasons, strict=True):
        added = [shares[row][click] for click in reason.clicks]
        assert set(reason.clicks) == {click for click, share in shares[row].items() if share > 0}
        assert all(earlier >= later * (1 - 1e-4) for earlier, later in pairwise(added))
        assert reason.support == tuple(len(speaking[row, click]) for click in reason.clicks)


@settings(deadline=None)
@given(
    parameters=PARAMETERS,
    log=LOGS,
    session=SESSIONS,
    k=st.integers(0, N_ITEMS + 2),
    excluded=st.lists(st.integers(-1, N_ITEMS + 3), max_size=3),
)
def test_the_best_are_those_of_all_scores_whatever_is_excluded(parameters, log, session, k, excluded):
    recommender, session = parameters.fit(log), np.array(session, np.int32)
    known = [row for row in excluded if 0 <= row <= N_ITEMS]
    expected = best(recommender.scores([session])[0], k, exclude=known)
    for _ in range(2):  # the first leaves its work space as it found it
        for found, wanted in zip(recommender.kernel.top(session, k, excluded), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_other_parameters_over_the_same_index_are_a_fit_with_them():
    log = synthetic_shop(sessions=500).log
    changed = Neighbours().fit(log).with_parameters(self_weight=0.2, day_decay=3.0)
    fitted = Neighbours(self_weight=0.2, day_decay=3.0).fit(log)
    sessions = [log[s] for s in range(50)]
    assert changed.parameters == fitted.parameters
    np.testing.assert_array_equal(changed.scores(sessions), fitted.scores(sessions))


def test_threads_do_not_disturb_each_other():
    log = synthetic_shop().log
    recommender = Neighbours().fit(log)
    sessions = [log[s] for s in range(400)]
    alone = [recommender.top(session, 10)[0].tolist() for session in sessions]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            together = threads.map(lambda session: recommender.top(session, 10)[0].tolist(), sessions)
            assert list(together) == alone


def test_a_crawlers_endless_past_session_is_survived():
    crawled = list(range(1, N_ITEMS + 1)) * 7_000
    recommender = Neighbours().fit(log_of([crawled, [1, 2], [1, 2], crawled]))
    assert recommender.recommend(["item-1"], 3)[0].item_id in {"item-1", "item-2"}


def test_only_what_shared_a_session_with_a_click_has_evidence():
    recommender = Neighbours().fit(log_of([[1, 2], [3, 4]]))
    assert set(recommender.top(np.array([1], np.int32), 10)[0].tolist()) == {1, 2}
    assert recommender.recommend(["item-5"], 10) == []


def test_a_shop_of_one_item_and_one_session_is_answered():
    recommender = Neighbours().fit(log_of([[1]], n_items=1))
    assert [found.item_id for found in recommender.recommend(["item-1"], 5)] == ["item-1"]


def test_a_log_without_sessions_makes_a_model_without_answers():
    log = log_of([[1, 2]])
    recommender = Neighbours().fit(log.slice(0, 0))
    assert recommender.recommend(["item-1"], 5) == []
    assert recommender.recommend([], 5) == []


@pytest.mark.parametrize("row", [-1, 0, N_ITEMS + 1, 2**31 - 1])
def test_rows_that_the_model_does_not_have_are_refused(row):
    recommender = Neighbours().fit(log_of([[1, 2], [2, 3]]))
    with pytest.raises(ValueError, match="the session has rows"):
        recommender.top(np.array([1, row], np.int32), 5)
    with pytest.raises(ValueError, match="the session has rows"):
        recommender.because(np.array([row, 1], np.int32), [1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clicks", 0),
        ("clicks", 33),
        ("sessions_per_item", 10**9),
        ("neighbours", 0),
        ("day_decay", 0.0),
        ("self_weight", -1.0),
        ("click_decay", float("nan")),
        ("reach", 0),
        ("reach", 2**31),
        ("neighbours", 2**31),  # which the kernel's 32 bits would take for -2**31
    ],
)
def test_impossible_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        Neighbours(**{name: value})


def test_an_empty_session_gets_what_everybody_looks_at():
    log = synthetic_shop().log
    expected = Popularity().fit(log).recommend([], 10)
    assert Neighbours().fit(log).recommend([], 10) == expected


def test_both_intents_of_a_session_are_served():
    """Each of its two groups has two or more of the 20 places, though the shop has 15 groups to fill them."""
    shop = synthetic_shop()
    earlier, later = shop.log.split_last(0.2)
    groups = [np.unique(shop.group_of[later[session]]) for session in range(len(later))]
    of_two = [(session, both) for session, both in enumerate(groups) if len(both) == 2]

    def served(recommender):
        lists = [shop.group_of[recommender.top(later[session], 20)[0]] for session, _ in of_two]
        places = [
            [(found == group).sum() for group in both] for found, (_, both) in zip(lists, of_two, strict=True)
        ]
        return (np.min(places, axis=1) >= 2).mean()

    assert len(of_two) > 100
    assert served(Neighbours().fit(earlier)) > 0.85
    assert served(Popularity().fit(earlier)) < 0.3


def test_a_click_that_teaches_more_is_recommended_more():
    bought = "kettle"
    clicks = [[1, "tea"], [1, "cup"], [2, "tea"], [2, "cup"], [3, "tea"], [3, bought]]
    sessions, items = zip(*clicks, strict=True)
    times = range(len(clicks))
    alike = Neighbours().fit(SessionLog.from_clicks(sessions, items, times))
    weights = [5.0 if item == bought else 1.0 for item in items]
    weighed = Neighbours().fit(SessionLog.from_clicks(sessions, items, times, weights))
    assert [each.item_id for each in alike.recommend(["tea"], 2, exclude=["tea"])] == ["cup", bought]
    assert [each.item_id for each in weighed.recommend(["tea"], 2, exclude=["tea"])] == [bought, "cup"]
    assert [each.item_id for each in alike.recommend([], 1)] == ["tea"]
    assert [each.item_id for each in weighed.recommend([], 1)] == [bought]


def test_the_weights_of_clicks_are_saved_and_may_be_missing(tmp_path):
    log = log_of([[1, 2], [1, 3], [3, 2]], weights=[1, 2, 5, 1, 1, 1, 1, 1])
    for of, name in ((log, "weighed"), (replace(log, weights=None), "alike")):
        fitted = Neighbours().fit(of)
        (tmp_path / name).mkdir()
        parameters = fitted.save(tmp_path / name)
        loaded = NeighboursRecommender.load(tmp_path / name, log.index, parameters)
        session = np.array([1], np.int32)
        np.testing.assert_array_equal(loaded.scores([session]), fitted.scores([session]))
        assert (loaded.postings.weights is None) == (of.weights is None)


@pytest.mark.parametrize("wrong", [[1.0], [1.0, np.nan, 1, 1, 1, 1], [1.0, -1, 1, 1, 1, 1]])
def test_weights_that_no_clicks_can_have_are_refused(tmp_path, wrong):
    log = log_of([[1, 2], [1, 3], [3, 2]], weights=[1, 2, 5, 1, 1, 1, 1, 1])
    parameters = Neighbours().fit(log).save(tmp_path)
    np.save(tmp_path / "weights.npy", np.float32(wrong))
    with pytest.raises(ValueError, match="a weight of 0 or more for each click"):
        NeighboursRecommender.load(tmp_path, log.index, parameters)
