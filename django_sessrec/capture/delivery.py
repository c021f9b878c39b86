"""From a request into the store, else to a task that retries, else into the log: nothing here raises."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import Error
from django.utils.module_loading import import_string

from django_sessrec.capture import store
from django_sessrec.capture.events import event_from, impression_from, to_payload
from django_sessrec.models import Event, Impression

# By their paths: the tasks stand above this room.
WRITE_TASK = "django_sessrec.tasks.write_later"
ERASE_TASK = "django_sessrec.tasks.erase_later"
BROKER_PAUSE = 30.0  # seconds without a broker before it is asked again, so that no page waits for a dead one

logger = logging.getLogger("django_sessrec")
# What became of this process's rows: stored, duplicate, failed, withdrawn, deferred, lost
outcomes: Counter[str] = Counter()


class Broker:
    """Remembers that the broker did not answer, so that the next pages don't wait for it, too."""

    def __init__(self) -> None:
        self._rests_until = 0.0

    @property
    def resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def rest(self) -> None:
        self._rests_until = time.monotonic() + BROKER_PAUSE


broker = Broker()


def deliver(events: Sequence[Event], impressions: Sequence[Impression] = ()) -> store.Written | None:
    """Store the rows now, or have them stored later (None); what becomes of them is counted in `outcomes`."""
    try:
        written = store.write(events, impressions)
    except Error as problem:
        logger.warning("%d rows could not be written: %s", len(events) + len(impressions), problem)
        _defer(events, impressions)
        return None
    outcomes.update(written._asdict())
    return written


def redeliver(events: Sequence[Mapping[str, Any]], impressions: Sequence[Mapping[str, Any]] = ()) -> None:
    """Store what deliver() handed to the retry task; raises django.db.Error while the store is down."""
    outcomes.update(
        store.write(
            [event_from(each) for each in events], [impression_from(each) for each in impressions]
        )._asdict()
    )


def withdraw(session_id: UUID) -> None:
    """Erase the session now, or have it erased once the database is back."""
    try:
        store.forget([session_id])
    except Error as problem:
        logger.warning("session %s could not be erased: %s", session_id, problem)
        if not _later(ERASE_TASK, session_id=str(session_id)):
            logger.exception("session %s is not erased, the broker is down, too: erase it later", session_id)


def _defer(events: Sequence[Event], impressions: Sequence[Impression]) -> None:
    rows = len(events) + len(impressions)
    deferred = _later(
        WRITE_TASK,
        events=[to_payload(each) for each in events],
        impressions=[to_payload(each) for each in impressions],
    )
    outcomes["deferred" if deferred else "lost"] += rows
    if not deferred:
        logger.error("%d rows are lost: database and broker are down", rows)


def _later(task: str, **kwargs: Any) -> bool:
    """Hand the work to a task that retries; whether the broker took it."""
    if broker.resting:
        return False
    try:
        import_string(task).apply_async(kwargs=kwargs, retry=False)  # the page waits
    except Exception:  # the broker's client may raise anything
        broker.rest()
        logger.exception("the broker did not take %s", task)
        return False
    return True
