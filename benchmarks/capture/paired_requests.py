"""A page asked with the app and without it in turn, in this process, so that both meet the same machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from statistics import median
from typing import Any

import django
import numpy as np
from django.conf import settings

from benchmarks import one_page_shop
from benchmarks.patience import be_patient
from example_shop.stack.environment import django_database
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

WARM_UP = 200
HEADERS = {
    "HTTP_HOST": "shop.example.com",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_ACCEPT": "text/html",
}
Ask = Callable[[], float]  # the seconds that the answer took


@contextmanager
def shop() -> Iterator[None]:
    """A shop with ten products on a Postgres of its own."""
    postgres = Postgres(scratch_folder(), durable=True)
    postgres.start()
    try:
        settings.configure(**one_page_shop.settings(django_database(postgres.url)))
        django.setup()
        be_patient()
        from django.contrib.auth.models import Group
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        Group.objects.bulk_create(Group(name=f"product number {n} of ten") for n in range(10))
        yield
    finally:
        postgres.stop()
        shutil.rmtree(scratch_folder(), ignore_errors=True)


def make_handler(kind: str, *, capture: bool = False) -> Any:
    """A handler keeps the middleware that the settings named when it was made."""
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    middleware = [*one_page_shop.MIDDLEWARE, *([one_page_shop.CAPTURE] if capture else [])]
    with override_settings(MIDDLEWARE=middleware):
        return WSGIHandler() if kind == "wsgi" else ASGIHandler()


def begin_visit(handler: Any) -> str:
    """Look at a product with consent; return the cookies that the visitor then has."""
    headers: dict[str, str] = {}
    handler(environ_of("/product/1/", "consent=yes"), lambda _, found: headers.update(found)).close()
    return f"consent=yes; {headers['Set-Cookie'].split(';')[0]}"


def environ_of(address: str, cookie: str) -> dict[str, Any]:
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


def wsgi(handler: Any, environ: dict[str, Any], body: bytes = b"") -> Ask:
    def ask() -> float:
        own = environ | {"wsgi.input": BytesIO(body)}
        start = time.perf_counter()
        response = handler(own, lambda *_: None)
        b"".join(response)
        response.close()
        return time.perf_counter() - start

    return ask


async def asgi(handler: Any, environ: dict[str, Any]) -> float:
    from django.core.handlers.wsgi import WSGIRequest

    request = WSGIRequest(environ)
    start = time.perf_counter()
    response = await handler.get_response_async(request)
    elapsed = time.perf_counter() - start
    response.close()
    return elapsed


def in_turn(bare: Ask, with_app: Ask, requests: int) -> tuple[list[float], list[float]]:
    without, with_ = [], []
    for n in range(requests + WARM_UP):
        pair = ((bare, without), (with_app, with_))
        for ask, times in pair if n % 2 else pair[::-1]:  # neither always comes first
            times.append(ask())
    return without[WARM_UP:], with_[WARM_UP:]


def added(name: str, without: list[float], with_app: list[float]) -> dict[str, float]:
    """The time added at the median, over pairs, and at the 99th percentile; and the bare page's own."""
    pairs = [1e6 * (ours - theirs) for ours, theirs in zip(with_app, without, strict=True)]
    p99 = 1e6 * (np.percentile(with_app, 99) - np.percentile(without, 99))
    return {
        f"{name}_us_p50": round(median(pairs), 1),
        f"{name}_us_p99": round(float(p99), 1),
        f"{name}_bare_page_us_p50": round(1e6 * median(without), 1),
    }
