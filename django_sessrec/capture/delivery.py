"""From a request into the store, else to a task that retries, else held for later: nothing here raises."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import Error, transaction
from django.utils.module_loading import import_string

from django_sessrec.capture import store, stream
from django_sessrec.capture.breaker import Breaker
from django_sessrec.capture.events import event_from, impression_from, to_payload
from django_sessrec.capture.held import Held, Rows
from django_sessrec.capture.recent import Recent
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, Impression, Receipt

# By their paths: the tasks stand above this room.
WRITE_TASK = "django_sessrec.tasks.write_later"
ERASE_TASK = "django_sessrec.tasks.erase_later"
# At once, because the page waits: the connection may be one to a broker that was started anew since.
ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}

logger = logging.getLogger("django_sessrec")
broker = Breaker(5.0)  # Celery's
recent = Recent()
held = Held()
# What this process did with its rows, for its log and the tests; what became of them is in the ledger.
outcomes: Counter[str] = Counter()


def deliver(events: Sequence[Event], impressions: Sequence[Impression] = ()) -> store.Written | None:
    """Store the rows now, or have them stored later (None)."""
    if stream.configured() and stream.add(events, impressions):
        outcomes["streamed"] += len(events) + len(impressions)
        _make_good()
        return None
    written = _write(events, impressions)
    if written is not None:
        _make_good()
    return written


def _make_good() -> None:
    """What this process held is written now that a server answers."""
    for session_id in held.take_erasures():
        withdraw(session_id)
    _write_again(held.take_rows())


def _write_again(rows: Rows) -> None:
    if rows:
        _write(
            [row for row in rows if isinstance(row, Event)],
            [row for row in rows if isinstance(row, Impression)],
            again=True,
        )


def redeliver(
    receipt: str,
    events: Sequence[Mapping[str, Any]],
    impressions: Sequence[Mapping[str, Any]],
    *,
    again: bool,
) -> None:
    """Store what deliver() handed to the retry task, once however often a broker brings it.

    Raises django.db.Error while the store is down.
    """
    alias = sessrec_settings.DATABASE
    with transaction.atomic(using=alias):
        _, first = Receipt.objects.using(alias).get_or_create(name=receipt)
        if first:
            rows = [event_from(each) for each in events], [impression_from(each) for each in impressions]
            outcomes.update(store.write(*rows, again=again)._asdict())


def _write(
    events: Sequence[Event], impressions: Sequence[Impression], *, again: bool = False
) -> store.Written | None:
    try:
        written = store.write(events, impressions, again=again)
    except Error as problem:
        logger.warning("%d rows could not be written: %s", len(events) + len(impressions), problem)
        _defer(events, impressions, again=again or getattr(problem, "in_doubt", False))
        return None
    if not again:
        outcomes.update(written._asdict())
    risked = recent.at_risk()
    recent.remember([*impressions, *events])  # what was written again is as much at risk as what is new
    _write_again(risked)
    return written


def withdraw(session_id: UUID) -> None:
    """Erase the session now, or have it erased once the database is back."""
    try:
        store.forget([session_id])
    except Error as problem:
        logger.warning("session %s could not be erased: %s", session_id, problem)
        if not _later(ERASE_TASK, session_id=str(session_id)):
            held.keep_erasure(session_id)


def _defer(events: Sequence[Event], impressions: Sequence[Impression], *, again: bool) -> None:
    rows = len(events) + len(impressions)
    deferred = _later(
        WRITE_TASK,
        events=[to_payload(each) for each in events],
        impressions=[to_payload(each) for each in impressions],
        again=again,
    )
    if deferred:
        outcomes["deferred"] += rows
    elif held.keep([*impressions, *events]):
        outcomes["held"] += rows
    else:
        outcomes["lost"] += rows
        logger.error("%d rows are lost: database and broker are down for long", rows)


def _later(task: str, **kwargs: Any) -> bool:
    """Hand the work to a task that retries; whether the broker took it."""
    if broker.resting:
        return False
    try:
        import_string(task).apply_async(kwargs=kwargs, retry_policy=ONCE_MORE)
    except Exception:  # the broker's client may raise anything
        broker.rest()
        logger.exception("the broker did not take %s", task)
        return False
    return True
