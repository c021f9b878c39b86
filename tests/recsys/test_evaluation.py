from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.strategies import log_of


class Scorer(Recommender):
    """The same scores for every session."""

    kind = "scorer"

    def __init__(self, scores: Sequence[float]) -> None:
        self.index = ItemIndex([f"item-{row}" for row in range(1, len(scores) + 1)])
        self._scores = np.array([-np.inf, *scores], np.float32)

    def scores(self, sessions):
        return np.tile(self._scores, (len(sessions), 1))

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, index, parameters):
        raise NotImplementedError


def test_figures_worked_out_by_hand():
    cases = Cases.from_log(log_of([[1, 2], [1, 3], [1, 4], [1, 5]]))
    report = evaluate(Scorer([0, 8, 7, 6, 5, 4, 3, 2]), cases, k=2)
    assert report.hr == pytest.approx(2 / 4)
    assert report.mrr == pytest.approx((1 + 1 / 2) / 4)
    assert report.ndcg == pytest.approx((1 + 1 / np.log2(3)) / 4)
    assert report.coverage == pytest.approx(2 / 8)


def test_every_prefix_is_a_case():
    cases = Cases.from_log(log_of([[1, 2, 3], [4], [5, 5]]))
    found = [(cases.prefix(case).tolist(), int(cases.labels[case])) for case in range(len(cases))]
    assert found == [([1], 2), ([1, 2], 3), ([5], 5)]


def test_what_ties_with_the_label_stands_before_it():
    cases = Cases.from_log(log_of([[1, 2]]))
    assert evaluate(Scorer([3, 3, 3, 1, 1, 1, 1, 1]), cases, k=2).hr == 0
    assert evaluate(Scorer([3, 3, 3, 1, 1, 1, 1, 1]), cases, k=3).mrr == pytest.approx(1 / 3)


def test_a_constant_model_scores_nothing():
    shop = synthetic_shop()
    report = evaluate(Scorer([1.0] * 300), Cases.from_log(shop.log))
    assert (report.hr, report.mrr, report.ndcg) == (0, 0, 0)


def test_a_label_without_evidence_is_a_miss():
    cases = Cases.from_log(log_of([[1, 2]]))
    assert evaluate(Scorer([1, -np.inf, 0, 0, 0, 0, 0, 0]), cases).hr == 0
    assert evaluate(Scorer([-np.inf] * 8), cases).hr == 0


def test_scores_that_are_not_numbers_raise():
    cases = Cases.from_log(log_of([[1, 2]]))
    with pytest.raises(ValueError, match="NaN"):
        evaluate(Scorer([1, 2, 3, 4, 5, 6, 7, np.nan]), cases)


def test_no_cases_raise():
    with pytest.raises(ValueError, match="two clicks"):
        evaluate(Scorer([1.0] * 8), Cases.from_log(log_of([[1], [2]])))


def test_a_model_with_another_index_is_judged_on_the_same_cases():
    log = log_of([[1, 2, 3], [1, 3], [6, 8], [7, 2]])
    model = Scorer([3, 2, 1])  # knows item-1 to item-3 only
    cases = Cases.from_log(log)
    report = evaluate(model, cases, k=2)
    assert report.cases == len(cases) == 5
    assert report.hr == pytest.approx(2 / 5)  # item-2 twice; item-3 is third, item-8 unknown
    translated = cases.reindexed(model.index)
    assert [translated.prefix(case).tolist() for case in range(5)] == [[1], [1, 2], [1], [], []]
    assert translated.labels.tolist() == [2, 3, 3, 0, 2]


def test_figures_by_prefix_length():
    report = evaluate(Scorer(range(8, 0, -1)), Cases.from_log(log_of([[1] * 12, [2, 2]])), k=1)
    by_length = {length: (figures["cases"], figures["hr"]) for length, figures in report.by_length.items()}
    assert by_length == {"1": (2, 0.5), "2": (1, 1), "3-4": (2, 1), "5-9": (5, 1), "10+": (2, 1)}


