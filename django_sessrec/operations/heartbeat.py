"""Liveness of background processes, shown by doctor, Health page and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from django_sessrec.capture import stream
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Heartbeat, TrainingRun

SILENCE = timedelta(minutes=5)  # heartbeats come once a minute, the consumer's six times


@dataclass(frozen=True, slots=True)
class Program:
    """A background process that should run, and its last sign of life."""

    name: str
    command: str  # what starts it
    seen_at: datetime | None
    broker: str = ""  # the address that it reads, without a password; empty where it told none

    @property
    def alive(self) -> bool:
        return self.seen_at is not None and timezone.now() - self.seen_at < SILENCE


def programs() -> list[Program]:
    """The background processes that this installation needs, as they were last seen.

    A worker with one process takes no heartbeat while it trains; the run's own is its sign of life then.
    """
    beats = {beat.name: beat for beat in Heartbeat.objects.all()}
    seen = {name: beat.seen_at for name, beat in beats.items()}
    if training := _training_seen_at():
        seen["train"] = max(training, seen.get("train", training))
    return [
        Program(name, command, seen.get(name), beats[name].broker if name in beats else "")
        for name, command in _commands().items()
    ]


def alive(*names: str) -> bool:
    """Whether each of these background processes has given a sign of life lately."""
    seen = {program.name for program in programs() if program.alive}
    return seen.issuperset(names)


def schedule_runs() -> bool:
    """Whether beat sends and a worker does what the shop's schedule says, training runs aside."""
    return alive("beat", "worker")


def _commands() -> dict[str, str]:
    """The command that starts each background process."""
    celery = "celery --app PROJECT"
    queue = sessrec_settings.TRAIN_QUEUE
    commands = {
        "beat": f"{celery} beat",
        # Each by a name of its own: Celery warns of two workers of one host that have the same.
        "worker": f"{celery} worker --hostname shop@%h",
        "train": f"{celery} worker --hostname train@%h --queues {queue} --concurrency 1 "
        "--max-tasks-per-child 1",
    }
    return commands | ({"consumer": "manage.py sessrec_consume"} if stream.configured() else {})


def _training_seen_at() -> datetime | None:
    """The last sign of life of an active training run; one that a command runs is in no worker."""
    running = TrainingRun.objects.filter(state=TrainingRun.State.RUNNING).exclude(trigger="command")
    seen_at: datetime | None = running.aggregate(seen=Max("heartbeat_at"))["seen"]
    return seen_at
