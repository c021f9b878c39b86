import numpy as np
import pytest
from hypothesis import given, settings

from django_sessrec.recsys import artifact
from django_sessrec.recsys.itemknn import ItemKNN
from tests.recsys.contract import RecommenderContract
from tests.recsys.oracle import cosine, newest_distinct
from tests.recsys.strategies import LOGS, N_ITEMS, SESSIONS, log_of


class TestItemKNN(RecommenderContract):
    estimator = ItemKNN()


class TestLastClickItemKNN(RecommenderContract):
    estimator = ItemKNN(clicks=1, similar=20)


@settings(deadline=None)
@given(log=LOGS, session=SESSIONS)
def test_scores_are_cosines_weighted_by_recency(log, session):
    clicks = list(newest_distinct(session, 3))
    expected = [
        sum(cosine(log, click, row) / (age + 1) for age, click in enumerate(clicks) if click != row)
        for row in range(1, N_ITEMS + 1)
    ]
    scores = ItemKNN().fit(log).scores([np.array(session, np.int32)])[0, 1:]
    np.testing.assert_allclose(np.where(scores > 0, scores, 0), expected, rtol=1e-5)
    assert ((scores == -np.inf) == (np.array(expected) == 0)).all()


def test_reasons_are_ordered_by_share():
    recommender = ItemKNN().fit(log_of([[1, 3], [1, 3], [1, 3], [2, 3], [2, 4], [2, 4], [2, 5]]))
    reasons = recommender.because(np.array([2, 1], np.int32), [3, 4, 5, 6])
    assert [reason.clicks for reason in reasons] == [(1, 2), (2,), (2,), ()]
    assert [reason.support for reason in reasons] == [(3, 1), (2,), (1,), ()]


def test_an_artifact_of_a_version_that_counted_no_sessions_opens_and_counts_none(tmp_path):
    log = log_of([[1, 2], [1, 2], [1, 3]])
    older = ItemKNN().fit(log)
    older.together = None
    artifact.save(older, tmp_path / "model", card={})
    found = artifact.load(tmp_path / "model").recommend(["item-1"], 5)
    assert [(each.item_id, each.because, each.support) for each in found] == [
        ("item-2", ("item-1",), ()),
        ("item-3", ("item-1",), ()),
    ]


def test_each_item_keeps_its_most_similar_only():
    recommender = ItemKNN(similar=1).fit(log_of([[1, 2], [1, 2], [1, 3]]))
    assert [found.item_id for found in recommender.recommend(["item-1"], 5)] == ["item-2"]


def test_parameters_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        ItemKNN(clicks=0)