def test_figures_by_intents():
    cases = Cases.from_log(log_of([[2, 1], [2, 3], [2, 5, 1]]))
    report = evaluate(Scorer(range(8, 0, -1)), cases, k=1, intents=np.array([1, 2, 2, 7]))
    by_intents = {count: (figures["cases"], figures["hr"]) for count, figures in report.by_intents.items()}
    assert by_intents == {"1": (1, 1), "2": (2, 0), "3+": (1, 1)}
    assert report.as_dict()["by_intents"]["3+"]["hr@1"] == 100
    assert evaluate(Scorer([1.0] * 8), cases).by_intents == {}


def test_thinned_cases_are_evenly_spaced_and_never_more_than_there_are():
    cases = Cases.from_log(log_of([[1, 2, 3, 4, 5, 6]]))
    assert cases.thinned(3).labels.tolist() == [2, 4, 6]
    assert cases.thinned(99).labels.tolist() == cases.labels.tolist()


def test_each_case_needs_its_count_of_intents():
    with pytest.raises(ValueError, match="2 counts of intents for 1 cases"):
        evaluate(Scorer([1.0] * 8), Cases.from_log(log_of([[1, 2]])), intents=np.array([1, 1]))


def test_lean_is_one_for_a_list_as_popular_as_the_clicks_and_more_for_best_sellers():
    cases = Cases.from_log(log_of([[3, 1], [3, 1], [3, 1], [3, 2]]))
    clicked = (3 * 3 + 1) / 4  # mean popularity of what visitors clicked
    report = evaluate(Scorer([2, 1, 0, 0, 0, 0, 0, 0]), cases, k=1)
    assert report.popularity_bias == pytest.approx(3 / clicked)


def test_the_report_is_json_in_percent():
    shop = synthetic_shop(sessions=300)
    progress: list[float] = []
    report = evaluate(
        Popularity().fit(shop.log),
        Cases.from_log(shop.log),
        progress=lambda share, _: progress.append(share),
    )
    figures = report.as_dict()
    assert figures["hr@20"] == pytest.approx(100 * report.hr)
    assert figures["coverage@20"] == pytest.approx(100 * 20 / 300)
    assert figures["by_length"]["2"]["mrr@20"] == pytest.approx(100 * report.by_length["2"]["mrr"])
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_new_clicks_are_judged_in_lists_without_what_the_session_clicked():
    cases = Cases.from_log(log_of([[1, 2, 3, 1]]))  # labels 2 and 3 are new to the session, 1 is not
    report = evaluate(Scorer([8, 7, 6, 5, 4, 3, 2, 1]), cases, k=1)
    assert report.hr == pytest.approx(1 / 3)  # the list starts with item 1, which is clicked again
    assert (report.cases_new, report.hr_new, report.mrr_new) == (2, 1, 1)
    figures = report.as_dict()
    assert (figures["hr@1_new"], figures["mrr@1_new"], figures["cases_new"]) == (100, 100, 2)
    assert figures["by_length"]["1"] == {
        "cases": 1,
        "hr@1": 0,
        "mrr@1": 0,
        "ndcg@1": 0,
        "cases_new": 1,
        "hr@1_new": 100,
        "mrr@1_new": 100,
    }


def test_what_ties_with_a_new_label_counts_only_where_the_list_would_show_it():
    cases = Cases.from_log(log_of([[1, 1, 2]]))
    assert evaluate(Scorer([1, 1, 0, 0, 0, 0, 0, 0]), cases, k=1).hr_new == 1
    assert evaluate(Scorer([1, 1, 1, 0, 0, 0, 0, 0]), cases, k=1).hr_new == 0


def test_sessions_that_only_go_back_have_no_new_clicks():
    report = evaluate(Scorer([1.0] * 8), Cases.from_log(log_of([[2, 2, 2]])))
    assert (report.cases, report.cases_new, report.hr_new) == (2, 0, 0)


def test_a_click_is_new_or_known_whatever_the_model_has_learnt():
    cases = Cases.from_log(log_of([[8, 1, 8]]))
    report = evaluate(Scorer([3, 2, 1]), cases)  # knows item-1 to item-3 only
    assert (report.cases, report.cases_new) == (2, 1)
