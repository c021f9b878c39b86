"""Celery tasks: scheduled training runs, upkeep, and retried events.

The rooms are imported inside the tasks: a project's celery.py imports this module before Django's apps are
loaded. None of them brings torch but a training's estimator, in the child process that trains: a prefork
worker whose parent has used torch never ends its training.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from celery import Celery, Task, current_app, current_task, shared_task
from celery.exceptions import Reject, Retry
from celery.schedules import crontab
from celery.signals import beat_init, worker_ready
from django.db import Error, InterfaceError, OperationalError
from kombu.connection import Connection
from kombu.pools import ProducerPool

from django_sessrec.conf import sessrec_settings

if TYPE_CHECKING:
    from django_sessrec.operations.services import Broker

log = logging.getLogger("django_sessrec")

WRITE_RETRIES = 8  # for rows that the database refuses; while it can't be reached, there is no end
LONGEST_PAUSE = 20  # seconds; a broker that takes a message back sooner would multiply those that wait

DEFAULT_BROKER = "amqp://localhost"  # Celery's, where nobody names one
DATABASE_SECONDS = 10.0  # that a worker waits for the database
TRAINS_AGAIN_SECONDS = 20  # until staff's request looks again whether another process still trains the model
BROKER_TIMEOUT = 0.3  # seconds that a page waits for the broker's answer, each of two times
EXAMINED_SECONDS = 2.0  # that the Health page waits for each of the broker's answers
PRODUCERS = 10  # connections to the broker, of a process's pages
# At once, because the page waits: the connection may be one to a broker that was started anew since.
ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}

NIGHTLY = crontab(hour=3, minute=0)  # an interval would begin anew with each new container of beat

Payloads = Sequence[Mapping[str, Any]]


def schedule() -> dict[str, dict[str, Any]]:
    """What the project's beat should do: merge it into its `beat_schedule`."""
    return {
        "sessrec-train": _every(300, "train_due", queue=sessrec_settings.TRAIN_QUEUE),
        "sessrec-upkeep": _every(3_600, "upkeep"),
        "sessrec-experiments": _every(300, "tend_experiments"),
        "sessrec-roll-up": _every(300, "roll_up"),
        "sessrec-export": _every(86_400, "export") | {"schedule": NIGHTLY},
        "sessrec-heartbeat": _every(60, "heartbeat", "worker"),
        "sessrec-heartbeat-train": _every(60, "heartbeat", "train", queue=sessrec_settings.TRAIN_QUEUE),
    }


def _every(seconds: int, task: str, *args: str, **options: str) -> dict[str, Any]:
    """An entry whose message is void once the next one is out, so that none pile up before a late worker."""
    return {
        "task": f"{__name__}.{task}",
        "schedule": seconds,
        "args": args,
        # Celery's beat passes on `expires`; django-celery-beat stores `expire_seconds`, and drops the other.
        "options": {"expires": seconds, "expire_seconds": seconds, **options},
    }


def queue_training(model: str, trigger: str) -> None:
    """Queue a training run on the training worker; asked twice before it starts, it trains once."""
    from django_sessrec.training.schedule import newest_run

    given = {"trigger": trigger, "after": newest_run(model)}
    # The sender names the queue: Celery 6 ignores one that the task itself names.
    train.apply_async([model], given, queue=sessrec_settings.TRAIN_QUEUE)


@shared_task
def train(model: str | None = None, trigger: str = "task", after: int | None = None) -> dict[str, str]:
    """Train one model, or all, now; returns how each ended.

    after: the newest run that whoever asked knew of; where a newer one has begun since, nothing is trained
    """
    return _train_each([model] if model else sessrec_settings.MODELS, trigger, after=after)


@shared_task
def train_due() -> dict[str, str]:
    """Train what is due, or was killed; asked twice at once, it trains each once."""
    from django_sessrec.safety import isolated
    from django_sessrec.training import artifact_store, click_files, resume

    # Here, where clicks are on disk: who was erased, or is too old, must not wait for the next training run.
    # The trouble of one is its own, and stops no schedule.
    with isolated("tidy the click files"):
        click_files.tidy()
    with isolated("remove what no training run resumes"):
        resume.discard_old()
    with isolated("remove old artifacts"):
        artifact_store.prune_all_here()
    return _train_each(sessrec_settings.MODELS, "schedule", only_if_due=True)


