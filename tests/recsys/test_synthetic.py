import numpy as np
import pytest

from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.synthetic import synthetic_shop


def test_the_same_seed_makes_the_same_shop():
    one, same, other = (synthetic_shop(sessions=200, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.log.items, same.log.items)
    assert one.log.items.tolist() != other.log.items.tolist()


def test_sessions_keep_to_their_planted_intents():
    shop = synthetic_shop()
    for session in range(len(shop.log)):
        assert set(shop.group_of[shop.log[session]]) <= set(shop.intents[session])
    one_intent = (shop.intents[:, 0] == shop.intents[:, 1]).mean()
    assert 0.65 < one_intent < 0.85


def test_clicks_follow_the_planted_transitions_more_often_than_chance():
    shop = synthetic_shop()
    log = shop.log
    session = np.repeat(np.arange(len(log)), log.lengths)
    within = session[1:] == session[:-1]
    before, after = log.items[:-1][within], log.items[1:][within]
    assert (shop.follows[before] == after[:, None]).any(axis=1).mean() > 0.3


def test_demand_drifts_and_items_follow_zipf():
    shop = synthetic_shop(sessions=6_000)
    early, late = shop.log.split_last(0.5)
    demand = [np.bincount(shop.group_of[log.items], minlength=15) / log.n_clicks for log in (early, late)]
    assert np.abs(demand[0] - demand[1]).sum() > 0.2
    clicks = np.sort(np.bincount(shop.log.items, minlength=301)[1:])[::-1]
    assert clicks[:30].sum() > 2 * clicks[150:].sum() * 30 / 150


def test_times_rise_within_the_days_asked_for():
    log = synthetic_shop(days=3).log
    assert (np.diff(log.started) >= 0).all()
    assert log.started[-1] - log.started[0] < 3 * DAY
    within = np.ones(log.n_clicks, bool)
    within[log.offsets[:-1]] = False
    assert (np.diff(log.times)[within[1:]] > 0).all()


def test_a_shop_too_small_for_its_groups_is_refused():
    with pytest.raises(ValueError, match="groups"):
        synthetic_shop(items=20, groups=10)
