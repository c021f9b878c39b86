"""What serves, who said so, and the way back."""

import json

import pytest

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training.pipeline import train
from django_sessrec.training.promotion import PromotionError, promote, roll_back

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]


@pytest.fixture
def runs(sessrec, visits):
    """Three runs of popularity, promoted one after the other."""
    return [train("popularity", trigger="command") for _ in range(3)]


def test_rolling_back_goes_one_run_further_each_time(runs):
    first, second, third = runs
    assert roll_back("popularity", "ada").run == second
    assert roll_back("popularity", "ada").run == first
    with pytest.raises(PromotionError, match="No run of popularity served before"):
        roll_back("popularity", "ada")
    promote(third, "ada", "it was not that bad")
    assert roll_back("popularity", "ada").run == second
    assert Promotion.objects.count() == 7  # nothing was taken back
    assert Promotion.objects.first().reason == f"rolled back from {third}"


def test_the_next_training_does_not_undo_a_roll_back(runs):
    second = roll_back("popularity", "ada").run
    trained = train("popularity", trigger="schedule")
    assert trained.state == TrainingRun.State.PUBLISHED
    assert f"Not promoted: ada rolled back to {second}" in trained.verdict
    assert Promotion.objects.active("popularity") == second

    promote(trained, "ada")
    assert train("popularity", trigger="schedule") == Promotion.objects.active("popularity")


def test_a_run_that_was_refused_can_t_be_promoted(runs):
    refused = TrainingRun.objects.create(model="popularity", state=TrainingRun.State.REFUSED)
    with pytest.raises(PromotionError, match="is refused; only a published run"):
        promote(refused, "ada")
    assert Promotion.objects.active("popularity") == runs[-1]


def test_a_run_whose_artifact_is_broken_can_t_be_promoted(runs):
    runs[0].folder.joinpath("popularity.npy").write_bytes(b"half")
    with pytest.raises(PromotionError, match="truncated or was changed"):
        promote(runs[0], "ada")
    assert Promotion.objects.active("popularity") == runs[-1]


@pytest.mark.parametrize("card", [{}, None, {"estimator": "x"}])
def test_a_run_without_a_model_card_can_t_be_promoted(runs, card):
    manifest = runs[0].folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"card": card}))
    runs[0].sha256 = artifact.digest(runs[0].folder)  # it was published like this
    with pytest.raises(PromotionError, match="has no model card: train the model again"):
        promote(runs[0], "ada")
    assert Promotion.objects.active("popularity") == runs[-1]


def test_before_the_first_promotion_there_is_no_way_back():
    with pytest.raises(PromotionError, match="No run of popularity"):
        roll_back("popularity", "ada")