@shared_task
def upkeep() -> None:
    """Make partitions, put bots into quarantine, end killed training runs, and delete what is too old."""
    from django_sessrec.operations import upkeep as room

    room.upkeep()


@shared_task
def tend_experiments() -> dict[str, list[str]]:
    """Begin experiments that waited for a model, and stop those whose guard rails fail."""
    from django_sessrec.operations import experiments as room

    return room.tend()


@shared_task
def roll_up() -> list[str]:
    """Make the figures' sums of the days that are due; returns these days."""
    from django_sessrec.measuring.rollups import roll_up_due

    return [day.isoformat() for day in roll_up_due()]


@shared_task
def export() -> list[str]:
    """Write the views for BI tools of the months that have changed; returns the files. Needs a storage."""
    from django_sessrec.measuring import bi_export

    return list(bi_export.export()) if bi_export.configured() else []


@shared_task
def heartbeat(name: str) -> None:
    """Note that beat sends and a worker of this queue works."""
    _beat("beat", name)


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=None)
def write_later(
    self: Task, events: Payloads = (), impressions: Payloads = (), *, resend: bool = False
) -> None:
    """Write the rows that a page could not: until the database is back, else keep them as failed events.

    resend: the page's own try may have stored them
    """
    from django_sessrec import database
    from django_sessrec.capture.event import to_payload
    from django_sessrec.capture.failed_events import store_each_failed
    from django_sessrec.capture.fast_query import patient
    from django_sessrec.capture.outbox import message_from, redeliver
    from django_sessrec.ids import uuid7
    from django_sessrec.models import Receipt

    receipt = self.request.id or str(uuid7())  # the same for every delivery of this message
    message, unreadable = message_from(receipt, events, impressions, resend=resend)
    try:
        with patient(DATABASE_SECONDS):
            redeliver(message, unreadable)
    except Error as problem:
        if not _is_unreachable(problem) and self.request.retries >= WRITE_RETRIES:
            # With the receipt: the page's process has the message, too, and may write it later. A database
            # that is read-only keeps no failed event either.
            with suppress(Error), database.atomic():
                _, first = Receipt.objects.get_or_create(name=receipt)
                if first:
                    unwritable = [(to_payload(row), "unwritable", str(problem)) for row in message.rows]
                    store_each_failed([*unwritable, *unreadable], failed=True)
                return
        _try_again(self, problem)


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=None)
def erase_later(self: Task, session_id: str) -> None:
    """Erase a visit whose consent was withdrawn while the database could not be reached."""
    from django_sessrec.capture.erasure import erase_sessions
    from django_sessrec.capture.fast_query import patient

    try:
        with patient(DATABASE_SECONDS):
            unfinished = erase_sessions([UUID(session_id)]).unfinished
    except Error as problem:
        _try_again(self, problem)
    if unfinished:
        _try_again(self, Error("a write that began before is not finished yet"))


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=None)
def count_later(self: Task, name: str, values: Sequence[str | None]) -> None:
    """Count an order of a visitor without consent, where a page could not."""
    from django_sessrec.capture.fast_query import patient
    from django_sessrec.capture.orders_without_session import store

    try:
        with patient(DATABASE_SECONDS):
            store(name, values)
    except Error as problem:
        if not _is_unreachable(problem) and self.request.retries >= WRITE_RETRIES:
            raise
        _try_again(self, problem)


def publish(task: str, task_id: str | None, kwargs: Mapping[str, Any]) -> None:
    """Send a task of this module from a page; raises what the broker's client raises.

    By connections of their own, whose sockets time out: the shop's, Celery's, may wait for ever.
    """
    app, patience = current_app._get_current_object(), BROKER_TIMEOUT
    with _producers(app, os.getpid(), patience).acquire(block=True, timeout=patience) as producer:
        options = {"kwargs": kwargs, "task_id": task_id, "retry_policy": ONCE_MORE}
        globals()[task].apply_async(**options, producer=producer)


