from dataclasses import replace

import numpy as np

from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from django_sessrec.recsys.tuning import TunedNeighbours
from tests.recsys.contract import RecommenderContract
from tests.recsys.strategies import log_of


class TestTunedNeighbours(RecommenderContract):
    estimator = TunedNeighbours()


def without_repeats(log: SessionLog) -> SessionLog:
    """The same shop, were its visitors never to go back to an item."""
    session = np.repeat(np.arange(len(log)), log.lengths)
    _, first = np.unique(session * len(log.index) + log.items, return_index=True)
    first.sort()
    return SessionLog.from_rows(session[first], log.items[first], log.times[first], log.index)


def test_where_nobody_goes_back_the_clicked_item_is_ranked_lower_and_the_list_foretells_better():
    earlier, last = without_repeats(synthetic_shop().log).split_last(0.1)
    tuned, plain = TunedNeighbours().fit(earlier), Neighbours().fit(earlier)
    assert tuned.parameters.self_weight < plain.parameters.self_weight
    assert evaluate(tuned, Cases.from_log(last)).ndcg > 1.1 * evaluate(plain, Cases.from_log(last)).ndcg


def test_the_index_holds_all_sessions_whatever_the_choice_was_made_on():
    log = synthetic_shop(sessions=1_000).log
    tuned = TunedNeighbours().fit(log)
    plain = Neighbours().fit(log)
    np.testing.assert_array_equal(tuned.postings.postings, plain.postings.postings)


def test_a_shop_with_too_few_clicks_to_choose_by_keeps_the_defaults():
    for log in (log_of([[1, 2], [2, 3]] * 20), log_of([[1]]), log_of([[1]]).slice(0, 0)):
        assert TunedNeighbours().fit(log).parameters == Neighbours()


def test_what_teaches_more_is_chosen_for():
    """Where only clicks that nobody goes back to count, the clicked item itself is worth nothing."""
    log = synthetic_shop().log
    session = np.repeat(np.arange(len(log)), log.lengths)
    first = np.zeros(log.n_clicks, np.float32)
    first[np.unique(session * len(log.index) + log.items, return_index=True)[1]] = 1
    weighed = replace(log, weights=first)
    assert TunedNeighbours().choose(weighed).self_weight < TunedNeighbours().choose(log).self_weight


def test_progress_is_told_to_the_end():
    told: list[float] = []
    TunedNeighbours(max_queries=200).fit(
        synthetic_shop(sessions=2_000).log, progress=lambda share, _: told.append(share)
    )
    assert told == sorted(told)
    assert told[-1] == 1
