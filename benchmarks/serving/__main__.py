"""What recommending costs a page: `python -m benchmarks.serving --out build/serving.json`.

A product page without and with the tag, and the REST view, through granian on loopback, with an embedded
Postgres and neighbours promoted on a synthetic catalogue. Contextual visitors leave nothing; those of a
session also have their event and impression written. The pages take turns in rounds, so that all meet the
same machine. The JSON:

    plain_*, tagged_*, rest_*   requests_per_s, p50_ms, p90_ms, p99_ms of contextual and of session visitors;
                                processor time of a request by the web workers and by Postgres, worker_us and
                                postgres_us, which can be compared on a machine that others use as well
    by_hand_*, floor_*          the same of eight products of the category by the shop's own query and loop,
                                and of the page without the tag and three trivial queries
    bare_page                   the same of the page without the app
    tagged_over_by_hand_*       requests/s of the page with the tag over those of the one by hand
    model_us, fill_*_us         p50, p90, p99 of 32 items ranked and eight of them explained, and of one slot
                                filled for the last click of a visit, in process; p1 is what a machine that
                                others use shows of a quiet one
    stages_us                   p50 of each step of a slot of a session (in_process.py)
    worker_*_mb                 a web worker's PSS and private memory after the load, with and without the app
    items, sessions, requests, connections, workers     what was measured
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import django

from benchmarks.patience import be_patient
from benchmarks.serving.in_process import in_process
from benchmarks.serving.visitors import Load, visit
from django_sessrec.recsys import artifact
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

ROUNDS = 5
REST = "/sessrec/recommendations/?placement=product_page&item_id={}&limit=8"
PAGES = {"plain": "/plain/{}/", "by_hand": "/by_hand/{}/", "floor": "/floor/{}/", "tagged": "/tagged/{}/"}
PAGES["rest"] = REST
SETTINGS = "benchmarks.serving.settings"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int, default=43_000)
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=4_000, help="of each page and kind of visitor")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with shop(options.items, options.sessions) as visits:
        measured = {name: value for name, value in vars(options).items() if name != "out"}
        figures = measured | in_process(visits) | through_the_server(visits, options)
    report(figures)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


@contextmanager
def shop(items: int, sessions: int, *, intents: bool = False) -> Iterator[list[list[str]]]:
    """A database with the items, and neighbours promoted; yields later visits for the load.

    intents: whether the model comes with likenesses of its items, as those of training runs do
    """
    folder = Path(tempfile.mkdtemp(prefix="sessrec-bench-"))
    postgres = Postgres(scratch_folder(), durable=True)
    postgres.start()
    try:
        os.environ |= {
            "DATABASE_URL": postgres.url,
            "SESSREC_ARTIFACTS": str(folder),
            "DJANGO_SETTINGS_MODULE": SETTINGS,
        }
        django.setup()
        be_patient()
        past, coming = log_of(items, sessions).split_last(0.02)
        stock(items)
        promote(Neighbours().fit(past), folder, intents=Intents.of(past) if intents else None)
        yield [coming.index.item_ids(coming[n]) for n in range(len(coming))]
    finally:
        postgres.stop()
        shutil.rmtree(scratch_folder(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def log_of(items: int, sessions: int) -> SessionLog:
    """Synthetic sessions whose item ids are the primary keys 1 to `items`."""
    log = synthetic_shop(items=items, groups=items // 100, sessions=sessions).log
    return SessionLog(ItemIndex([str(row) for row in range(1, items + 1)]), log.items, log.offsets, log.times)


def stock(items: int) -> None:
    from django.contrib.auth.models import Group
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    products = (Group(pk=pk, name=f"product {pk}") for pk in range(1, items + 1))
    while batch := list(islice(products, 5_000)):
        Group.objects.bulk_create(batch)


def promote(recommender: Any, folder: Path, *, intents: Intents | None = None) -> None:
    from django_sessrec.models import Promotion, TrainingRun

    run = TrainingRun.objects.create(
        model="neighbours", trigger="benchmark", state="published", artifact="neighbours"
    )
    artifact.save(recommender, folder / run.artifact, card={}, intents=intents)
    Promotion.objects.create(model="neighbours", run=run, promoted_by="benchmark")


def through_the_server(visits: Sequence[Sequence[str]], options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    loads: dict[str, list[Load]] = {}
    seconds: dict[str, Counter[str]] = {}
    a_round = {"requests": options.requests // ROUNDS, "connections": options.connections}

    def a_load(name: str, address: str, served: tuple[int, int], *, consent: bool) -> None:
        port, pid = served
        before = _processor_seconds(pid)
        loads.setdefault(name, []).append(visit(port, address, visits, consent=consent, **a_round))
        spent = seconds.setdefault(name, Counter())
        for process, (whose, so_far) in _processor_seconds(pid).items():
            spent[whose] += so_far - before.get(process, (whose, 0.0))[1]

    with server(options.workers) as app, server(options.workers, WITHOUT_SESSREC="1") as bare:
        for _ in range(ROUNDS):
            a_load("bare_page", PAGES["plain"], bare, consent=False)
            for page, address in PAGES.items():
                for kind in ("contextual", "session"):
                    a_load(f"{page}_{kind}", address, app, consent=kind == "session")
        for name, (_, pid) in {"with_app": app, "without_app": bare}.items():
            figures |= memory(name, pid)
    pages = {}
    for name, some in loads.items():
        load = together(some)
        per_request = {f"{of}_us": 1e6 * spent / len(load.answers) for of, spent in seconds[name].items()}
        pages[name] = load.figures() | per_request
    for kind in ("contextual", "session"):
        rate = pages[f"tagged_{kind}"]["requests_per_s"] / pages[f"by_hand_{kind}"]["requests_per_s"]
        figures[f"tagged_over_by_hand_{kind}"] = rate
    return pages | figures


def _processor_seconds(server: int) -> dict[str, tuple[str, float]]:
    """By id of each process of the web server's workers and of Postgres: whose it is, and what it has taken
    of the processors so far. Nothing but on Linux."""
    from django.db import connection

    connection.ensure_connection()
    backend = Path(f"/proc/{connection.connection.info.backend_pid}/stat")
    if not backend.exists():
        return {}
    postgres = int(backend.read_text().rpartition(")")[2].split()[1])  # its parent
    return {
        process: (name, _seconds_of(process))
        for name, parent in {"worker": server, "postgres": postgres}.items()
        for process in _children(parent)
    }


def _children(parent: int) -> list[str]:
    return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()


def _seconds_of(process: str) -> float:
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def together(loads: Sequence[Load]) -> Load:
    return Load([answer for load in loads for answer in load.answers], sum(load.elapsed for load in loads))


GRANIAN = (
    "granian", "--interface", "wsgi", "--no-log", "--port", "{port}", "--workers", "{workers}",
    "--blocking-threads", "1", "--factory", "django.core.wsgi:get_wsgi_application",
)  # fmt: skip


@contextmanager
def server(
    workers: int, command: Sequence[str] = GRANIAN, page: str = PAGES["plain"], **environment: str
) -> Iterator[tuple[int, int]]:
    """A web server with so many worker processes; yields its port and process id once the page answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [each.format(port=port, workers=workers) for each in command]
    process = subprocess.Popen([sys.executable, "-m", *words], env=os.environ | environment)
    try:
        wait_for(port, process, page)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(300)


def wait_for(port: int, process: subprocess.Popen[bytes], page: str, seconds: float = 300) -> None:
    """Until the page answers; a server that stopped says why on its own standard error."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            visit(port, page, [["1"]], consent=False, requests=1, connections=1)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not answer on port {port} within {seconds} s")


def memory(name: str, parent: int) -> dict[str, float]:
    """Megabytes of a worker, the mean of all; PSS is private memory and its share of what is shared."""
    if not Path(f"/proc/{parent}/smaps_rollup").exists():
        return {}
    totals = {"Pss": 0.0, "Private_Clean": 0.0, "Private_Dirty": 0.0}
    workers = _children(parent)
    for worker in workers:
        for line in Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()[1:]:
            field, kilobytes = line.split()[:2]
            if field.rstrip(":") in totals:
                totals[field.rstrip(":")] += int(kilobytes) / 1024 / len(workers)
    private = totals["Private_Clean"] + totals["Private_Dirty"]
    return {f"worker_pss_{name}_mb": totals["Pss"], f"worker_private_{name}_mb": private}


def report(figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        values = value.items() if isinstance(value, dict) else [("", value)]
        print(f"{name:30}", *(f"{key} {number:>9,.2f}" for key, number in values))


if __name__ == "__main__":
    main()