@cache
def _producers(app: Celery, _process: int, patience: float) -> ProducerPool:
    connection = _connection(app, patience)
    return ProducerPool(connection.Pool(PRODUCERS), limit=PRODUCERS, Producer=app.amqp.Producer)


def _connection(app: Celery, seconds: float) -> Connection:
    """A connection to the broker, not yet made, each of whose answers is waited for so long."""
    timeouts = {
        "socket_timeout": seconds,  # of Redis and Valkey
        "socket_connect_timeout": seconds,
        "read_timeout": seconds,  # of AMQP
        "write_timeout": seconds,
    }
    connection: Connection = app.connection_for_write(
        connect_timeout=seconds, transport_options={**app.conf.broker_transport_options, **timeouts}
    )
    return connection


@worker_ready.connect
def _worker_started(sender: Any, **_kwargs: Any) -> None:
    """A worker's first sign of life, so that nobody waits a minute for it: of each queue that it reads."""
    queues = sender.app.amqp.queues.consume_from
    _beat(*sorted({"train" if queue == sessrec_settings.TRAIN_QUEUE else "worker" for queue in queues}))


@beat_init.connect
def _beat_started(**_kwargs: Any) -> None:
    _beat("beat")


def _beat(*names: str) -> None:
    """Note that these live, and the broker that they use."""
    from django_sessrec.models import Heartbeat

    for name in names:
        Heartbeat.objects.update_or_create(name=name, defaults={"broker": broker().address})


def broker() -> Broker:
    """The broker that this process sends to, and a way to ask whether it answers."""
    from django_sessrec.operations.services import Broker

    connection = _connection(current_app, EXAMINED_SECONDS)

    def ask() -> None:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=EXAMINED_SECONDS)

    if not current_app.conf.broker_url:
        return Broker(DEFAULT_BROKER, named=False, ask=ask)
    mask = "**" if connection.info().get("password") else ""
    return Broker(connection.as_uri(mask=mask), named=True, ask=ask)


def _is_unreachable(problem: Error) -> bool:
    return isinstance(problem, OperationalError | InterfaceError)


def _try_again(task: Task, problem: Error) -> NoReturn:
    """Have the broker bring the message once more, after a pause."""
    pause = min(2 ** min(task.request.retries, 10), LONGEST_PAUSE)
    try:
        raise task.retry(exc=problem, countdown=pause) from problem
    except Reject as reason:  # the broker is away, too, and the message must not be done with
        raise Reject(reason.reason, requeue=True) from problem


def _train_each(models: Iterable[str], trigger: str, **asked: Any) -> dict[str, str]:
    """How each ended. What keeps one from being trained stops no other, and is raised after the last."""
    ended, problems = dict[str, str](), list[Exception]()
    for name in models:
        try:
            ended[name] = _train(name, trigger, **asked)
        except Retry:
            raise
        except Exception as problem:
            log.exception("%s could not be trained", name)
            problems.append(problem)
    if problems:
        raise problems[0]
    return ended


def _train(model: str, trigger: str, *, only_if_due: bool = False, after: int | None = None) -> str:
    from django_sessrec.training.good_neighbour import give_way
    from django_sessrec.training.pipeline import AlreadyTraining, train

    if current_task and not current_task.request.called_directly:
        give_way(parent_only_trains=_worker_only_trains())
    try:
        run = train(model, trigger=trigger, only_if_due=only_if_due, after=after)
    except AlreadyTraining as reason:
        if after is not None and not (current_task.request.called_directly or current_task.request.is_eager):
            raise current_task.retry(countdown=TRAINS_AGAIN_SECONDS, max_retries=None) from reason
        return str(reason)
    return run.state if run else "not due"


def _worker_only_trains() -> bool:
    """Whether this worker reads the queue of training runs alone, and the shop's own tasks go to another."""
    queues = {*current_app.amqp.queues.consume_from}
    return queues == {sessrec_settings.TRAIN_QUEUE} != {current_app.conf.task_default_queue}
