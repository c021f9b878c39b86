"""Complements from baskets: by lift, with support, and without what visitors choose between."""

import numpy as np
import pytest

from django_sessrec.recsys import artifact
from django_sessrec.recsys.bought_together import BoughtTogether
from django_sessrec.recsys.recommender import NotEnoughData, Source
from tests.recsys.strategies import log_of

KETTLE, OTHER_KETTLE, CUP, SOCKS = 1, 2, 3, 4
BASKETS = [[KETTLE, CUP]] * 6 + [[OTHER_KETTLE, CUP]] * 6 + [[KETTLE, OTHER_KETTLE]] * 3 + [[SOCKS]] * 20
VIEWS = [[KETTLE, OTHER_KETTLE, CUP]] * 40 + [[KETTLE, CUP]] * 6 + [[KETTLE, OTHER_KETTLE]] * 100


def items(estimator, *basket, baskets=BASKETS, views=None):
    recommender = estimator.fit(log_of(baskets), views=views and log_of(views))
    found = recommender.recommend([f"item-{row}" for row in basket], 10)
    return [int(each.item_id.partition("-")[2]) for each in found]


def test_what_is_in_the_same_baskets_is_found_strongest_first():
    assert items(BoughtTogether(min_lift=1.2), KETTLE) == [CUP, OTHER_KETTLE]


def test_what_is_viewed_together_and_seldom_bought_together_is_a_substitute():
    assert items(BoughtTogether(min_lift=1.2), KETTLE, views=VIEWS) == [CUP]
    assert items(BoughtTogether(min_lift=1.2, substitutes=0), KETTLE, views=VIEWS) == [CUP, OTHER_KETTLE]


def test_a_pair_needs_support_and_more_than_chance():
    assert items(BoughtTogether(min_support=4, min_lift=1.2), KETTLE) == [CUP]
    by_chance = [[KETTLE, SOCKS], [KETTLE], [SOCKS], [CUP]] * 6 + [[KETTLE, CUP]] * 3 + [[5]] * 6
    assert SOCKS in items(BoughtTogether(min_lift=1), KETTLE, baskets=by_chance)
    with pytest.raises(NotEnoughData):
        items(BoughtTogether(min_lift=2), KETTLE, baskets=by_chance)


def test_every_line_of_a_basket_counts_as_much():
    baskets = [[KETTLE, CUP], [OTHER_KETTLE, CUP], [KETTLE, SOCKS], [5], [6]] * 4
    assert items(BoughtTogether(min_lift=1), KETTLE, OTHER_KETTLE, baskets=baskets)[0] == CUP
    assert items(BoughtTogether(min_lift=1), OTHER_KETTLE, KETTLE, baskets=baskets)[0] == CUP


def test_a_reason_names_the_lines_that_it_goes_with():
    recommender = BoughtTogether().fit(log_of(BASKETS))
    [best, *_] = recommender.recommend(["item-4", "item-1", "item-2"], 1)
    assert (best.item_id, best.source) == ("item-3", Source.BOUGHT_TOGETHER)
    assert dict(zip(best.because, best.support, strict=True)) == {"item-1": 6, "item-2": 6}


def test_an_empty_basket_gets_what_is_bought_most():
    assert items(BoughtTogether())[0] == SOCKS


def test_a_basket_of_two_hundred_lines_is_answered():
    lines = [*range(1, 9)] * 25
    assert items(BoughtTogether(), *lines) != []


@pytest.mark.parametrize("baskets", [[[1], [2]], [[1, 2]], [[1, 2], [3]] * 2])
def test_too_few_baskets_are_an_error_that_says_so(baskets):
    with pytest.raises(NotEnoughData, match="collect more orders"):
        BoughtTogether().fit(log_of(baskets))


@pytest.mark.parametrize(
    "wrong", [{"min_support": 0}, {"similar": 0}, {"min_lift": 0.5}, {"substitutes": -1}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be at least"):
        BoughtTogether(**wrong)


def test_saving_and_loading_change_nothing(tmp_path):
    recommender = BoughtTogether().fit(log_of(BASKETS))
    artifact.save(recommender, tmp_path / "model", card={})
    loaded = artifact.load(tmp_path / "model")
    assert type(loaded) is type(recommender)
    for basket in (["item-1"], ["item-1", "item-2"], []):
        assert loaded.recommend(basket, 5) == recommender.recommend(basket, 5)
    session = np.array([1], np.int32)
    np.testing.assert_array_equal(loaded.probabilities([session]), recommender.probabilities([session]))
    assert loaded.describe()
