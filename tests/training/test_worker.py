"""Real Celery workers on a real broker: they train, write what pages could not, and say that they live."""

from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery

from django_sessrec import tasks
from django_sessrec.capture.event import make, to_payload
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Heartbeat, Promotion, TrainingRun
from django_sessrec.training import good_neighbour
from django_sessrec.training.lock import training_lock
from tests.support.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
OPTIONS = ("--concurrency", "1", "--max-tasks-per-child", "1", "--without-gossip", "--without-mingle")
TALKATIVE = (*OPTIONS, "--loglevel", "INFO")


@pytest.fixture
def send(broker_url):
    """Send a task by its name, as beat does."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        yield lambda name, **options: app.send_task(f"django_sessrec.tasks.{name}", **options)


@pytest.fixture
def worker(broker_url, tmp_path, transactional_db):
    """One worker for both queues."""
    command = ("-m", "celery", "--app", "tests.celery_app", "worker", "--queues", "celery,train", *TALKATIVE)
    with process(*command, cwd=tmp_path, BROKER_URL=broker_url) as child:
        yield child


def test_a_worker_trains_what_is_due_once_and_as_a_service_of_lower_priority(
    send, visits, broker_url, tmp_path
):
    for _ in range(2):  # two beats at once
        send("train_due", queue="train")
    send("heartbeat", args=["train"], queue="train")
    command = ("-m", "celery", "--app", "tests.celery_app", "worker", "--queues", "train", *OPTIONS)
    settings = {"BROKER_URL": broker_url, "TRAIN_NICENESS": "1"}
    with process(*command, cwd=tmp_path, own_session=True, **settings) as worker:
        wait_for(lambda: Heartbeat.objects.filter(name="beat").exists(), worker)  # the last of the queue
        if good_neighbour.SESSION.exists():
            session = Path("/proc", str(worker.pid), good_neighbour.SESSION.name)
            assert session.read_text("ascii").split()[2] == "1"
    [run] = TrainingRun.objects.all()
    assert (run.state, run.trigger) == (TrainingRun.State.PUBLISHED, "schedule"), run.error
    assert Promotion.objects.active("neighbours") == run
    assert {"beat", "train"} <= {beat.name for beat in Heartbeat.objects.all()}


@pytest.mark.parametrize(
    ("queues", "own_queue", "alone"),
    [(["train"], "train", True), (["celery", "train"], "train", False), (["celery"], "celery", False)],
)
def test_a_worker_only_trains_if_it_reads_no_other_queue(settings, queues, own_queue, alone):
    settings.SESSREC = settings.SESSREC | {"TRAIN_QUEUE": own_queue}
    with Celery("shop") as app:
        app.amqp.queues.select(queues)
        app.set_current()
        assert tasks._worker_only_trains() is alone


def test_a_worker_and_beat_give_a_sign_of_life_when_they_start(worker, broker_url, tmp_path):
    """Nobody waits a minute for the first heartbeat of the schedule."""

    def alive():
        return {beat.name for beat in Heartbeat.objects.all()}

    wait_for(lambda: alive() == {"worker", "train"}, worker)
    assert all(beat.broker.startswith("redis") for beat in Heartbeat.objects.all())
    beat = ("-m", "celery", "--app", "tests.celery_app", "beat", "--schedule", str(tmp_path / "schedule"))
    with process(*beat, cwd=tmp_path, BROKER_URL=broker_url) as child:
        wait_for(lambda: "beat" in alive(), child)


def test_a_worker_writes_what_a_page_could_not(worker, send):
    event = make("view_item", "42", session_id=uuid7())
    for _ in range(2):
        send("write_later", kwargs={"events": [to_payload(event)], "impressions": []})
    send("heartbeat", args=["worker"])
    wait_for(lambda: Heartbeat.objects.filter(name="beat").exists(), worker)  # the last of the queue
    assert Event.objects.get() == event
    assert not FailedEvent.objects.exists()


def test_upkeep_ends_what_was_killed(worker, send):
    killed = TrainingRun.objects.create(model="neighbours", state=TrainingRun.State.RUNNING, stage="fit")
    send("upkeep")
    wait_for(lambda: TrainingRun.objects.get().state == TrainingRun.State.FAILED, worker)
    assert TrainingRun.objects.get() == killed


def test_staff_s_request_waits_for_another_machine_that_trains_the_model(worker, send, visits, tmp_path):
    with training_lock("neighbours") as held:
        assert held is not None
        send("train", args=["neighbours"], kwargs={"trigger": "ana", "after": 0}, queue="train")
        wait_for(lambda: "Retry in" in (tmp_path / "output").read_text(), worker)
        assert not TrainingRun.objects.exists()
    wait_for(lambda: TrainingRun.objects.filter(state=TrainingRun.State.PUBLISHED).exists(), worker)
    assert TrainingRun.objects.get().trigger == "ana"


def test_the_schedule_names_tasks_that_exist():
    """Beat sends names; a task that no worker knows is dropped with an error that nobody reads."""
    for entry in tasks.schedule().values():
        module, name = entry["task"].rsplit(".", 1)
        assert module == tasks.__name__
        getattr(tasks, name).s(*entry["args"])


def test_a_message_of_the_schedule_is_void_once_the_next_one_is_out(broker_url):
    """Celery's own beat passes on `expires`, django-celery-beat stores `expire_seconds`."""
    with Celery("beat", broker=broker_url) as app, app.connection_for_read() as broker:
        for entry in tasks.schedule().values():
            options = entry["options"]
            seconds = 86_400 if entry["schedule"] == tasks.NIGHTLY else entry["schedule"]
            assert options["expires"] == options["expire_seconds"] == seconds
            with broker.SimpleQueue(options.get("queue", "celery")) as queue:
                queue.clear()
                app.send_task(entry["task"], entry["args"], **options)
                message = queue.get(timeout=300)
                message.ack()
            left = datetime.fromisoformat(message.headers["expires"]) - datetime.now(UTC)
            assert timedelta(0) < left <= timedelta(seconds=seconds)


def test_the_export_is_due_at_night_however_often_beat_is_started():
    """An interval of a day begins anew with each beat whose file is gone, as in a new container."""
    nightly, started = (
        copy(tasks.schedule()["sessrec-export"]["schedule"]),
        datetime(2026, 7, 1, 14, tzinfo=UTC),
    )
    nightly.nowfun = lambda: started
    assert nightly.is_due(started) == (False, timedelta(hours=13).total_seconds())


def test_importing_the_tasks_brings_neither_torch_nor_models(tmp_path):
    """A project's celery.py imports them before Django's apps are loaded."""
    unwanted = "{'torch', 'django_sessrec.models'} & set(sys.modules)"
    code = f"import sys, django_sessrec.tasks; sys.exit(bool({unwanted}))"
    with process("-c", code, cwd=tmp_path) as child:
        assert child.wait(300) == 0, (tmp_path / "output").read_text()
