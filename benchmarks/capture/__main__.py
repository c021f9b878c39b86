"""What capture costs: `python -m benchmarks.capture --out build/capture.json`.

One process, the whole middleware stack through Django's own handlers, an embedded Postgres that syncs to
disk. Every page is asked with the app and without it in turn, so that both meet the same machine; a figure
named *_us is the time that the app adds, in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from benchmarks.capture.growth import growth
from benchmarks.capture.paired_requests import (
    WARM_UP,
    added,
    asgi,
    begin_visit,
    environ_of,
    in_turn,
    make_handler,
    shop,
    wsgi,
)
from example_shop.stack.folders import scratch_folder
from example_shop.stack.valkey import Valkey

BATCH = 20  # events of a browser's request
VISITS_REQUESTS = 50  # so many each: below what a visit may send in a minute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--requests", type=int, default=4_000, help="of each page, with and without the app")
    parser.add_argument("--rows", type=int, default=100_000, help="written and copied")
    parser.add_argument("--rows-before", type=int, default=100_000, help="in the table, for the growth")
    arguments = parser.parse_args()
    with shop():
        figures = {
            **growth(arguments.rows_before, arguments.requests // 2),
            **pages(arguments.requests),
            **async_pages(arguments.requests // 2),
            **rows(arguments.rows),
            **browser_events(arguments.rows),
            **streamed(arguments.requests, arguments.rows // 2),
        }
    for name, value in figures.items():
        print(f"{name:30} {value:>12,.1f}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


def pages(requests: int) -> dict[str, float]:
    """A tracked and an untracked page through the WSGI handler, until the response is closed."""
    bare, with_app = make_handler("wsgi"), make_handler("wsgi", capture=True)
    cookie = begin_visit(with_app)
    figures = {}
    for name, address in (("tracked", "/product/3/"), ("untracked", "/about/3/")):
        environ = environ_of(address, cookie)
        figures |= added(name, *in_turn(wsgi(bare, environ), wsgi(with_app, environ), requests))
    return figures


def async_pages(requests: int) -> dict[str, float]:
    """The same pages as async views through the ASGI handler's own chain."""
    bare, with_app = make_handler("asgi"), make_handler("asgi", capture=True)
    cookie = begin_visit(make_handler("wsgi", capture=True))

    async def measure() -> dict[str, float]:
        figures = {}
        for name, address in (("async_tracked", "/async/3/"), ("async_untracked", "/async-about/3/")):
            without, with_ = [], []
            for n in range(requests + WARM_UP):
                pair = ((bare, without), (with_app, with_))
                for handler, times in pair if n % 2 else pair[::-1]:
                    times.append(await asgi(handler, environ_of(address, cookie)))
            figures |= added(name, without[WARM_UP:], with_[WARM_UP:])
        return figures

    return asyncio.run(measure())


def rows(count: int) -> dict[str, float]:
    """Rows a second that one process stores: one at a time, in batches, and by COPY."""
    from django_sessrec.capture import store
    from django_sessrec.capture.bulk_copy import copy_events
    from django_sessrec.capture.event import make
    from django_sessrec.capture.rows import EventRow
    from django_sessrec.ids import uuid7

    def events(n: int) -> list[Any]:
        session_id = uuid7()
        return [make("view_item", str(each % 1_000), session_id=session_id) for each in range(n)]

    def rate(batches: list[list[Any]], store_batch: Callable[[list[Any]], Any]) -> float:
        start = time.perf_counter()
        for batch in batches:
            store_batch(batch)
        return sum(map(len, batches)) / (time.perf_counter() - start)

    def row(n: int) -> EventRow:
        at = datetime.now(UTC) - timedelta(seconds=n % 80_000)
        return EventRow(uuid7(at), at, session_id, "view_item", "42")

    session_id = uuid7()
    return {
        "rows_per_s_single": rate([events(1) for _ in range(count // 50)], store.write),
        "rows_per_s_batches_of_100": rate([events(100) for _ in range(count // 400)], store.write),
        "rows_per_s_copy": rate([[row(n) for n in range(count)]], copy_events),
    }


def browser_events(count: int) -> dict[str, float]:
    """Events a second that POST events/ takes in batches, on one core together with its Postgres process."""
    from django.test import override_settings

    from django_sessrec.models import Event

    handler = make_handler("wsgi", capture=True)
    visitors = [
        {"HTTP_COOKIE": begin_visit(handler), "REMOTE_ADDR": f"10.0.{n >> 8}.{n & 255}"}
        for n in range(-(-count // (BATCH * VISITS_REQUESTS)))
    ]
    asks = [
        wsgi(handler, environ_of("/events/", "") | visitor | _posted(body), body)
        for visitor in visitors
        for body in (_batch() for _ in range(VISITS_REQUESTS))
    ]
    before = Event.objects.count()
    with override_settings(ROOT_URLCONF="django_sessrec.urls"), _one_core():
        seconds = sum(ask() for ask in asks)
    events = Event.objects.count() - before
    assert events == len(asks) * BATCH
    return {"rows_per_s_posted": round(events / seconds)}


def _batch() -> bytes:
    from django_sessrec.ids import uuid7

    events = [
        {"event_id": str(uuid7()), "event": "view_item", "items": [{"item_id": str(n)}]} for n in range(BATCH)
    ]
    return json.dumps({"events": events}).encode()


def _posted(body: bytes) -> dict[str, str]:
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_SEC_FETCH_SITE": "same-origin",
    }


@contextmanager
def _one_core() -> Iterator[None]:
    """This process and its Postgres process share a core, where the system lets them be told so."""
    from django.db import connection

    connection.ensure_connection()
    processes = (0, connection.connection.info.backend_pid) if hasattr(os, "sched_setaffinity") else ()
    before = [os.sched_getaffinity(process) for process in processes]
    try:
        for process in processes:
            os.sched_setaffinity(process, {max(before[0])})
        yield
    finally:
        for process, cores in zip(processes, before, strict=True):
            with suppress(ProcessLookupError):  # the app gives up a connection that answers too late
                os.sched_setaffinity(process, cores)


def streamed(requests: int, count: int) -> dict[str, float]:
    """The second backend: what a page pays for handing its rows over, and how fast they reach Postgres."""
    from django.test import override_settings

    from django_sessrec.capture import stream
    from django_sessrec.capture.event import make
    from django_sessrec.capture.outbox import outbox
    from django_sessrec.capture.stream_consumer import Consumer
    from django_sessrec.ids import uuid7
    from django_sessrec.models import Event

    valkey = Valkey(scratch_folder())
    valkey.start()
    url = {"STREAM_URL": f"unix://{valkey.socket}", "STREAM_MAX_LENGTH": 10 * count}
    try:
        with override_settings(SESSREC={**settings.SESSREC, **url}):
            bare, with_app = make_handler("wsgi"), make_handler("wsgi", capture=True)
            environ = environ_of("/product/3/", begin_visit(with_app))
            figures = added("streamed", *in_turn(wsgi(bare, environ), wsgi(with_app, environ), requests))
            for n in range(count):
                outbox.deliver([make("view_item", str(n % 1_000), session_id=uuid7())])
            consumer, before = Consumer(), Event.objects.count()
            start = time.perf_counter()
            rows = sum(iter(lambda: consumer.step(wait_ms=1), 0))
            elapsed = time.perf_counter() - start
            assert stream.backlog().messages == 0
            assert Event.objects.count() - before == rows
            return figures | {"rows_per_s_from_stream": round(rows / elapsed)}
    finally:
        valkey.stop()


if __name__ == "__main__":
    main()
