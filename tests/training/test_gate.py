"""The gate's verdict on figures."""

import pytest

from django_sessrec.training.gate import FEWEST_CASES, verdict

POPULAR = {"hr@20": 5.0, "mrr@20": 1.0, "cases": 1_000}


def figures(hr, mrr, cases=1_000):
    return {"hr@20": hr, "mrr@20": mrr, "cases": cases}


def judged(candidate, incumbent=None, **others):
    others = {"incumbent": incumbent, "baseline": POPULAR} | others
    known = {name: theirs for name, theirs in others.items() if theirs is not None}
    return verdict({"candidate": candidate, **known}, tolerance=0.02)


def test_a_model_that_loses_less_than_the_tolerance_passes():
    passed = judged(figures(49.1, 19.7), figures(50, 20))
    assert passed.passed
    assert str(passed) == (
        "HR@20 49.10 and MRR@20 19.70 on 1000 clicks. The model in service: 50.00 and 20.00. "
        "The most popular items: 5.00 and 1.00."
    )


def test_each_figure_that_is_too_low_is_an_objection():
    refused = judged(figures(48.9, 0.9), figures(50, 20))
    assert not refused.passed
    assert refused.reasons == (
        "HR@20 of 48.90 is too low: 50.00 for the model in service.",
        "MRR@20 of 0.90 is too low: 20.00 for the model in service.",
        "MRR@20 of 0.90 is too low: 1.00 for the most popular items.",
    )


def test_the_model_that_answers_where_this_one_does_not_must_not_be_better():
    neighbours = {"model": "neighbours", **figures(50, 20)}
    assert str(judged(figures(51, 19.5), next=neighbours)) == (
        "MRR@20 of 19.50 is too low: 20.00 for neighbours (next model in line)."
    )
    passed = judged(figures(51, 21), next=neighbours)
    assert passed.passed
    assert "Neighbours (next model in line): 50.00 and 20.00." in passed.reasons


def test_popularity_itself_has_no_baseline():
    assert judged(figures(5, 1), baseline=None).passed


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_what_is_no_number_does_not_pass(figure):
    assert "diverged" in str(judged(figures(50, figure)))


def test_too_few_clicks_prove_nothing():
    refused = judged(figures(100, 100, cases=FEWEST_CASES - 1))
    assert not refused.passed
    assert f"Only {FEWEST_CASES - 1} clicks" in str(refused)
