"""Trainings at once, trainings that are killed, and what they leave."""

import json
import threading
import time

import pytest
from django.db import connections

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.training import pipeline, resume
from django_sessrec.training.lock import training_lock
from django_sessrec.training.pipeline import AlreadyTraining, train
from django_sessrec.training.run_recorder import fail_stale
from tests.support.capture import reconnected
from tests.support.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State

TRAIN = """
import json, os, django
from django.conf import settings
settings.SESSREC = json.loads(os.environ["SESSREC"])
django.setup()
from django_sessrec.training.pipeline import train
train("popularity", trigger="schedule")
"""


@pytest.fixture
def waiting(sessrec, visits, tmp_path):
    """SESSREC with a model whose training goes on until the file `go` is there, after one that did not."""
    train("popularity", trigger="command")
    sessrec["MODELS"]["popularity"] = {
        "ESTIMATOR": "tests.training.estimators.Waiting",
        "OPTIONS": {"until": str(tmp_path / "go")},
    }
    return sessrec


def fitting():
    return TrainingRun.objects.filter(state=State.RUNNING, stage="fit", progress__gt=0).first()


def trained_in_thread():
    try:
        return train("popularity", trigger="schedule")
    finally:
        connections.close_all()


def test_two_trainings_at_once_train_once(waiting, tmp_path):
    ended = []
    thread = threading.Thread(target=lambda: ended.append(trained_in_thread()))
    thread.start()
    try:
        running = wait_for(fitting)
        with pytest.raises(AlreadyTraining, match="popularity is being trained by another process"):
            train("popularity", trigger="schedule")
        assert fail_stale() == []  # it lives
        assert train("neighbours", trigger="command").state == State.PUBLISHED  # another model is free
    finally:
        (tmp_path / "go").touch()
        thread.join()
    assert ended == [running]
    assert ended[0].state == State.PUBLISHED
    assert TrainingRun.objects.filter(model="popularity").count() == 2


def test_a_killed_training_leaves_the_old_model_and_is_marked_failed(waiting, tmp_path):
    good = Promotion.objects.active("popularity")
    with process("-c", TRAIN, cwd=tmp_path, SESSREC=json.dumps(waiting, default=str)) as child:
        killed = wait_for(fitting, child)
        child.kill()
        child.wait()
    [failed] = wait_for(fail_stale)
    assert failed == killed
    assert failed.state == State.FAILED
    assert "killed or lost its database at the stage fit" in failed.verdict
    assert failed.history == [{"progress": 0.5, "loss": 1.0}]
    assert Promotion.objects.active("popularity") == good

    (tmp_path / "go").touch()
    assert train("popularity", trigger="schedule").state == State.PUBLISHED  # nothing stands in its way


@pytest.mark.parametrize("noticed_by", ["the run itself", "the upkeep"])
def test_a_run_that_lost_its_lock_stops_and_leaves_what_another_may_use(waiting, tmp_path, noticed_by):
    """As where a pooler or an administrator ends a transaction that looks idle."""
    good = Promotion.objects.active("popularity")
    of_another = resume.folder("popularity") / "fit"
    ended = []
    thread = threading.Thread(target=lambda: ended.append(trained_in_thread()))
    thread.start()
    try:
        wait_for(fitting)
        of_another.mkdir(parents=True)
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({HOLDERS}) AS holders")
        if noticed_by == "the upkeep":
            wait_for(fail_stale)  # and the file `go` is still not there
        else:
            (tmp_path / "go").touch()
        thread.join(300)
        assert not thread.is_alive()
    finally:
        (tmp_path / "go").touch()
        thread.join()
    [run] = ended
    run.refresh_from_db()
    assert (run.state, run.artifact) == (State.FAILED, "")
    said = (
        "of its training lock was ended" if noticed_by == "the run itself" else "killed or lost its database"
    )
    assert said in run.verdict
    assert of_another.exists()
    assert Promotion.objects.active("popularity") == good


HOLDERS = """
    SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND datname = current_database() AND state = 'idle in transaction'
"""


def test_a_run_that_another_process_has_ended_is_not_published(waiting, tmp_path, monkeypatch):
    """Not even where that happens while it publishes."""
    verify = pipeline.verify

    def ended_meanwhile(run):
        verify(run)
        TrainingRun.objects.filter(pk=run.pk).update(state=State.FAILED)

    monkeypatch.setattr(pipeline, "verify", ended_meanwhile)
    good = Promotion.objects.active("popularity")
    (tmp_path / "go").touch()
    run = train("popularity", trigger="schedule")
    assert (run.state, run.artifact) == (State.FAILED, "")
    assert Promotion.objects.active("popularity") == good
    assert {path.name for path in waiting["ARTIFACTS"].iterdir()} == {
        good.folder.name,
        good.hold_out_folder.name,
    }


def test_what_a_killed_publication_left_is_removed(sessrec, visits):
    left = train("popularity", trigger="command")
    half_written = sessrec["ARTIFACTS"] / f".{left.artifact}.x7"
    half_written.mkdir()
    TrainingRun.objects.update(state=State.RUNNING, artifact="")
    fail_stale()
    assert list(sessrec["ARTIFACTS"].iterdir()) == []


@pytest.mark.parametrize("bound_by", ["the client", "the server"])
def test_the_lock_holds_no_snapshot_that_would_keep_vacuum_from_its_work(bound_by):
    options = {"server_side_binding": bound_by == "the server", "prepare_threshold": 1}
    with (
        reconnected(OPTIONS=connections["default"].settings_dict["OPTIONS"] | options),
        training_lock("neighbours") as held,
        connections["default"].cursor() as cursor,
    ):
        held()
        cursor.execute(
            "SELECT state, backend_xmin FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert cursor.fetchall() == [("idle in transaction", None)]


@pytest.mark.parametrize("timeout", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_no_timeout_of_the_server_s_takes_the_lock_from_a_long_training(timeout):
    if timeout == "transaction_timeout" and connections["default"].pg_version < 170_000:
        pytest.skip("PostgreSQL has transaction_timeout from 17 on")
    options = {"options": f"-c {timeout}=200"}
    with (
        reconnected(OPTIONS=connections["default"].settings_dict["OPTIONS"] | options),
        training_lock("neighbours") as held,
    ):
        assert held
        time.sleep(0.5)
        with training_lock("neighbours") as free:
            assert not free
