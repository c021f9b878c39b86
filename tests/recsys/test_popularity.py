import pytest

from django_sessrec.recsys.popularity import DAY, Popularity
from tests.recsys.contract import RecommenderContract
from tests.recsys.strategies import log_of


class TestPopularity(RecommenderContract):
    estimator = Popularity()
    beats_popularity = 1.0


def test_a_click_loses_half_its_weight_in_a_half_life():
    log = log_of([[1, 1, 2], [2, 3]], seconds_between=14 * DAY)
    found = Popularity(half_life_days=7).fit(log).recommend([], 5)
    assert [(item.item_id, item.score) for item in found] == [
        ("item-2", 1.25),
        ("item-3", 1.0),
        ("item-1", 0.5),
    ]


def test_the_clicks_of_a_session_are_not_the_reason():
    recommender = Popularity().fit(log_of([[1, 2]]))
    assert [found.because for found in recommender.recommend(["item-1"], 2)] == [(), ()]


def test_a_half_life_of_nothing_is_refused():
    with pytest.raises(ValueError, match="half_life_days"):
        Popularity(half_life_days=0)
