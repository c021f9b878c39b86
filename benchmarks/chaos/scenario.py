"""The shop under load, whose programs are killed one after the other and start again by themselves."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from itertools import count
from threading import Event

import django

from benchmarks.chaos.sent import CountedBrowser, Sent
from benchmarks.chaos.tally import Tally, tally
from example_shop.stack.console import say
from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.postgres import Postgres
from example_shop.stack.processes import working_in
from example_shop.stack.program import Program
from example_shop.stack.running import RunningShop, running_shop

VISITORS = 8  # at once
THINK_SECONDS = 0.3
DRAIN_SECONDS = 60
PREPARE = (
    "migrate --database events --verbosity 0",
    "fill_shop",
    "simulate_history --days 1 --sessions-per-day 1000",
    "sessrec_train neighbours",
)
PROGRAMS = ("web", "capture", "beat")
PLENTY = "UPDATE shop_product SET stock = 1000000"  # so that whatever is put into a basket gets there


@dataclass(frozen=True)
class Kill:
    """Which program dies, so many paces after the one before."""

    program: str
    paces: float = 1.0


ONE_EACH = (Kill("web"), Kill("capture"), Kill("valkey"), Kill("postgres"))
# The broker dies between two deaths of Postgres, so a web process then holds a connection to a broker that
# is gone; the worker dies while it holds what Postgres could not take.
IN_TURN = (
    *(Kill("web"), Kill("capture"), Kill("postgres"), Kill("valkey")),
    *(Kill("postgres"), Kill("capture", 0.1), Kill("web")),
)


def rehearse(backend: dict[str, str], kills: Sequence[Kill], pace: float) -> Tally:
    """Open the shop on this backend, kill its programs under load, and count once all has settled."""
    scratch_folder().mkdir(exist_ok=True)
    events = Postgres(own_folder(scratch_folder() / "events"))
    environment = {"EVENTS_URL": events.url, **backend}
    with running_shop(
        "benchmarks.chaos.settings", PROGRAMS, PREPARE, servers=[events], **environment
    ) as shop:
        shop.rows(PLENTY)
        sent = Sent()
        with _visitors_in(shop, sent):
            shop.supervisor.watch(_after(pace))
            for each in kills:
                shop.supervisor.watch(_after(pace * each.paces))
                say(f"Killed: {each.program}")
                _kill(events if each.program == "postgres" else _program(shop, each.program))
            shop.supervisor.watch(_after(pace))
        shop.supervisor.watch(_settled(sent, events.url))
        return tally(sent, events.url)


@contextmanager
def _visitors_in(shop: RunningShop, sent: Sent) -> Iterator[None]:
    """The simulator's visitors, one visit after the other, until the shop closes."""
    os.environ |= shop.environment
    django.setup()
    from django.db import connections

    from example_shop.shop.models import Product
    from example_shop.shop.population import visitors_of
    from example_shop.shop.traffic import Traffic

    products = list(Product.objects.all())
    connections.close_all()
    closing = Event()

    def seen(_what: str) -> None:
        if closing.is_set():
            raise ClosingError

    pages = [product.get_absolute_url() for product in products]
    enter = partial(CountedBrowser, sent)
    traffic = Traffic(shop.url, visitors_of(products), pages, THINK_SECONDS, seen, enter)
    seeds = count(1)

    def come_and_go() -> None:
        while not closing.is_set():
            with suppress(ClosingError):
                try:
                    traffic.visit(next(seeds))
                except (OSError, HTTPException):
                    closing.wait(0.2)  # the web server is down

    with ThreadPoolExecutor(VISITORS) as pool:
        inside = [pool.submit(come_and_go) for _ in range(VISITORS)]
        try:
            yield
        finally:
            closing.set()
    for each in inside:
        each.result()


class ClosingError(Exception):
    """The shop closes: the visitor leaves."""


def _program(shop: RunningShop, name: str) -> Program:
    return shop.valkey if name == "valkey" else shop.programs[name]


def _kill(program: Program) -> None:
    """kill -9 for the program and all that it started."""
    backends = working_in(program.data) if isinstance(program, Postgres) else []
    for pid in backends:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.kill()


def _after(seconds: float):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _settled(sent: Sent, database: str):
    """Whether nothing is missing any more, or will not come."""
    given_up = _after(DRAIN_SECONDS)
    next_look = _after(0)

    def settled() -> bool:
        nonlocal next_look
        if not next_look():
            return False
        next_look = _after(1)
        return given_up() or tally(sent, database).lost == 0

    return settled
