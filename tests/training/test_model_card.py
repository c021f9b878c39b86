"""What the model card says in plain words."""

from datetime import UTC, datetime, timedelta

from django.utils import translation

from django_sessrec.models import TrainingRun
from django_sessrec.training.model_card import limits


def run_with(**figures):
    now = datetime.now(UTC)
    return TrainingRun(
        window_start=now - timedelta(days=7),
        window_end=now,
        figures={"candidate": figures} if figures else {},
    )


def test_without_figures_the_limits_are_those_of_the_data():
    assert [limit.split(":")[0] for limit in limits(run_with())] == [
        "It does not know products that came after its training run",
        "It was trained on 7 days",
        "It uses only the clicks of the current session",
    ]


def test_the_figures_say_how_far_they_may_be_trusted():
    words = " ".join(limits(run_with(**{"hr@20": 50.0, "cases": 400, "coverage@20": 90.0})))
    assert "They are based on 400 clicks: a difference of 4.9 points of HR@20 may be chance." in words
    assert "10.0 % of its products appeared in no list of the test." in words


def test_numbers_are_written_as_the_language_writes_them():
    run = run_with(**{"hr@20": 50.0, "cases": 1400, "coverage@20": 7.4})
    run.counts = {
        "event_weights": {"view": 1.0, "dwell_seconds": 30, "dwell": 1.5, "basket": 2, "purchase": 0.25}
    }
    with translation.override("de"):
        words = " ".join(limits(run))
    for written in ("1,5", "0,25", "1.400", "2,6", "92,6"):
        assert written in words
    assert "92.6" not in words


def test_the_worst_group_is_named_if_it_has_clicks_enough_to_tell():
    groups = {
        "1": {"cases": 200, "hr@20": 55.0},
        "2": {"cases": 150, "hr@20": 45.0},
        "3-4": {"cases": 5, "hr@20": 0.0},
    }
    words = limits(run_with(**{"hr@20": 50.0, "cases": 355, "by_length": groups}))
    assert "It is least accurate after 2 clicks: HR@20 45.00." in words
    assert not any("intents" in limit for limit in words)


def test_a_group_of_one_is_told_in_the_singular():
    groups = {"1": {"cases": 200, "hr@20": 45.0}, "2": {"cases": 150, "hr@20": 55.0}}
    run = run_with(**{"hr@20": 50.0, "cases": 350, "by_length": groups, "by_intents": groups})
    run.window_start = run.window_end - timedelta(days=1)
    words = " ".join(limits(run))
    assert "It was trained on 1 day:" in words
    assert "It is least accurate after 1 click: HR@20 45.00." in words
    assert "It is least accurate for sessions with 1 intent: HR@20 45.00." in words
    run.counts = {"learns_from": "baskets"}
    assert "It is least accurate after 1 product of a basket: HR@20 45.00." in limits(run)


def test_clicks_on_new_products_are_told_apart():
    words = " ".join(limits(run_with(**{"hr@20": 50.0, "cases": 400, "cases_new": 300, "hr@20_new": 41.5})))
    assert "75 % of the predicted clicks went to a product that was new to the session" in words
    assert "found 41.50 % among 20 products" in words


def test_a_model_of_baskets_has_a_card_in_words_of_baskets():
    groups = {"1": {"cases": 200, "hr@20": 55.0}, "2": {"cases": 150, "hr@20": 45.0}}
    run = run_with(
        **{"hr@20": 50.0, "cases": 350, "cases_new": 350, "hr@20_new": 50.0, "popularity_bias@20": 2.0},
        by_length=groups,
    )
    run.counts = {"learns_from": "baskets"}
    words = " ".join(limits(run))
    assert "They are based on 350 products: a difference of 5.2 points of HR@20 may be chance." in words
    assert "It is least accurate after 2 products of a basket: HR@20 45.00." in words
    assert "click" not in words
