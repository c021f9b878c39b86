"""Queries to models of a large catalogue: neighbours, and networks whose weights are drawn (untrained.py)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.latency import query_latency
from benchmarks.scale import untrained
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.neighbours import Neighbours

K, QUESTIONS = 20, 1_000


def queries(items: int, clicks: int, models: list[str]) -> dict[str, float]:
    """Microseconds of a list of 20, what opening takes, and a process's own memory, of each model."""
    log = untrained.log_of(items, clicks)
    cases = Cases.from_log(log.split_last(0.1)[1]).thinned(QUESTIONS)
    figures: dict[str, float] = {}
    network = untrained.network(log) if {*models} - {"neighbours"} else None
    for model in models:
        if model == "neighbours":
            recommender = Neighbours().fit(log)
        else:
            recommender = network if model == "gru4rec" else untrained.ranked(log, network)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / model
            artifact.save(recommender, folder, card={})
            found = query_latency(folder, cases, K)
            found["artifact_mb"] = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
        figures |= {f"{model}_{name}": value for name, value in found.items()}
    return figures
