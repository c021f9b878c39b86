"""What a candidate is compared with, and on which days of the test."""

import pytest

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.training.pipeline import train

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]
State = TrainingRun.State
TESTS = "tests.training.estimators"


def train_one(model="neighbours"):
    return train(model, trigger="command")


def test_the_second_training_meets_the_first_on_clicks_that_neither_has_seen(visits):
    first, second = train_one(), train_one()
    assert second.state == State.PUBLISHED
    assert "incumbent" not in first.figures
    compared = second.figures["incumbent"]
    assert compared["hr@20"] == pytest.approx(second.figures["candidate"]["hr@20"])
    assert compared["cases"] == second.figures["candidate"]["cases"]
    assert Promotion.objects.active("neighbours") == second


def test_a_worse_candidate_is_refused_with_its_reasons(visits, sessrec):
    good = train_one()
    sessrec["MODELS"]["neighbours"]["ESTIMATOR"] = f"{TESTS}.Unpopular"
    bad = train_one()
    assert bad.state == State.REFUSED
    assert "HR@20" in bad.verdict
    assert "for the model in service" in bad.verdict
    assert Promotion.objects.active("neighbours") == good
    assert not bad.folder.exists()


def test_a_first_run_must_not_be_worse_than_the_model_that_answers_without_it(visits, sessrec):
    in_line(sessrec)
    neighbours = train_one()
    assert "next" not in neighbours.figures

    run = train_one("young")
    assert run.state == State.REFUSED
    assert "for neighbours (next model in line)" in run.verdict
    assert run.figures["next"]["model"] == "neighbours"
    assert run.figures["next"]["hr@20"] == pytest.approx(neighbours.figures["candidate"]["hr@20"])


def test_a_later_run_that_beats_its_predecessor_serves_even_where_the_next_model_is_better(visits, sessrec):
    in_line(sessrec)
    assert train_one("young").state == State.PUBLISHED
    train_one()
    run = train_one("young")
    assert run.state == State.PUBLISHED, run.verdict
    assert "Neighbours (next model in line): " in run.verdict


def in_line(sessrec):
    """A placement of which neighbours are the second model that can be trained."""
    sessrec["PLACEMENTS"] = {"home": {"MODELS": ["young", "untrained", "neighbours"]}}
    sessrec["MODELS"] |= {
        "young": {"ESTIMATOR": "django_sessrec.recsys.Popularity"},
        "untrained": {"ESTIMATOR": "nowhere.Estimator"},
    }


def test_a_predecessor_that_knows_some_of_the_test_days_is_met_on_the_others(visits, sessrec):
    first = train_one()
    sessrec["MODELS"]["neighbours"]["VALIDATION_FRACTION"] = 0.4
    second = train_one()
    assert second.counts["tested_from"] < first.counts["tested_from"]
    assert second.counts["cases"] == first.counts["cases"]
    assert (
        second.figures["incumbent"]["cases"] == second.figures["candidate"]["cases"] == first.counts["cases"]
    )
    assert f"{first}, which serves, was fitted on the days before" in second.verdict


def test_a_predecessor_that_knows_all_test_days_is_not_compared(visits):
    first = train_one()
    first.counts["tested_from"] = int(first.window_end.timestamp())
    first.save()
    second = train_one()
    assert second.state == State.PUBLISHED
    assert "incumbent" not in second.figures
    assert second.counts["cases"] > 0
    assert f"Not compared with {first}, which serves: it was fitted on days of the test" in second.verdict


@pytest.mark.parametrize("has_served", [False, True])
def test_the_next_model_shortens_the_test_of_a_first_run_alone(visits, sessrec, has_served):
    in_line(sessrec)
    sessrec["MODELS"]["young"] |= {"VALIDATION_FRACTION": 0.4, "GATE_TOLERANCE": 1}
    if has_served:
        train_one("young")
    neighbours = train_one()
    run = train_one("young")
    assert run.state == State.PUBLISHED, run.verdict
    if has_served:
        assert "next" not in run.figures
        assert run.counts["cases"] > neighbours.counts["cases"]
        assert f"Not compared with {neighbours}, which serves" in run.verdict
    else:
        assert run.figures["next"]["cases"] == run.counts["cases"] == neighbours.counts["cases"]


def test_what_an_experiment_compares_is_left_to_the_visitors(visits, sessrec):
    variants = {"a": {"SHARE": 50, "MODELS": ["popularity", "neighbours"]}, "b": {"SHARE": 50}}
    sessrec["PLACEMENTS"] = {"home": {"EXPERIMENT": {"NAME": "which", "VARIANTS": variants}}}
    train_one()
    assert train_one("popularity").state == State.PUBLISHED


def test_an_incumbent_that_can_t_be_opened_stops_no_successor(visits):
    train_one().hold_out_folder.joinpath("manifest.json").write_text("{")
    second = train_one()
    assert second.state == State.PUBLISHED
    assert "incumbent" not in second.figures
