"""What capture costs: `python -m benchmarks.capture --out build/capture.json`.

One process, the whole middleware stack through Django's own handlers, an embedded Postgres that syncs to
disk. Every page is asked with the app and without it in turn, so that both meet the same machine; a figure
named *_us is the time that the app adds, in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import django
import numpy as np
from django.conf import settings

from benchmarks import one_page_shop
from example_shop.stack.environment import django_database
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres
from example_shop.stack.valkey import Valkey

WARM_UP = 200
HEADERS = {
    "HTTP_HOST": "shop.example.com",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_ACCEPT": "text/html",
}
Ask = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--requests", type=int, default=4_000, help="of each page, with and without the app")
    parser.add_argument("--rows", type=int, default=100_000, help="written and copied")
    arguments = parser.parse_args()
    with shop():
        figures = {
            **pages(arguments.requests),
            **async_pages(arguments.requests // 2),
            **rows(arguments.rows),
            **streamed(arguments.requests, arguments.rows // 2),
        }
    for name, value in figures.items():
        print(f"{name:28} {value:>12,.1f}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


@contextmanager
def shop() -> Iterator[None]:
    """A shop with ten products on a Postgres of its own."""
    postgres = Postgres(scratch_folder(), durable=True)
    postgres.start()
    try:
        settings.configure(**one_page_shop.settings(django_database(postgres.url)))
        django.setup()
        from django.contrib.auth.models import Group
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        Group.objects.bulk_create(Group(name=f"product number {n} of ten") for n in range(10))
        yield
    finally:
        postgres.stop()
        shutil.rmtree(scratch_folder(), ignore_errors=True)


def pages(requests: int) -> dict[str, float]:
    """A tracked and an untracked page through the WSGI handler, until the response is closed."""
    bare, with_app = _handler("wsgi"), _handler("wsgi", capture=True)
    cookie = _visit(with_app)
    figures = {}
    for name, address in (("tracked", "/product/3/"), ("untracked", "/about/3/")):
        environ = _environ(address, cookie)
        figures |= _added(name, *_in_turn(_wsgi(bare, environ), _wsgi(with_app, environ), requests))
    return figures


def async_pages(requests: int) -> dict[str, float]:
    """The same pages as async views through the ASGI handler's own chain."""
    bare, with_app = _handler("asgi"), _handler("asgi", capture=True)
    cookie = _visit(_handler("wsgi", capture=True))

    async def measure() -> dict[str, float]:
        figures = {}
        for name, address in (("async_tracked", "/async/3/"), ("async_untracked", "/async-about/3/")):
            without, with_ = [], []
            for n in range(requests + WARM_UP):
                pair = ((bare, without), (with_app, with_))
                for handler, times in pair if n % 2 else pair[::-1]:
                    times.append(await _asgi(handler, _environ(address, cookie)))
            figures |= _added(name, without[WARM_UP:], with_[WARM_UP:])
        return figures

    return asyncio.run(measure())


