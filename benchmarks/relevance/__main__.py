"""Whether lists are what a shop wants: `python -m benchmarks.relevance --out build/relevance.json`.

- `two_intents`: simulated sessions of the example shop that look for two kinds of things; the share of lists
  of 8 without a new item of the kind that is not on screen, as the model ranks and composed by intents
- `new_clicks`, with `--data`: HR@20 and MRR@20 of clicks on items new to the session, in lists without the
  session's items, as the model ranks and composed; what composing loses, in points
- `variety`, `rotation`, with `--data`: what these cost on clicks on items new to the session
- `cold`: HR of clicks on products that the model has never seen, beside the category's lists
- `signals`: what weights of views, baskets and orders change
- `rules`: what twenty live rules cost a list
- `categories`: what a list of categories costs
- `pages`: what the example shop's pages show: products twice, bought again, or in place of those in the
  basket, and reasons that rest on too little

The JSON is written after each part.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.accuracy.models import MODELS, estimators_named
from benchmarks.datasets import last_days_of_train, load
from benchmarks.fitting import fit_in_subprocesses
from benchmarks.relevance.cold import cold
from benchmarks.relevance.intents import new_clicks, two_intents
from benchmarks.relevance.signals import signals
from benchmarks.relevance.simulation import simulate
from benchmarks.relevance.variety import rotation, variety
from django_sessrec.recsys import artifact
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.recommender import Estimator, Recommender
from django_sessrec.recsys.sessions import SessionLog

SIMULATED_SESSIONS = 15_000
MOST_CASES = 12_000
FEWER_CASES = 4_000  # of parts that ask a model several times a case
SMALL_SHOP: dict[str, dict[str, Any]] = {"ranked": {"network": {"embedding_size": 64}}}  # as the example shop
SMALLER = ("--items", "5000", "--sessions", "20000")  # shops of parts that weigh a list's processor time
WALKS = 100  # of visitors through the example shop's pages
SERVED = ("neighbours", "ranked")  # models that the example shop's settings name
PARTS = ("two_intents", "new_clicks", "variety", "cold", "signals", "rules", "categories", "pages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of a dataset, for new_clicks")
    parser.add_argument("--models", default="neighbours", help=", ".join(MODELS))
    parser.add_argument("--judge", choices=("test", "validation"), default="test")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them only")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    names, parts = arguments.models.split(","), arguments.parts.split(",")
    for given, known in ((names, MODELS), (parts, PARTS)):
        if unknown := set(given) - set(known):
            parser.error(f"{', '.join(sorted(unknown))} is unknown; there are {', '.join(known)}")
    results: dict[str, Any] = {}
    began = time.monotonic()
    for part, figures in measured(parts, names, arguments.data, arguments.judge):
        results[part] = figures
        so_far = time.monotonic() - began
        print(f"{part}: {json.dumps(figures, indent=2)}\nafter {so_far:.0f} seconds", flush=True)
        if arguments.out:  # a long benchmark that is stopped keeps what it has
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps(results, indent=2) + "\n")


def measured(
    parts: list[str], names: list[str], data: Path | None, judge: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part's name and figures, by model where it is about models."""
    if "two_intents" in parts:
        simulation = simulate(SIMULATED_SESSIONS)
        figures = {
            name: two_intents(fitted(name, estimator, simulation.log), simulation)
            for name, estimator in estimators(names, small=True)
        }
        yield "two_intents", figures
    if "new_clicks" in parts and data is not None:
        dataset = load(data) if judge == "test" else last_days_of_train(load(data))
        intents = Intents.of(dataset.train)
        cases = dataset.test.thinned(MOST_CASES)
        counts = intents.counts(cases)
        figures = {}
        for name, estimator in estimators(names):
            recommender = fitted(name, estimator, dataset.train)
            figures[name] = new_clicks(recommender, intents, cases, counts)
        yield "new_clicks", figures
    if "variety" in parts and data is not None:
        dataset = load(data) if judge == "test" else last_days_of_train(load(data))
        intents, cases = Intents.of(dataset.train), dataset.test.thinned(FEWER_CASES)
        models = {name: fitted(name, estimator, dataset.train) for name, estimator in estimators(names)}
        yield "variety", {name: variety(each, intents, cases) for name, each in models.items()}
        yield "rotation", {name: rotation(each, cases) for name, each in models.items()}
    if "cold" in parts:
        yield "cold", cold(judge)
    if "signals" in parts:
        yield "signals", signals()
    for part in ("rules", "categories"):
        if part in parts:
            yield part, in_a_shop_of_its_own(part, *SMALLER)
    if "pages" in parts:
        served = [name for name in names if name in SERVED] or ["neighbours"]
        yield "pages", in_a_shop_of_its_own("pages", "--models", ",".join(served), "--walks", str(WALKS))


def in_a_shop_of_its_own(part: str, *arguments: str) -> dict[str, Any]:
    """The figures of a module of this folder, in a process of its own: it has settings and a database."""
    command = [sys.executable, "-m", f"benchmarks.relevance.{part}", *arguments]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(printed[printed.index("{") :])
    return figures


def estimators(names: list[str], *, small: bool = False) -> Iterator[tuple[str, Estimator]]:
    for name in names:
        [estimator] = estimators_named(name, 1)
        yield name, type(estimator)(**SMALL_SHOP[name]) if small and name in SMALL_SHOP else estimator


def fitted(name: str, estimator: Estimator, sessions: SessionLog) -> Recommender:
    """The model, as its artifact opens."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        fit_in_subprocesses(name, estimator, sessions, folder)
        return artifact.load(folder)


if __name__ == "__main__":
    main()
