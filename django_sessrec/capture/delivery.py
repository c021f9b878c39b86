"""From a request into the store, else to a task that retries, else held for later: nothing here raises."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import DataError, Error, IntegrityError
from django.utils.module_loading import import_string

from django_sessrec import database
from django_sessrec.capture import store, stream
from django_sessrec.capture.breaker import Breaker
from django_sessrec.capture.event import event_from, impression_from, to_payload
from django_sessrec.capture.fast_query import database_breaker
from django_sessrec.capture.held import Held, Message, Refused
from django_sessrec.capture.recent import Recent, Rows
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Impression, Receipt

# By their paths: the tasks stand above this room.
WRITE_TASK = "django_sessrec.tasks.write_later"
ERASE_TASK = "django_sessrec.tasks.erase_later"
# At once, because the page waits: the connection may be one to a broker that was started anew since.
ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}

ROWS_AT_ONCE = 500  # 20 ms of a page's time, after an outage
MESSAGES_AT_ONCE = 50  # 30 ms

logger = logging.getLogger("django_sessrec")
broker = Breaker(5.0)  # Celery's
recent = Recent()
held: Held[Event | Impression] = Held()  # what neither database nor broker took
entrusted: Held[Message] = Held()  # what the broker took: Redis forgets a message while a worker fetches it
refusals: Held[Refused] = Held()
erasures: dict[UUID, bool] = {}  # visits to erase once the database is back: does a task know as well?
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
    """What this process kept is written now that a server answers."""
    if erasures and not database_breaker.resting:
        _erase()
    _write_again(held.take(ROWS_AT_ONCE))
    _write_entrusted(entrusted.take(MESSAGES_AT_ONCE))
    if not database_breaker.resting:
        refuse(refusals.take(ROWS_AT_ONCE))


def _write_entrusted(messages: Sequence[Message]) -> None:
    """Once, by this process or by the task; what Postgres refuses is left to the task."""
    for done, message in enumerate(messages):
        try:
            store.write_once(message.receipt, message.rows, again=message.again)
        except (DataError, IntegrityError) as problem:
            logger.warning("%d rows are left to their task: %s", len(message.rows), problem)
        except Error:
            entrusted.keep(messages[done:])
            return
        else:
            _remember(message.rows)


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
    with database.atomic():
        _, first = Receipt.objects.get_or_create(name=receipt)
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
    _remember([*impressions, *events])  # what was written again is as much at risk as what is new
    return written


def _remember(rows: Rows) -> None:
    risked = recent.at_risk()
    recent.remember(rows)
    _write_again(risked)


def refuse(refused: Sequence[Refused]) -> None:
    """Keep wrong input as failed events, now or once the database is back."""
    if not refused:
        return
    try:
        store.keep_each(refused)
    except Error as problem:
        logger.warning("%d refused events could not be kept yet: %s", len(refused), problem)
        refusals.keep(refused)


def withdraw(session_id: UUID) -> None:
    """Erase the session now, or have it erased once the database is back."""
    for kept in (held, entrusted, refusals):
        kept.drop(session_id)
    erasures.setdefault(session_id, False)
    _erase()


def _erase() -> None:
    """All visits that wait for it: now, and by a task as well where the database is away."""
    waiting = [*erasures]
    try:
        store.forget(waiting)
    except Error as problem:
        logger.warning("%d sessions could not be erased: %s", len(waiting), problem)
        for each in waiting:
            erasures[each] = erasures.get(each, False) or _later(ERASE_TASK, session_id=str(each))
        return
    for each in waiting:
        erasures.pop(each, None)


def _defer(events: Sequence[Event], impressions: Sequence[Impression], *, again: bool) -> None:
    message = Message(str(uuid7()), [*impressions, *events], again)
    rows = len(message.rows)
    deferred = _later(
        WRITE_TASK,
        task_id=message.receipt,
        events=[to_payload(each) for each in events],
        impressions=[to_payload(each) for each in impressions],
        again=again,
    )
    if deferred:
        entrusted.keep([message])
        outcomes["deferred"] += rows
    elif held.keep(message.rows):
        outcomes["held"] += rows
    else:
        outcomes["lost"] += rows
        logger.error("%d rows are lost: database and broker are down for long", rows)


def _later(task: str, task_id: str | None = None, **kwargs: Any) -> bool:
    """Hand the work to a task that retries; whether the broker took it."""
    if broker.resting:
        return False
    try:
        import_string(task).apply_async(kwargs=kwargs, task_id=task_id, retry_policy=ONCE_MORE)
    except Exception:  # the broker's client may raise anything
        broker.rest()
        logger.exception("the broker did not take %s", task)
        return False
    return True
