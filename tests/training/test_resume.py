"""A killed or stopped training run is resumed, on the clicks that it had read."""

import json
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from django_sessrec.ids import uuid7
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys.synthetic import synthetic_shop
from django_sessrec.training import pipeline, resume
from django_sessrec.training.pipeline import train
from django_sessrec.training.run_recorder import fail_stale
from django_sessrec.training.schedule import Due, due
from tests.support.processes import process, wait_for
from tests.support.visits import store_visits

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
SLOW_NET = "tests.training.slow_net.SlowNet"

TRAIN = """
import json, os, django
from django.conf import settings
settings.SESSREC = json.loads(os.environ["SESSREC"])
django.setup()
from django_sessrec.training.pipeline import train
train("net", trigger="schedule")
"""


@pytest.fixture
def net(sessrec, visits):
    """SESSREC with a net whose training takes seconds."""
    sessrec["MODELS"] = {"net": {"ESTIMATOR": SLOW_NET}}
    return sessrec


def ended(sessrec, tmp_path, stage, how):
    """A run whose process was sent a signal after some epochs of the stage."""
    known = set(TrainingRun.objects.values_list("pk", flat=True))
    with process("-c", TRAIN, cwd=tmp_path, SESSREC=json.dumps(sessrec, default=str)) as child:
        under_way = TrainingRun.objects.filter(stage=stage, progress__gt=1 / 4).exclude(pk__in=known)
        run = wait_for(under_way.first, child, seconds=600)
        child.send_signal(how)
        child.wait()
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("stage", ["fit", "refit"])
def test_a_killed_training_is_gone_on_with(net, tmp_path, stage):
    killed = ended(net, tmp_path, stage, signal.SIGKILL)
    store_visits([(uuid7(), datetime.now(UTC) - timedelta(minutes=5), ["item-1", "item-2", "just-in"])])
    told = []
    run = train(
        "net",
        trigger="schedule",
        only_if_due=True,
        progress=lambda stage, share, shown: told.append((stage, share)) if shown else None,
    )
    killed.refresh_from_db()
    assert killed.state == State.FAILED
    assert f"killed or lost its database at the stage {stage}" in killed.verdict
    assert run.state == State.PUBLISHED, run.error
    assert f"Resumed from training run #{killed.pk}" in run.verdict
    assert next(share for of, share in told if of == stage) > 0.02
    assert stage == "fit" or "fit" not in {of for of, _ in told}
    assert (run.window_start, run.window_end) == (killed.window_start, killed.window_end)
    assert run.counts["sessions"] == 600
    assert Promotion.objects.active("net") == run
    assert not resume.folder("net").exists()


def test_sigterm_stops_a_training_which_says_so_and_is_gone_on_with(net, tmp_path):
    stopped = ended(net, tmp_path, "fit", signal.SIGTERM)
    assert (stopped.state, stopped.error) == (State.FAILED, "")
    assert stopped.verdict == "It was stopped at the stage fit."
    run = train("net", trigger="command")
    assert run.state == State.PUBLISHED, run.error
    assert f"Resumed from training run #{stopped.pk}" in run.verdict
    assert run.history[: len(stopped.history) - 1] == stopped.history[:-1]


@pytest.mark.parametrize(
    ("ends", "said"), [(SystemExit, "It was stopped at the stage read"), (SoftTimeLimitExceeded, "TimeLimit")]
)
def test_a_run_that_a_signal_ends_in_the_middle_of_a_statement_says_so(net, ends, said):
    def cut(*_):
        connection.connection.pgconn.send_query(b"SELECT pg_sleep(0.1)")
        raise ends

    with suppress(SystemExit):
        train("net", trigger="command", progress=cut)
    run = TrainingRun.objects.get()
    assert run.state == State.FAILED
    assert said in run.verdict


def left(sessrec, **changes):
    """A failed run and what it left, after so many attempts, so old."""
    run = TrainingRun.objects.create(
        model="net",
        state=State.FAILED,
        estimator=SLOW_NET,
        window_start=datetime.now(UTC) - timedelta(days=30),
        window_end=datetime.now(UTC),
    )
    sessrec["ARTIFACTS"].mkdir()
    resume.keep(run, synthetic_shop(sessions=50).log)
    path = resume.folder("net") / resume.RUN
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return run


def test_a_training_whose_process_of_a_network_was_killed_is_gone_on_with(net, monkeypatch):
    def killed(*_args, **_options):
        raise ChildProcessError("the process that trains network 1 was killed by signal 9")

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "offer", killed)
        failed = train("net", trigger="schedule")
    assert (failed.state, "killed by signal 9" in failed.verdict) == (State.FAILED, True)
    assert f"Resumed from training run #{failed.pk}" in train("net", trigger="schedule").verdict


def test_what_was_killed_is_due_at_once(net):
    left(net)
    assert due("net")


def test_what_is_killed_again_and_again_starts_anew_when_it_is_due(net):
    left(net, attempts=resume.ATTEMPTS)
    assert not due("net")
    run = train("net", trigger="command")
    assert run.state == State.PUBLISHED
    assert "Resumed" not in run.verdict
    assert run.counts["sessions"] == 600


def test_a_run_whose_predecessors_were_deleted_is_resumed_all_the_same(net):
    killed = left(net, started_from=4_711)
    pk = killed.pk
    killed.delete()
    run = TrainingRun(model="net", estimator=SLOW_NET)
    assert resume.resume(run) is not None
    run.save()
    assert (run.history, run.started_from_id) == ([], None)
    assert f"Resumed from training run #{pk}" in run.verdict


def test_another_recipe_starts_anew(net):
    left(net)
    net["MODELS"]["net"]["OPTIONS"] = {"epochs": 1}
    run = train("net", trigger="command")
    assert "Resumed" not in run.verdict
    assert run.counts["sessions"] == 600


@pytest.mark.parametrize(
    "damage",
    [lambda whole: b"", lambda whole: whole[:1_000], lambda whole: b"\0" * len(whole)],
    ids=["empty", "truncated", "zeros"],
)
def test_clicks_that_a_power_loss_damaged_are_read_anew(net, damage):
    left(net)
    clicks = resume.folder("net") / resume.SESSIONS
    clicks.write_bytes(damage(clicks.read_bytes()))
    run = TrainingRun(model="net", estimator=SLOW_NET)
    assert resume.resume(run) is None
    assert "Resumed" not in run.verdict


@pytest.mark.parametrize("kept", ["null", "[]", "{", '{"run": 7}', '{"run": 7, "tries": 1, "recipe": []}'])
def test_what_another_version_kept_is_no_run_to_resume(net, kept):
    folder = resume.folder("net")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(kept)
    assert not resume.waits("net")
    assert due("net") is Due.TRAINING, "as of a model that was never trained"
    resume.discard_old()
    assert not folder.exists()


def test_upkeep_removes_clicks_that_nobody_went_on_with(net):
    long_ago = (datetime.now(UTC) - 2 * resume.MAX_AGE).isoformat()
    run = left(net, window=[long_ago, long_ago])
    run.state = State.RUNNING
    run.save()
    resume.discard_old()
    assert resume.folder("net").exists()
    fail_stale()
    resume.discard_old()
    assert not resume.folder("net").exists()


def test_the_clicks_are_for_the_training_s_user_alone(net):
    left(net)
    assert resume.folder("net").stat().st_mode & 0o077 == 0
