import numpy as np
import pytest

from django_sessrec.recsys.variety import maximal_marginal_relevance

TENTS, MUGS = [1.0, 0.0], [0.0, 1.0]
LIST = np.array([TENTS] * 4 + [MUGS] * 4, np.float32)


def test_without_variety_a_list_stays_as_it_is_ranked():
    assert maximal_marginal_relevance(LIST, 0, 8) == list(range(8))


def test_with_some_variety_the_best_unlike_item_comes_up_and_the_best_stays_first():
    assert maximal_marginal_relevance(LIST, 0.5, 4)[:2] == [0, 4]


def test_the_more_variety_the_less_alike_is_the_top_of_the_list():
    draw = np.random.default_rng(0)
    vectors = draw.standard_normal((32, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    means = []
    for dial in (0, 0.2, 0.5, 0.8):
        top = vectors[maximal_marginal_relevance(vectors, dial, 8)[:8]]
        means.append(float((top @ top.T).sum()))
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("dial", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("length", [0, 1, 3, 8, 20])
def test_every_item_is_there_once(dial, length):
    assert sorted(maximal_marginal_relevance(LIST, dial, length)) == list(range(8))


def test_items_with_a_place_of_their_own_keep_it_and_count_as_shown():
    order = maximal_marginal_relevance(LIST, 0.6, 4, fixed={1, 3})
    assert (order[1], order[3]) == (1, 3)
    assert order[2] == 4


def test_an_item_that_is_like_none_is_unlike_all():
    vectors = np.array([TENTS, TENTS, [0.0, 0.0]], np.float32)
    assert maximal_marginal_relevance(vectors, 0.6, 3) == [0, 2, 1]


def test_an_empty_list_stays_empty():
    assert maximal_marginal_relevance(np.zeros((0, 2), np.float32), 0.5, 8) == []
