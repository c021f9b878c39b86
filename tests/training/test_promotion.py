"""What serves, who said so, and the way back."""

import json
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training import artifact_store
from django_sessrec.training.lock import promotion_lock
from django_sessrec.training.pipeline import train
from django_sessrec.training.promotion import PromotionError, promote, roll_back
from tests.support.processes import wait_for

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


def expire(run):
    """Let the run's oldest click reach RETENTION_DAYS."""
    run.window_start = timezone.now() - timedelta(days=91)
    run.save()


def damage(run):
    run.folder.joinpath("popularity.npy").write_bytes(b"half")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(expire, "its oldest click has reached RETENTION_DAYS"), (damage, "truncated or was changed")],
)
def test_the_next_training_replaces_a_run_that_can_no_longer_serve_though_staff_rolled_back_to_it(
    runs, spoil, why
):
    second = roll_back("popularity", "ada").run
    spoil(second)
    artifact_store.prune_all()  # as the hourly upkeep does
    trained = train("popularity", trigger="schedule")
    assert Promotion.objects.active("popularity") == trained
    assert f"Promoted, though ada rolled back to {second}: it can no longer serve (" in trained.verdict
    assert why in trained.verdict
    assert f"{second}, which serves" not in trained.verdict
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


@pytest.mark.parametrize(
    "act", [lambda run: promote(run, "ada"), lambda run: roll_back(run.model, "ada")], ids=["promote", "back"]
)
def test_a_run_past_the_retention_limit_takes_the_place_of_none(runs, act):
    expire(runs[1])
    with pytest.raises(PromotionError, match="can't serve: its oldest click has reached RETENTION_DAYS"):
        act(runs[1])
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


@contextmanager
def meanwhile(verb):
    """Inside, another connection does this; it is done at the end."""

    def do():
        try:
            verb()
        finally:
            connections.close_all()

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_run_that_is_being_promoted_undoes_no_roll_back(runs, monkeypatch):
    """Somebody rolls back while the new run's artifact is opened, which takes seconds of a large one."""
    opens = TrainingRun.open_to_serve

    def slowly(run):
        if run not in runs:
            with meanwhile(lambda: roll_back("popularity", "ada")):
                pass
        return opens(run)

    monkeypatch.setattr(TrainingRun, "open_to_serve", slowly)
    trained = train("popularity", trigger="schedule")
    assert trained.state == TrainingRun.State.PUBLISHED
    assert f"Not promoted: ada rolled back to {runs[1]}" in trained.verdict
    assert Promotion.objects.active("popularity") == runs[1]


@contextmanager
def before_the_promotion(verb):
    """Inside, a promotion has opened its artifact when another connection does this, and waits for it."""

    def do():
        with promotion_lock("popularity"):
            locked.set()
            wait_for(waits)
            verb()

    def waits():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return cursor.fetchone()

    locked = threading.Event()
    with meanwhile(do):
        assert locked.wait(300)
        yield


def test_nobody_goes_back_from_a_run_that_was_not_asked_about(runs):
    promoted = lambda: Promotion.objects.create(model="popularity", run=runs[0], promoted_by="bob")  # noqa: E731
    with (
        before_the_promotion(promoted),
        pytest.raises(PromotionError, match=f"{runs[0]} was promoted meanwhile by bob"),
    ):
        roll_back("popularity", "ada")
    assert Promotion.objects.active("popularity") == runs[0]


def test_what_was_removed_meanwhile_can_t_be_promoted(runs):
    with (
        before_the_promotion(lambda: artifact_store.remove(runs[0])),
        pytest.raises(PromotionError, match="can't be opened"),
    ):
        promote(runs[0], "ada")
    assert Promotion.objects.active("popularity") == runs[-1]


def test_what_is_promoted_meanwhile_is_not_removed(runs, monkeypatch):
    monkeypatch.setattr(artifact_store, "KEPT", 1)
    again = lambda: Promotion.objects.create(model="popularity", run=runs[0], promoted_by="bob")  # noqa: E731
    with before_the_promotion(again):
        removed = artifact_store.prune("popularity")
    assert removed == [runs[1].artifact]
    assert runs[0].open()
