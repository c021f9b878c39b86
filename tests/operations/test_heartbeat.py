"""Whether the programs beside the web processes live."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from django_sessrec import tasks
from django_sessrec.models import Heartbeat, TrainingRun
from django_sessrec.operations.examination import examine
from django_sessrec.operations.findings import Code
from django_sessrec.operations.heartbeat import programs
from tests.support.admin import page

pytestmark = pytest.mark.django_db(transaction=True)


def silent_for(**ago):
    """Every program, last seen so long ago."""
    for name in ("beat", "worker", "train"):
        Heartbeat.objects.create(name=name)
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(**ago))


def training(seen_ago, **columns):
    given = {"model": "net", "state": "running", "trigger": "schedule", **columns}
    return TrainingRun.objects.create(heartbeat_at=timezone.now() - seen_ago, **given)


def alive():
    return {program.name for program in programs() if program.alive}


def test_a_worker_that_trains_for_twenty_minutes_is_alive(admin_client):
    silent_for(minutes=20)
    training(timedelta(seconds=2))
    assert alive() == {"train"}
    found = [finding for finding in examine(tasks.broker()) if finding.code == Code.PROCESS_ALIVE]
    assert [finding.message.partition(" ")[0] for finding in found] == ["train"]
    html = page(admin_client, reverse("admin:sessrec_heartbeat_changelist"))
    assert html.count(">running<") == 1
    assert html.count(">not responding<") == 2


@pytest.mark.parametrize(
    ("seen_ago", "columns"),
    [
        (timedelta(minutes=20), {}),  # killed: nobody has marked it yet
        (timedelta(seconds=2), {"trigger": "command"}),  # runs in a shell, not in the worker
        (timedelta(seconds=2), {"state": "published"}),
    ],
)
def test_other_runs_are_no_sign_of_life(seen_ago, columns):
    silent_for(minutes=20)
    training(seen_ago, **columns)
    assert alive() == set()


def test_an_older_training_does_not_hide_a_heartbeat():
    silent_for(seconds=1)
    training(timedelta(minutes=20))
    assert alive() == {"beat", "worker", "train"}


def test_the_consumer_is_missed_only_where_there_is_a_stream(settings):
    assert [program.name for program in programs()] == ["beat", "worker", "train"]
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": "redis://nowhere"}
    assert [program.name for program in programs()] == ["beat", "worker", "train", "consumer"]


def test_a_heartbeat_says_which_broker_its_program_uses(broker_url, monkeypatch):
    monkeypatch.setattr(tasks.current_app.conf, "broker_url", broker_url)
    tasks.heartbeat("worker")
    (worker,) = [program for program in programs() if program.name == "worker"]
    assert worker.broker == tasks.broker().address
    assert worker.broker.startswith("redis+socket://")
