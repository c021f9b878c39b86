"""What grows with a shop: `python -m benchmarks.scale --out build/scale.json`.

Cost per event, per training run, per page and per query, by events of a month, products and web workers. One
of the three grows at a time: the events with the middle number of products, the products with the fewest
events, and the workers with each of these. Events are made by set-based SQL in an embedded Postgres that
syncs to disk. Each step has a process of its own, whose highest memory is its peak_mb. The JSON:

    shops      by events and items: fill_s and bytes_per_event; event_us and session_us (an event written, a
               session's clicks read); read_*, files_* (a training run's reading, from Postgres and by click
               files); neighbours_* (its fit, and queries to it); page_*, plain_* by web workers
    queries    by items: p50, p90, load_s, private_mb of neighbours and of networks of drawn weights

By default that takes six minutes on two quiet cores; --events 1000000 10000000 100000000 needs 50 GB of
disk and half an hour more.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.fitting import fit_in_subprocesses
from benchmarks.latency import query_latency
from benchmarks.scale.pages import pages
from benchmarks.scale.queries import QUESTIONS, K, queries
from benchmarks.scale.steps import event_costs, filled, read, read_from_files
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.neighbours import Neighbours
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

MODELS = ("neighbours", "gru4rec", "ranked")
TABLE = {
    "events": "events",
    "items": "products",
    "bytes_per_event": "bytes an event",
    "event_us": "event written, µs",
    "session_us": "session read, µs",
    "read_s": "read, s",
    "read_peak_mb": "read, MB",
    "files_again_s": "next read by files, s",
    "neighbours_fit_s": "fit, s",
    "neighbours_peak_mb": "fit, MB",
    "neighbours_query_us_p90": "query p90, µs",
}
PAGES = {
    "page_requests_per_s": "pages/s",
    "page_p90_ms": "p90, ms",
    "plain_requests_per_s": "without, pages/s",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--requests", type=int, default=1_000, help="for each page and number of workers")
    parser.add_argument(
        "--models", nargs="*", default=MODELS, help="asked by catalogue: " + ", ".join(MODELS)
    )
    options = parser.parse_args()
    results: dict[str, Any] = {"shops": [], "queries": {}}
    for items in options.items if options.models else ():
        results["queries"][str(items)] = step = apart(queries, items, max(items, 100_000), [*options.models])
        report(f"{items:,} products", step)
        save(options.out, results)
    middle = options.items[len(options.items) // 2]
    sizes = [(options.events[0], items) for items in options.items]
    sizes += [(events, middle) for events in options.events[1:]]
    for events, items in sizes:
        shop: dict[str, float] = {"events": events, "items": items}
        results["shops"].append(shop)
        for step in steps_of_shop(events, items, options.workers, options.requests):
            report(f"{events:,} events, {items:,} products", step)
            shop |= step
            save(options.out, results)
    print(*tables(results, options.workers), sep="\n\n")


def steps_of_shop(events: int, items: int, workers: list[int], requests: int) -> Iterator[dict[str, float]]:
    """The figures of each step, as soon as it is done."""
    with database() as url, tempfile.TemporaryDirectory() as temporary:
        yield apart(filled, url, items, events)
        yield apart(event_costs, url)
        figures, sessions = apart(read, url)
        yield figures
        yield apart(read_from_files, url)
        folder = Path(temporary) / "neighbours"
        figures = fit_in_subprocesses("neighbours", Neighbours(), sessions, folder)
        lately = sessions.slice(max(0, len(sessions) - 10 * QUESTIONS), len(sessions))
        figures |= query_latency(folder, Cases.from_log(lately).thinned(QUESTIONS), K)
        yield {f"neighbours_{name}": value for name, value in figures.items()}
        clicks = [lately.index.item_ids(lately[n]) for n in range(len(lately))]
        yield apart(pages, url, folder, items, workers, clicks, requests)


@contextmanager
def database() -> Iterator[str]:
    """The URL of an embedded Postgres that syncs to disk, for as long as this lasts."""
    postgres = Postgres(scratch_folder(), durable=True)
    postgres.start()
    try:
        yield postgres.url
    finally:
        postgres.stop()
        shutil.rmtree(scratch_folder(), ignore_errors=True)


def apart(step: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `step`, worked out in a fresh process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as fresh_process:
        return fresh_process.submit(step, *arguments).result()


def report(what: str, figures: dict[str, float]) -> None:
    numbers = (f"{name} {value:,.4g}" for name, value in figures.items())
    print(f"{time.strftime('%H:%M:%S')} {what}", *numbers, sep="\n    ", flush=True)


def tables(results: dict[str, Any], workers: list[int]) -> Iterator[str]:
    """The figures of all shops, and of the queries, as Markdown."""
    columns = dict(TABLE)
    for number in workers:
        columns |= {f"{name}_{number}_workers": f"{title} ({number})" for name, title in PAGES.items()}
    yield table(columns, results["shops"])
    asked = [{"items": int(items), **figures} for items, figures in results["queries"].items()]
    yield table({name: name for each in asked[:1] for name in each}, asked)


def table(columns: dict[str, str], rows: list[dict[str, float]]) -> str:
    lines = [[*columns.values()], ["---"] * len(columns)]
    lines += [[shown(row[name]) if name in row else "" for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def save(out: Path | None, results: dict[str, Any]) -> None:
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
