"""What grows with a shop's clicks: `python -m benchmarks.scale --out build/scale.json`.

A million items, and a million and ten million clicks of a month (benchmarks/scale/zipf.py), taken the whole
way: by COPY into an embedded Postgres, out of it as a session log, a fit, the artifact, and questions to it
by one thread of a fresh process. Each step has a process of its own, whose highest memory is its peak_mb.
The JSON:

    1000000, 10000000     the figures of each step, by number of clicks
    growth                ten million's figures as multiples of one million's
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.fitting import fit_in_subprocesses
from benchmarks.latency import query_latency
from benchmarks.scale.steps import read, read_from_files, stored
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.recommender import import_object
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

K = 20
QUESTIONS = 1_000
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "neighbours": ("django_sessrec.recsys.Neighbours", {}),
    "gru4rec": ("django_sessrec.neural.GRU4Rec", {"epochs": 1}),
}
"""Imported when its turn comes: torch is no part of what the other steps' processes take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--clicks", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--models", default=",".join(MODELS), help="of " + ", ".join(MODELS))
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for clicks in options.clicks:
        results[str(clicks)] = figures = {}
        for step in measure(options.items, clicks, options.models.split(",")):
            print(clicks, *(f"{name} {value:,.4g}" for name, value in step.items()), sep="\n    ", flush=True)
            figures |= step
            save(options.out, results)
    if len(options.clicks) > 1:
        least, most = results[str(options.clicks[0])], results[str(options.clicks[-1])]
        results["growth"] = {name: most[name] / least[name] for name in least if least[name]}
        save(options.out, results)


def measure(items: int, clicks: int, models: list[str]) -> Iterator[dict[str, float]]:
    """The figures of each step, as soon as it is done."""
    with database() as url:
        yield apart(stored, url, items, clicks)
        figures, sessions = apart(read, url)
        yield figures
        yield apart(read_from_files, url)
    cases = Cases.from_log(sessions.slice(max(0, len(sessions) - 10 * QUESTIONS), len(sessions)))
    cases = cases.thinned(QUESTIONS)
    for model in models:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / model
            figures = fit_in_subprocesses(model, estimator(model), sessions, folder)
            figures["artifact_mb"] = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
            figures |= query_latency(folder, cases, K)
            yield {f"{model}_{name}": value for name, value in figures.items()}


def estimator(model: str) -> Any:
    path, options = MODELS[model]
    return import_object(path)(**options)


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


def save(out: Path | None, results: dict[str, Any]) -> None:
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
