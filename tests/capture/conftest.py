"""A visitor in the small shop."""

import shutil

import pytest
from django.test import Client

from django_sessrec.capture import stream
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres
from tests.support.capture import celery_on, settle
from tests.support.visits import FIREFOX


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


@pytest.fixture
def no_broker(tmp_path):
    """A broker that is down."""
    with celery_on(f"redis+socket://{tmp_path}/nobody.sock"):
        yield
