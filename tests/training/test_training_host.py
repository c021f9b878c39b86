"""A host with the training worker alone: retention holds in its folder without any upkeep there."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec import tasks
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, TrainingRun
from django_sessrec.operations.upkeep import upkeep
from django_sessrec.training import artifact_store, resume
from django_sessrec.training.dataset import read
from django_sessrec.training.pipeline import train
from django_sessrec.training.run_recorder import fail_stale
from tests.support.storages import folder_storage, share_models_through
from tests.support.visits import store_visits

pytestmark = pytest.mark.django_db(transaction=True)
MARKER = "marked-item"


@pytest.fixture
def training_host(sessrec, settings, visits, tmp_path):
    """The folder of a training host, beside a host that does the upkeep, whose folder SESSREC names."""
    share_models_through(settings, folder_storage(tmp_path / "storage"))
    settings.SESSREC |= {"RETENTION_DAYS": 20}
    at = datetime.now(UTC) - timedelta(days=12)
    store_visits([(uuid7(at), at, [MARKER, "item-1", "item-2"])])
    return tmp_path / "training"


def there(settings, folder, verb):
    """What the verb gives on the host with this folder."""
    elsewhere = settings.SESSREC
    settings.SESSREC = elsewhere | {"ARTIFACTS": folder}
    try:
        return verb()
    finally:
        settings.SESSREC = elsewhere


def age(run, days=9):
    """Let time go by, in which nobody visits."""
    for name in ("window_start", "window_end"):
        setattr(run, name, getattr(run, name) - timedelta(days=days))
    run.save()
    Event.objects.all().delete()


def marked(folder):
    return [path for path in folder.rglob("*") if path.is_file() and MARKER.encode() in path.read_bytes()]


def test_a_model_past_the_limit_leaves_it_though_no_run_is_published(training_host, settings, caplog):
    run = there(settings, training_host, lambda: train("neighbours", trigger="schedule"))
    assert run.state == TrainingRun.State.PUBLISHED, run.verdict
    age(run)
    upkeep()
    assert marked(training_host)
    caplog.clear()
    there(settings, training_host, tasks.train_due)
    assert not marked(training_host)
    assert f"{run} served and was removed" in caplog.text


def test_the_clicks_of_a_killed_run_leave_it_though_none_resumes(training_host, settings):
    def killed():
        run = TrainingRun.objects.create(model="left", window_end=datetime.now(UTC) - 2 * resume.MAX_AGE)
        artifact_store.prepare()
        resume.keep(run, read(datetime.now(UTC) - timedelta(days=15), datetime.now(UTC))[0])
        Event.objects.all().delete()

    there(settings, training_host, killed)
    assert marked(training_host)
    upkeep()
    there(settings, training_host, tasks.train_due)
    assert not marked(training_host)


@pytest.mark.parametrize("in_service", [False, True])
def test_what_was_half_published_leaves_it_though_another_host_ended_the_run(
    training_host, settings, in_service
):
    run = there(settings, training_host, lambda: train("popularity", trigger="schedule"))
    (training_host / f".{run.artifact}.x7").mkdir()
    before = {path.name for path in training_host.iterdir()}
    if not in_service:
        TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.RUNNING, artifact="")
        assert fail_stale() == [run]
    there(settings, training_host, artifact_store.prune_all_here)
    assert {path.name for path in training_host.iterdir()} == (before if in_service else set())
