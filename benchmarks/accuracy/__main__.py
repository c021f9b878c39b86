"""Accuracy, training cost and query time of the models: `python -m benchmarks.accuracy --data FOLDER`.

Every case of the test set counts, the whole catalogue is ranked, ties count against the model. Models are
fitted on all training sessions with their default hyper-parameters, which were chosen on the last 7 % of
these sessions (`--judge validation` does that), never on the test set. Each model is fitted in a process of
its own, and judged as its artifact, opened as a shop opens it. The JSON, written after each fit, has for each
model the means over its seeds, their deviation as *_std, and under "runs" each seed's own figures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.models import MODELS, estimators_named
from benchmarks.accuracy.published import PUBLISHED
from benchmarks.datasets import Dataset, last_days_of_train, load
from benchmarks.fitting import fit_in_subprocesses, shown
from benchmarks.latency import query_latency
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import evaluate
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.recommender import Estimator

K = 20
ACCURACY = (f"hr@{K}", f"mrr@{K}", f"ndcg@{K}", f"hr@{K}_new", f"mrr@{K}_new")
SPREAD = (*ACCURACY, "fit_s")
COLUMNS = (
    *ACCURACY,
    f"coverage@{K}",
    f"popularity_bias@{K}",
    "fit_s",
    "peak_mb",
    "query_us_p50",
    "query_us_p90",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one dataset")
    parser.add_argument("--models", default="popularity,itemknn,neighbours", help=", ".join(MODELS))
    parser.add_argument("--seeds", type=int, default=1, help="runs of each model that draws at random")
    parser.add_argument("--judge", choices=("test", "validation"), default="test")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    names = arguments.models.split(",")
    if unknown := set(names) - set(MODELS):
        parser.error(f"no model is called {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")

    dataset = load(arguments.data)
    if arguments.judge == "validation":
        dataset = last_days_of_train(dataset)
    sessions, cases = len(dataset.train), len(dataset.test)
    print(f"{dataset.name}: {sessions:,} sessions to fit on, {cases:,} cases", flush=True)
    intents = Intents.of(dataset.train).counts(dataset.test)
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        runs = []
        for estimator in estimators_named(name, arguments.seeds):
            runs.append(measure(name, estimator, dataset, intents))
            results[name] = summary(runs)
            if arguments.out:  # a long benchmark that is stopped keeps what it has
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    print_table(results, PUBLISHED.get(dataset.name, ()))


def measure(name: str, estimator: Estimator, dataset: Dataset, intents: NDArray[np.int64]) -> dict[str, Any]:
    """All figures of one fit."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        figures = fit_in_subprocesses(name, estimator, dataset.train, folder)
        report = evaluate(artifact.load(folder), dataset.test, K, shown(f"{name}: evaluate"), intents=intents)
        figures |= report.as_dict()
        figures["evaluate_s"] = figures.pop("seconds")
        figures["artifact_mb"] = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
        return figures | query_latency(folder, dataset.test, K)


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means of some runs, the deviation of what matters most, and the runs themselves."""
    figures = mean_of(runs) | {"seeds": len(runs), "runs": list(runs)}
    if len(runs) > 1:
        figures |= {f"{key}_std": float(np.std([run[key] for run in runs], ddof=1)) for key in SPREAD}
    return figures


def mean_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Key by key, also within nested mappings; what is the same in all runs stays as it is."""
    means: dict[str, Any] = {}
    for key, first in runs[0].items():
        values = [run[key] for run in runs]
        if isinstance(first, Mapping):
            means[key] = mean_of(values)
        else:
            means[key] = first if values.count(first) == len(values) else float(np.mean(values))
    return means


def print_table(
    results: Mapping[str, Mapping[str, Any]], published: Sequence[tuple[str, str, float, float]]
) -> None:
    """Ours and what was published on the same cases, worst first."""
    rows = [(figures[ACCURACY[0]], name, figures, "") for name, figures in results.items()]
    rows += [
        (hr, f"({name})", {ACCURACY[0]: hr, ACCURACY[1]: mrr}, source) for name, source, hr, mrr in published
    ]
    print(f"{'':24}" + "".join(f"{column.replace('popularity_', ''):>14}" for column in COLUMNS))
    for _, name, figures, source in sorted(rows, key=lambda row: row[:2]):
        cells = [f"{figures[column]:14.2f}" if column in figures else f"{'':14}" for column in COLUMNS]
        if source:
            cells = [*cells[:2], f"  {source}"]
        print(f"{name:24}" + "".join(cells))


if __name__ == "__main__":
    main()
