"""Trainings at once, trainings that are killed, and what they leave."""

import json
import threading
import time

import pytest
from django.db import connections

from django_sessrec.models import Promotion, TrainingRun
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


def test_two_trainings_at_once_train_once(waiting, tmp_path):
    def train_in_thread():
        try:
            ended.append(train("popularity", trigger="schedule"))
        finally:
            connections.close_all()

    ended = []
    thread = threading.Thread(target=train_in_thread)
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
        assert held
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