def rows(count: int) -> dict[str, float]:
    """Rows a second that one process stores: one at a time, in batches, and by COPY."""
    from django_sessrec.capture import store
    from django_sessrec.capture.events import make
    from django_sessrec.capture.ids import uuid7

    def events(n: int) -> list[Any]:
        session_id = uuid7()
        return [make("view_item", str(each % 1_000), session_id=session_id) for each in range(n)]

    def rate(batches: list[list[Any]], store_batch: Callable[[list[Any]], Any]) -> float:
        start = time.perf_counter()
        for batch in batches:
            store_batch(batch)
        return sum(map(len, batches)) / (time.perf_counter() - start)

    def row(n: int) -> tuple[Any, ...]:
        at = datetime.now(UTC) - timedelta(seconds=n % 80_000)
        return (uuid7(at), at, session_id, "view_item", "42", None, None, 1, None, "", "import", False)

    session_id = uuid7()
    return {
        "rows_per_s_single": rate([events(1) for _ in range(count // 50)], store.write),
        "rows_per_s_batches_of_100": rate([events(100) for _ in range(count // 400)], store.write),
        "rows_per_s_copy": rate([[row(n) for n in range(count)]], store.copy_events),
    }


def streamed(requests: int, count: int) -> dict[str, float]:
    """The second backend: what a page pays for handing its rows over, and how fast they reach Postgres."""
    from django.test import override_settings

    from django_sessrec.capture import delivery, stream
    from django_sessrec.capture.consumer import Consumer
    from django_sessrec.capture.events import make
    from django_sessrec.capture.ids import uuid7
    from django_sessrec.models import Event

    valkey = Valkey(scratch_folder())
    valkey.start()
    url = {"STREAM_URL": f"unix://{valkey.socket}", "STREAM_MAX_LENGTH": 10 * count}
    try:
        with override_settings(SESSREC={**settings.SESSREC, **url}):
            bare, with_app = _handler("wsgi"), _handler("wsgi", capture=True)
            environ = _environ("/product/3/", _visit(with_app))
            figures = _added("streamed", *_in_turn(_wsgi(bare, environ), _wsgi(with_app, environ), requests))
            for n in range(count):
                delivery.deliver([make("view_item", str(n % 1_000), session_id=uuid7())])
            consumer, before = Consumer(), Event.objects.count()
            start = time.perf_counter()
            rows = sum(iter(lambda: consumer.step(wait_ms=1), 0))
            elapsed = time.perf_counter() - start
            assert stream.backlog().messages == 0
            assert Event.objects.count() - before == rows
            return figures | {"rows_per_s_from_stream": round(rows / elapsed)}
    finally:
        valkey.stop()


def _handler(kind: str, *, capture: bool = False) -> Any:
    """A handler keeps the middleware that the settings named when it was made."""
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    middleware = [*one_page_shop.MIDDLEWARE, *([one_page_shop.CAPTURE] if capture else [])]
    with override_settings(MIDDLEWARE=middleware):
        return WSGIHandler() if kind == "wsgi" else ASGIHandler()


def _visit(handler: Any) -> str:
    """Look at a product with consent; return the cookies that the visitor then has."""
    headers: dict[str, str] = {}
    handler(_environ("/product/1/", "consent=yes"), lambda _, found: headers.update(found)).close()
    return f"consent=yes; {headers['Set-Cookie'].split(';')[0]}"


def _environ(address: str, cookie: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": address,
        "SERVER_NAME": "shop.example.com",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "HTTP_COOKIE": cookie,
        **HEADERS,
    }


def _wsgi(handler: Any, environ: dict[str, Any]) -> Ask:
    def ask() -> float:
        own = environ | {"wsgi.input": BytesIO()}
        start = time.perf_counter()
        response = handler(own, lambda *_: None)
        b"".join(response)
        response.close()
        return time.perf_counter() - start

    return ask


async def _asgi(handler: Any, environ: dict[str, Any]) -> float:
    from django.core.handlers.wsgi import WSGIRequest

    request = WSGIRequest(environ)
    start = time.perf_counter()
    response = await handler.get_response_async(request)
    elapsed = time.perf_counter() - start
    response.close()
    return elapsed


def _in_turn(bare: Ask, with_app: Ask, requests: int) -> tuple[list[float], list[float]]:
    without, with_ = [], []
    for n in range(requests + WARM_UP):
        pair = ((bare, without), (with_app, with_))
        for ask, times in pair if n % 2 else pair[::-1]:  # neither always comes first
            times.append(ask())
    return without[WARM_UP:], with_[WARM_UP:]


def _added(name: str, without: list[float], with_app: list[float]) -> dict[str, float]:
    """The time added at the median, over pairs, and at the 99th percentile; and the bare page's own."""
    pairs = [1e6 * (ours - theirs) for ours, theirs in zip(with_app, without, strict=True)]
    p99 = 1e6 * (np.percentile(with_app, 99) - np.percentile(without, 99))
    return {
        f"{name}_us_p50": round(median(pairs), 1),
        f"{name}_us_p99": round(float(p99), 1),
        f"{name}_bare_page_us_p50": round(1e6 * median(without), 1),
    }


if __name__ == "__main__":
    main()
