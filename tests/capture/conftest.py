"""A visitor in the small shop."""

import shutil
from contextlib import contextmanager

import pytest
from celery import Celery, current_app
from django.db.models import Sum
from django.test import Client

from django_sessrec import tasks
from django_sessrec.capture import stream
from django_sessrec.capture.stream_consumer import Consumer
from django_sessrec.models import Event, Ledger
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

COUNTED = ("stored", "duplicate", "failed", "refused", "withdrawn", "replayed")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def shop(settings, transactional_db):
    """The shop's settings, to be changed by a test."""
    settings.ROOT_URLCONF = "tests.capture.urls"
    settings.SESSREC = {
        "CATALOGUE": "tests.capture.shop.SmallCatalogue",
        "CONSENT": "tests.capture.shop.from_cookie",
        "TRACKED_VIEWS": dict.fromkeys(("product", "async_product", "gone", "broken", "account"), "pk"),
    }
    return settings


@pytest.fixture
def stranger(shop):
    """A visitor in a browser who has not answered the banner."""
    return Client(headers={"user-agent": FIREFOX})


@pytest.fixture
def visitor(stranger):
    """A visitor who allows a session."""
    stranger.cookies["consent"] = "session"
    return stranger


@contextmanager
def celery_on(broker_url):
    """The shop's Celery app on this broker."""
    before = current_app._get_current_object()
    with Celery("shop", broker=broker_url) as app:
        app.set_current()
        yield app
    before.set_current()


@pytest.fixture
def queue(broker_url):
    """The queue of a broker that works, empty before and after."""
    with (
        celery_on(broker_url) as app,
        app.connection_for_read() as broker,
        broker.SimpleQueue("celery") as waiting,
    ):
        waiting.clear()
        yield waiting
        waiting.clear()


def carry_out(message):
    """Do what a worker does with a message of the queue."""
    tasks.write_later.apply(kwargs=message.payload[1], task_id=message.headers["id"], throw=True)


@pytest.fixture
def own_postgres(shop):
    """A server of its own, which a test may stop."""
    postgres = Postgres(scratch_folder() / "capture", durable=False)
    postgres.start()
    yield postgres
    postgres.stop()
    shutil.rmtree(scratch_folder() / "capture", ignore_errors=True)


@pytest.fixture(params=["direct", "stream"])
def backend(request, settings, transactional_db):
    """The store as a shop may run it; brings into Postgres what waits before it."""
    if request.param == "direct":
        return lambda: 0
    request.getfixturevalue("stream_server")
    return settle


@pytest.fixture
def stream_server(settings, valkey, transactional_db):
    """An empty stream in use, and a client of its server."""
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": f"unix://{valkey.socket}?db=1"}
    server = stream.client()
    server.flushdb()
    return server


def settle():
    """Consume all that waits in the stream; return how many rows it was."""
    consumer = Consumer()
    return sum(iter(lambda: consumer.step(wait_ms=1), 0))


def in_the_ledger():
    """What the ledger counts, but for zeros."""
    counts = Ledger.objects.aggregate(**{name: Sum(name) for name in COUNTED})
    return {name: count for name, count in counts.items() if count}


def captured(*fields):
    """The events in the order they happened, as tuples."""
    return list(Event.objects.order_by("event_id").values_list(*(fields or ("name", "item_id"))))
