"""A disk that is full: a real one, under a real Postgres. Pages go on, and no row is lost."""

import shutil
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from django_sessrec import tasks
from django_sessrec.capture import fast_query
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.stream_consumer import Consumer
from example_shop.stack.environment import django_database
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres
from tests.support.capture import captured, carry_out, celery_on, in_the_ledger, reconnected
from tests.support.disks import fill, small_disk

DISK = 160_000  # kilobytes: an empty database, its log, and the little that a test stores
MOST_PAGES = 300  # a page of the table takes some sixty rows before it needs room
AFTERWARDS = 5  # pages that find the disk full


@pytest.fixture(scope="module")
def small_server():
    """A Postgres on a disk of its own."""
    folder = scratch_folder() / "disk"
    with small_disk(folder, DISK):
        postgres = Postgres(folder, durable=False)
        postgres.start()
        yield postgres
        postgres.stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(shop, small_server):
    """The same as the events database, without a row."""
    with reconnected(**django_database(small_server.url)):
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE sessrec_event, sessrec_ledger, sessrec_receipt")
        yield small_server


class Visitor:
    """Looks at one product after the other."""

    def __init__(self, client):
        self.client = client
        self.seen = 0

    def looks(self):
        self.seen += 1
        answer = self.client.get(f"/product/{self.seen}/")
        assert (answer.status_code, answer.content) == (200, f"product {self.seen}".encode())

    def looks_until(self, happened):
        """And some pages more."""
        while not happened():
            assert self.seen < MOST_PAGES
            self.looks()
        for _ in range(AFTERWARDS):
            self.looks()


@contextmanager
def full(server):
    filler = fill(server.folder)
    yield
    filler.unlink()
    fast_query.database_breaker.resume()  # its pause is over


def assert_all_are_stored(seen):
    assert sorted(int(item) for _, item in captured()) == list(range(1, seen + 1))
    assert in_the_ledger() == {"stored": seen}


def test_the_queue_has_what_the_disk_did_not_take(visitor, server, queue):
    visitor = Visitor(visitor)
    visitor.looks()
    with full(server):
        visitor.looks_until(lambda: outbox.counts["deferred"])
        message = queue.get(timeout=300)
        fast_query.database_breaker.resume()
        with pytest.raises(OperationalError, match="No space left on device"):
            tasks.write_later(**message.payload[1])
    visitor.looks()
    carry_out(message)
    for _ in range(outbox.counts["deferred"] - 1):
        carry_out(queue.get(timeout=300))
    assert_all_are_stored(visitor.seen)


def test_without_a_broker_the_process_holds_it(visitor, server, tmp_path):
    visitor = Visitor(visitor)
    visitor.looks()
    with celery_on(f"redis+socket://{tmp_path}/nobody.sock"):
        with full(server):
            visitor.looks_until(lambda: outbox.counts["held"])
        visitor.looks()
    assert outbox.counts["lost"] == 0
    assert_all_are_stored(visitor.seen)


def test_the_stream_keeps_it(visitor, server, stream_server):
    visitor, consumer = Visitor(visitor), Consumer()
    visitor.looks()
    refused = []

    def stored():
        try:
            consumer.step(wait_ms=1)
        except OperationalError as problem:
            refused.append(problem)
        return refused

    with full(server):
        visitor.looks_until(stored)
        assert "No space left on device" in str(refused[0])
    for _ in range(2):
        Consumer().step(wait_ms=1)
    assert_all_are_stored(visitor.seen)
