"""Events as the app captures them: made, carried out, consumed, and counted."""

import json
from contextlib import contextmanager

from celery import Celery, _state, current_app
from django.db import connection
from django.db.models import Sum
from django.utils.module_loading import import_string

from django_sessrec.capture.event import make
from django_sessrec.capture.stream_consumer import Consumer
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Event, Impression, Ledger

COUNTED = ("stored", "duplicate", "failed", "refused", "withdrawn", "replayed")


@contextmanager
def celery_on(broker_url):
    """The shop's Celery app on this broker, in all threads."""
    before, default = current_app._get_current_object(), _state.default_app
    with Celery("shop", broker=broker_url) as app:
        app.set_current()
        app.set_default()
        yield app
    before.set_current()
    _state.set_default_app(default)


def tasks_in(queue):
    """Ids of the tasks that wait in the queue: a broker that answers late is told of one twice."""
    messages = queue.channel.client.lrange("celery", 0, -1)
    return {json.loads(message)["headers"]["id"] for message in messages}


def carry_out(message):
    """Do what a worker does with a message of the queue."""
    task = import_string(message.headers["task"])
    task.apply(kwargs=message.payload[1], task_id=message.headers["id"], throw=True)


def settle():
    """Consume all that waits in the stream; return how many rows it was."""
    consumer = Consumer()
    return sum(iter(lambda: consumer.step(wait_ms=1), 0))


def in_the_ledger():
    """What the ledger counts, but for zeros."""
    counts = Ledger.objects.aggregate(**{name: Sum(name) for name in COUNTED})
    return {name: count for name, count in counts.items() if count}


def count_pages_in_every_line():
    """Count nothing in each of the ledger's lines for pages; django.db.Error where one of them must wait."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            cursor.execute(
                f"INSERT INTO sessrec_ledger AS so_far (day, slot, {', '.join(COUNTED)})"
                " SELECT (now() AT TIME ZONE 'UTC')::date, slot, 0, 0, 0, 0, 0, 0"
                " FROM generate_series(0, 31) AS slot"
                " ON CONFLICT (day, slot) DO UPDATE SET stored = so_far.stored"
            )
    finally:
        other.close()


def captured(*fields):
    """The events in the order they happened, as tuples."""
    return list(Event.objects.order_by("event_id").values_list(*(fields or ("name", "item_id"))))


def event(item_id="1", *, name="view_item", session_id=None, **values):
    return make(name, item_id, session_id=session_id or uuid7(), **values)


def event_of(at):
    """A view of that moment, by its id too."""
    made = event()
    made.event_id, made.occurred_at = uuid7(at), at
    return made


def shown(session_id, *item_ids):
    impression_id = uuid7()
    return Impression(
        impression_id=impression_id,
        shown_at=time_of(impression_id),
        session_id=session_id,
        placement="product_page",
        step="model",
        item_ids=list(item_ids),
    )


@contextmanager
def reconnected(**changes):
    """The events database as these settings say."""
    connection.close()
    before = dict(connection.settings_dict)
    connection.settings_dict.update(changes)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.clear()
        connection.settings_dict.update(before)


@contextmanager
def renamed(kind, name):
    """A table or a schema under another name meanwhile, as where it was never made."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER {kind} {name} RENAME TO elsewhere")
        try:
            yield
        finally:
            cursor.execute(f"ALTER {kind} elsewhere RENAME TO {name}")


def nowhere():
    """Without the events' table, so that pages turn to the broker."""
    return renamed("TABLE", "sessrec_event")
