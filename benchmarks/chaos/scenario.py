"""The shop under load, whose programs are killed one after the other and start again by themselves."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPException
from itertools import count
from threading import Event

import django
from psycopg import OperationalError

from benchmarks.chaos.sent import CountedBrowser, Sent
from benchmarks.chaos.tally import Tally, tally
from example_shop.stack.console import say
from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.pgbouncer import BINARY, PgBouncer
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


# How pages reach the events: kept connections are the example shop's own way.
STREAM = "stream"
SET_UPS = (
    *("CONN_MAX_AGE 60", "CONN_MAX_AGE 0", "CONN_MAX_AGE None", "ATOMIC_REQUESTS", "pool"),
    *(("PgBouncer",) if BINARY else ()),
    STREAM,
)
Kills = Sequence[tuple[str, ...]]  # programs that die one right after the other, before anything is mended

ONE_EACH: Kills = [("web",), ("capture",), ("valkey",), ("postgres",)]
# The broker dies between two deaths of Postgres, so that a web process has a connection to one that is gone,
# and right after one, so that nobody takes a row; the worker while it holds what Postgres could not take.
IN_TURN: Kills = [
    *[("web",), ("capture",), ("postgres",), ("valkey",)],
    *[("postgres", "valkey"), ("postgres", "capture"), ("web",)],
]
THE_CONSUMER: Kills = [("consumer",), ("postgres", "consumer")]


def rehearse(kills: Kills, pace: float, set_up: str) -> Tally:
    """Open the shop in one of SET_UPS, kill its programs under load, and count once all has settled."""
    events = Postgres(own_folder(scratch_folder() / "events"))
    pooler = PgBouncer(events) if set_up == "PgBouncer" else None
    stream = set_up == STREAM
    running = running_shop(
        "benchmarks.chaos.settings",
        (*PROGRAMS, "consumer") if stream else PROGRAMS,
        PREPARE,
        servers=[events, *([pooler] if pooler else [])],
        stream=stream,
        EVENTS_URL=events.url,
        SET_UP=set_up,
        **({"POOLER_PORT": pooler.port} if pooler else {}),
    )
    with running as shop:
        shop.rows(PLENTY)
        sent = Sent()
        with _visitors_in(shop, sent):
            programs = {**shop.programs, "valkey": shop.valkey, "postgres": events}
            for names in kills:
                shop.supervisor.watch(_after(pace))
                dying = [programs[name] for name in names]
                with sent.fault(names):
                    for program in dying:
                        say(f"kill -9 {program.name}")
                        _kill(program)
                        shop.supervisor.watch(_after(0.5))
                    shop.supervisor.watch(partial(_back, dying))
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


def _kill(program: Program) -> None:
    """kill -9 for the program and all that it started."""
    backends = working_in(program.data) if isinstance(program, Postgres) else []
    for pid in backends:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.kill()


def _back(programs: Sequence[Program]) -> bool:
    return all(program.alive() and program.answers() for program in programs)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _settled(sent: Sent, database: str) -> Callable[[], bool]:
    """Whether nothing is missing any more, or will not come."""
    given_up = _after(DRAIN_SECONDS)
    next_look = _after(0)

    def settled() -> bool:
        nonlocal next_look
        if not next_look():
            return False
        next_look = _after(1)
        try:
            found = tally(sent, database)
            return found.lost == found.refused_lost == 0 or given_up()
        except OperationalError:  # Postgres is still getting over its last death
            return given_up()

    return settled
