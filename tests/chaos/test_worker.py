"""Training processes that are killed with kill -9 while they train, as a machine short of memory does it."""

import pytest
from celery import Celery

from django_sessrec.models import Promotion, TrainingRun
from example_shop.stack.processes import carrying
from tests.support.processes import kill, process, wait_for
from tests.support.visits import store_visits, synthetic_visits

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]
State = TrainingRun.State
OPTIONS = ("--concurrency", "1", "--max-tasks-per-child", "1", "--without-gossip", "--without-mingle")


@pytest.fixture
def send(broker_url):
    """Send a task by its name to the training worker."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        yield lambda name, *args: app.send_task(f"django_sessrec.tasks.{name}", args, queue="train")


@pytest.fixture
def worker(broker_url, tmp_path):
    """worker() starts one, whose trainings end when the file `go` is there."""
    environment = {
        "BROKER_URL": broker_url,
        "DJANGO_SETTINGS_MODULE": "tests.chaos.worker_settings",
        "TRAINS_HERE": str(tmp_path),
    }
    command = ("-m", "celery", "--app", "tests.celery_app", "worker", "--queues", "train", *OPTIONS)
    return lambda: process(*command, cwd=tmp_path, **environment)


@pytest.fixture
def good():
    """The run of the model in service."""
    store_visits(synthetic_visits())
    run = TrainingRun.objects.create(model="popularity", state=State.PUBLISHED, trigger="test")
    Promotion.objects.create(model="popularity", run=run, promoted_by="test")
    return run


def in_mid_training(child, share=0.0):
    under_way = TrainingRun.objects.filter(stage="fit", progress__gt=share)
    return wait_for(under_way.first, child, seconds=600)


def killed(run):
    run.refresh_from_db()
    return run.state == State.FAILED and "killed or lost its database at the stage fit" in run.verdict


def test_the_process_that_trains_is_killed_and_the_next_training_goes_through(worker, send, good, tmp_path):
    with worker() as child:
        send("train", "popularity")
        run = in_mid_training(child)
        kill(*{*carrying("TRAINS_HERE", str(tmp_path))} - {child.pid})
        (tmp_path / "go").touch()
        send("train", "popularity")
        wait_for(lambda: killed(run), child)
        newest = wait_for(
            lambda: TrainingRun.objects.filter(pk__gt=run.pk, finished_at__gt=run.created_at), child
        )
    assert Promotion.objects.active("popularity") == newest.get()


def test_the_whole_worker_is_killed_and_upkeep_says_so(worker, send, good, tmp_path):
    with worker() as first:
        send("train", "popularity")
        run = in_mid_training(first)
        kill(*carrying("TRAINS_HERE", str(tmp_path)))
        first.wait()
    run.refresh_from_db()
    assert run.state == State.RUNNING  # nobody is left to say more
    with worker() as second:
        send("upkeep")
        wait_for(lambda: killed(run), second)
    assert Promotion.objects.active("popularity") == good


def test_a_net_whose_whole_worker_is_killed_is_gone_on_with_by_the_next_beat(worker, send, good, tmp_path):
    TrainingRun.objects.create(model="popularity", state=State.PUBLISHED, trigger="test")  # is not due
    with worker() as first:
        send("train", "net")
        run = in_mid_training(first, share=1 / 4)  # an epoch is over
        kill(*carrying("TRAINS_HERE", str(tmp_path)))
        first.wait()
    with worker() as second:
        send("train_due")
        ended = TrainingRun.objects.filter(model="net", pk__gt=run.pk, finished_at__isnull=False)
        resumed = wait_for(ended.first, second, seconds=600)
    assert killed(run)
    assert f"Resumed from training run #{run.pk}" in resumed.verdict
    assert resumed.history[0] == TrainingRun.objects.get(pk=run.pk).history[0]
    assert Promotion.objects.active("net") == resumed
