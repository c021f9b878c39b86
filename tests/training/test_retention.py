"""No click stays in a model on disk past RETENTION_DAYS, and no shop loses a model without a word."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.ids import uuid7
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.findings import Code
from django_sessrec.operations.trained_models import trained_models
from django_sessrec.operations.upkeep import UpkeepError, upkeep
from django_sessrec.privacy.training_window import headroom, window
from django_sessrec.serving.active_models import active, forget
from django_sessrec.training import artifact_store, schedule
from django_sessrec.training.pipeline import train
from django_sessrec.training.promotion import roll_back
from django_sessrec.training.schedule import Due, due
from tests.support.visits import store_visits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]
MARKER = "marked-item"
DAY = timedelta(days=1)


def train_one(model="neighbours"):
    run = train(model, trigger="command")
    assert run.state == TrainingRun.State.PUBLISHED, run.verdict
    return run


def view_the_marker(days_ago):
    at = datetime.now(UTC) - timedelta(days=days_ago)
    store_visits([(uuid7(at), at, [MARKER, "item-1", "item-2"])])


def on_disk(sessrec):
    """Every byte below the folder of artifacts."""
    return b"".join(path.read_bytes() for path in sessrec["ARTIFACTS"].rglob("*") if path.is_file())


def age(run, days):
    """Let time go by since the run read its clicks."""
    for name in ("window_start", "window_end", "created_at"):
        setattr(run, name, getattr(run, name) - timedelta(days=days))
    run.save()


@pytest.mark.parametrize("model", ["neighbours", "popularity"])
def test_a_click_past_the_limit_is_in_no_file(visits, sessrec, model):
    sessrec["RETENTION_DAYS"] = 20
    view_the_marker(days_ago=12)
    run = train_one(model)
    assert MARKER.encode() in on_disk(sessrec)
    age(run, days=9)
    upkeep()
    assert MARKER.encode() not in on_disk(sessrec)
    assert not run.hold_out_folder.exists()


def test_what_is_read_leaves_time_to_be_replaced_before_the_limit(visits, sessrec):
    sessrec["RETENTION_DAYS"] = 16
    view_the_marker(days_ago=13)
    run = train_one()
    assert MARKER.encode() not in on_disk(sessrec)
    assert run.expires_at > datetime.now(UTC) + 4 * DAY


@pytest.mark.parametrize(
    ("keys", "of_the_model", "expected"),
    [
        ({}, {}, 83 * DAY),
        ({"RETENTION_DAYS": None}, {}, 90 * DAY),
        ({"RETENTION_DAYS": 365}, {}, 90 * DAY),
        ({"TRAINING_WINDOW_DAYS": 30}, {}, 30 * DAY),
        ({"TRAINING_WINDOW_DAYS": 30}, {"TRAINING_WINDOW_DAYS": 14}, 14 * DAY),
        ({}, {"EVERY_HOURS": 240}, 70 * DAY),
        ({"RETENTION_DAYS": 4}, {"EVERY_HOURS": 1}, 3 * DAY),
    ],
)
def test_the_window_follows_the_settings(sessrec, keys, of_the_model, expected):
    sessrec |= keys
    sessrec["MODELS"]["neighbours"] |= of_the_model
    assert window("neighbours") == expected


def test_what_serves_is_retrained_before_it_must_go(visits, sessrec):
    run = train_one()
    assert due("neighbours") is None
    assert next(trained_models()).code == Code.MODEL_SERVES
    run.window_start = datetime.now(UTC) - timedelta(days=90) + headroom("neighbours") / 3
    run.save()
    assert due("neighbours") is None, "a run that has just begun is not repeated at once"
    run.created_at -= timedelta(hours=2)
    run.save()
    assert due("neighbours") is Due.TRAINING
    assert next(trained_models()).code == Code.MODEL_EXPIRES


def test_a_run_that_staff_went_back_to_is_not_retrained_before_a_new_run_may_take_over(visits, sessrec):
    """What is trained under the hold waits to be promoted by hand: an hourly run would change nothing."""
    first, _second = train_one(), train_one()
    roll_back("neighbours", "ada")
    first.window_start = datetime.now(UTC) - timedelta(days=90) + headroom("neighbours") / 3
    first.save()
    TrainingRun.objects.update(created_at=datetime.now(UTC) - timedelta(hours=2))
    assert due("neighbours") is None
    found = next(trained_models())
    assert found.code == Code.MODEL_EXPIRES
    assert found.remedy.startswith("ada rolled back to it, so no training run replaces it before: promote a")

    TrainingRun.objects.filter(pk=first.pk).update(window_start=datetime.now(UTC) - 91 * DAY)
    assert due("neighbours") is Due.TRAINING
    found = next(trained_models())
    assert found.code == Code.MODEL_EXPIRED
    assert found.remedy.startswith("ada rolled back to it: promote a newer run, or run sessrec_train neigh")


def test_a_model_in_service_that_must_go_is_told_of_and_no_longer_answers(visits, sessrec, caplog):
    run = train_one()
    forget()
    assert active("neighbours").run_id == run.pk
    age(run, days=90)
    forget()
    assert active("neighbours") is None
    assert next(trained_models()).code == Code.MODEL_EXPIRED
    assert artifact_store.prune_all() == [run.artifact]
    assert f"neighbours #{run.pk} served and was removed" in caplog.text


def test_models_stay_on_disk_while_the_purge_of_events_waits_for_an_answer(visits, sessrec):
    store_visits((uuid7(at), at, ["item-1"]) for at in (datetime.now(UTC) - n * DAY for n in range(10, 20)))
    run = train_one()
    sessrec["RETENTION_DAYS"] = 9
    with pytest.raises(UpkeepError, match=r"purged: .* days of rows"):
        upkeep()
    assert artifact_store.prune_all_here() == []
    assert run.folder.exists()
    forget()
    assert active("neighbours") is None, "it serves nobody meanwhile"
    assert upkeep(force=True)["artifacts"] == [run.artifact]


def test_without_a_limit_artifacts_stay(visits, sessrec):
    sessrec["RETENTION_DAYS"] = None
    run = train_one()
    age(run, days=1_000)
    assert artifact_store.prune_all() == []
    assert run.folder.exists()


def test_artifacts_of_a_model_that_left_the_settings_go_at_once(visits, sessrec):
    left, stays = train_one("neighbours"), train_one("popularity")
    del sessrec["MODELS"]["neighbours"]
    assert upkeep()["artifacts"] == [left.artifact]
    assert not left.folder.exists()
    assert not left.hold_out_folder.exists()
    assert stays.folder.exists()
    assert Promotion.objects.active("popularity") == stays


@pytest.mark.parametrize("problem", ["another format", "gone"])
def test_an_artifact_in_service_that_this_version_can_t_open_is_due(visits, problem):
    run = train_one()
    assert due("neighbours") is None
    run.created_at -= timedelta(hours=2)
    run.save()
    schedule._opened.clear()  # as in the next process, after an upgrade
    if problem == "gone":
        artifact_store.remove(run)
    else:
        manifest = run.folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 0'))
    assert due("neighbours") is Due.TRAINING


def test_web_processes_of_another_user_can_enter_what_is_made_whatever_the_umask(visits, sessrec, tmp_path):
    sessrec["ARTIFACTS"] = tmp_path / "var" / "artifacts"
    before = os.umask(0o077)
    try:
        run = train_one()
    finally:
        os.umask(before)
    for folder in (sessrec["ARTIFACTS"], sessrec["ARTIFACTS"].parent, run.folder, run.hold_out_folder):
        assert folder.stat().st_mode & 0o055 == 0o055
