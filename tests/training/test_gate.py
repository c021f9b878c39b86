"""The gate's verdict on figures."""

import pytest
from django.utils import translation

from django_sessrec.training.gate import FEWEST_CASES, shows_known, verdict

POPULAR = {"hr@20": 5.0, "mrr@20": 1.0, "hr@20_new": 4.0, "mrr@20_new": 0.8, "cases": 1_000, "cases_new": 800}


def figures(hr, mrr, cases=1_000, *, new=(40.0, 12.0), cases_new=800):
    of_new = {"hr@20_new": new[0], "mrr@20_new": new[1], "cases_new": cases_new}
    return {"hr@20": hr, "mrr@20": mrr, "cases": cases, **of_new}


def judged(candidate, incumbent=None, shows_known=(True,), **others):
    others = {"incumbent": incumbent, "baseline": POPULAR} | others
    known = {name: theirs for name, theirs in others.items() if theirs is not None}
    return verdict({"candidate": candidate, **known}, tolerance=0.02, shows_known=shows_known)


def test_a_model_that_loses_less_than_the_tolerance_passes():
    passed = judged(figures(49.1, 19.7), figures(50, 20))
    assert passed.passed
    assert str(passed) == (
        "HR@20 49.10 and MRR@20 19.70 on 1,000 clicks. The model in service: 50.00 and 20.00. "
        "The most popular items: 5.00 and 1.00."
    )


def test_figures_are_written_as_the_language_writes_them():
    with translation.override("de"):
        passed = str(judged(figures(49.1, 19.7)))
        refused = str(judged(figures(48.9, 0.9), figures(50, 20)))
    assert all(each in passed for each in ("49,10", "19,70", "1.000"))
    assert all(each in refused for each in ("48,90", "50,00", "0,90"))


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


def test_the_next_model_in_line_is_said_and_objects_to_no_successor():
    passed = judged(figures(41, 11), figures(40, 10), next={"model": "neighbours", **figures(50, 20)})
    assert passed.passed
    assert "Neighbours (next model in line): 50.00 and 20.00." in passed.reasons


def test_names_keep_their_letters():
    passed = judged(figures(51, 21), next={"model": "GRU4Rec", **figures(50, 20)})
    assert "GRU4Rec (next model in line): 50.00 and 20.00." in passed.reasons


def test_popularity_itself_has_no_baseline():
    assert judged(figures(5, 1), baseline=None).passed


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_what_is_no_number_does_not_pass(figure):
    assert "diverged" in str(judged(figures(50, figure)))


def test_too_few_clicks_prove_nothing():
    refused = judged(figures(100, 100, cases=FEWEST_CASES - 1))
    assert not refused.passed
    assert f"Only {FEWEST_CASES - 1} clicks" in str(refused)


def test_a_model_whose_lists_hide_viewed_items_is_judged_by_new_clicks_alone():
    passed = judged(figures(20, 5, new=(41, 13)), figures(50, 20, new=(40, 12)), shows_known=[False])
    assert str(passed) == (
        "HR@20 41.00 and MRR@20 13.00 on 800 clicks on products new to the session. "
        "The model in service: 40.00 and 12.00. The most popular items: 4.00 and 0.80."
    )
    refused = judged(figures(60, 30, new=(30, 13)), figures(50, 20, new=(40, 12)), shows_known=[False])
    assert refused.reasons == ("HR@20 (new products) of 30.00 is too low: 40.00 for the model in service.",)


def test_a_model_of_both_kinds_of_lists_must_be_good_at_both():
    known_worse = judged(figures(20, 20, new=(41, 13)), figures(50, 20), shows_known=[False, True])
    new_worse = judged(figures(50, 20, new=(30, 13)), figures(50, 20), shows_known=[False, True])
    assert "HR@20 of 20.00" in str(known_worse)
    assert "HR@20 (new products) of 30.00" in str(new_worse)
    passed = judged(figures(50, 20), figures(50, 20), shows_known=[False, True])
    assert "on 1,000 clicks." in str(passed)
    assert "on 800 clicks on products new to the session." in str(passed)


def test_too_few_new_clicks_leave_the_judgement_to_all_clicks():
    few = {"cases_new": FEWEST_CASES - 1}
    assert not judged(figures(20, 5, **few), figures(50, 20, **few), shows_known=[False]).passed


@pytest.mark.parametrize(
    ("placements", "known"),
    [
        ({"page": {"MODELS": ["a"], "HIDE_VIEWED": True}}, {False}),
        ({"page": {"MODELS": ["a"], "HIDE_VIEWED": False}}, {True}),
        ({"page": {"MODELS": ["b"], "HIDE_VIEWED": True}}, {True}),
        (
            {"page": {"MODELS": ["a"], "HIDE_VIEWED": True}, "home": {"MODELS": ["a"], "HIDE_VIEWED": False}},
            {True, False},
        ),
        (
            {
                "page": {
                    "MODELS": ["b"],
                    "HIDE_VIEWED": False,
                    "EXPERIMENT": {
                        "NAME": "x",
                        "VARIANTS": {
                            "b": {"SHARE": 1},
                            "a": {"SHARE": 1, "MODELS": ["a"], "HIDE_VIEWED": True},
                        },
                    },
                }
            },
            {False},
        ),
    ],
)
def test_what_lists_show_is_read_from_all_placements_and_variants(sessrec, placements, known):
    sessrec["PLACEMENTS"] = placements
    assert shows_known("a") == known


@pytest.mark.parametrize(("figure", "passes"), [("hr", True), ("mrr", False), ("both", False)])
def test_a_shop_may_let_one_figure_decide(figure, passes):
    others = {"candidate": figures(52, 15), "incumbent": figures(50, 20), "baseline": figures(5, 1)}
    judgement = verdict(others, tolerance=0.02, judged_by=figure)
    assert judgement.passed is passes
    assert "15.00" in str(judgement)


def test_a_model_of_baskets_is_judged_in_words_of_baskets():
    known = {"candidate": figures(50, 20), "baseline": POPULAR}
    passed = verdict(known, tolerance=0.02, shows_known=[True, False], on_baskets=True)
    few = verdict({"candidate": figures(50, 20, cases=3)}, tolerance=0.02, on_baskets=True)
    assert str(passed).startswith("HR@20 50.00 and MRR@20 20.00 on 1,000 products of baskets.")
    assert "on 800 products of baskets, in lists without what is in the basket." in str(passed)
    assert "click" not in f"{passed} {few}"
