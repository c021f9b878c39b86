"""What composing a list by the session's intents gives, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.relevance.simulation import Simulation, session_of_two
from django_sessrec.recsys.composition import compose, live
from django_sessrec.recsys.evaluation import INTENTS, Cases
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.recommender import Recommender

PATTERNS = ("AAB", "AABB", "AABBA")
SESSIONS = 300  # of each pattern
SHOWN, DEPTH = 8, 4  # items of a list, and times as many candidates, as pages have them
K = 20


def two_intents(recommender: Recommender, simulation: Simulation) -> dict[str, dict[str, float]]:
    """By pattern and way of making a list of 8: its new items of the kind that is not on screen, and
    the share of lists without any, in percent."""
    intents = Intents.of(simulation.log)
    figures: dict[str, dict[str, float]] = {}
    for pattern in PATTERNS:
        draw = np.random.default_rng(1)
        found: dict[str, list[int]] = {"as_ranked": [], "composed": []}
        for _ in range(SESSIONS):
            session, kind = session_of_two(simulation, pattern, draw)
            for name, rows in lists(recommender, intents, session, SHOWN).items():
                found[name].append(int((simulation.kind[rows] == kind).sum()))
        figures[pattern] = {}
        for name, counts in found.items():
            figures[pattern][f"{name}_without_percent"] = 100 * float(np.mean(np.array(counts) == 0))
            figures[pattern][f"{name}_items"] = float(np.mean(counts))
    return figures


def new_clicks(
    recommender: Recommender, intents: Intents, cases: Cases, counts: NDArray[np.int64]
) -> dict[str, Any]:
    """hr@20_new and mrr@20_new of the list as ranked and as composed, and what the second loses, in points.

    intents: over the recommender's index; cases: over it, too; counts: (n_cases,) intents of each
    """
    new = np.flatnonzero(cases.new)
    ranks: dict[str, NDArray[np.float64]] = {name: np.zeros(len(new)) for name in ("as_ranked", "composed")}
    for number, case in enumerate(new):
        for name, rows in lists(recommender, intents, cases.prefix(case), K).items():
            if cases.labels[case] in rows:
                ranks[name][number] = 1 / (rows.index(cases.labels[case]) + 1)
    figures = {name: _by_intents(reciprocal, counts[new]) for name, reciprocal in ranks.items()}
    as_ranked, composed = figures["as_ranked"], figures["composed"]
    figures["loss"] = {
        group: {key: as_ranked[group][key] - composed[group][key] for key in (f"hr@{K}_new", f"mrr@{K}_new")}
        for group in as_ranked
    }
    return {"cases_new": len(new), **figures}


def lists(recommender: Recommender, intents: Intents, session: Rows, length: int) -> Mapping[str, list[int]]:
    """The rows of a list without the session's items, as the model ranks them and composed by intents."""
    known = set(session.tolist())

    def ask(rows: Rows) -> dict[int, int]:
        best = recommender.top(rows, DEPTH * length, exclude=list(known))[0]
        return {row: row for row in best.tolist()}

    leading, alive = ask(session), live(session, intents)
    composed = list(leading)
    if len(alive) > 1:
        composed = [row for row, _ in compose(leading, alive, intents, ask, length)]
    return {"as_ranked": list(leading)[:length], "composed": composed[:length]}


def _by_intents(reciprocal: NDArray[np.float64], counts: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    groups = {"all": (1, np.iinfo(np.int64).max), "2 and more": (2, np.iinfo(np.int64).max), **INTENTS}
    chosen = {
        name: reciprocal[(counts >= least) & (counts <= most)] for name, (least, most) in groups.items()
    }
    return {
        name: {
            f"hr@{K}_new": 100 * float((of > 0).mean()) if len(of) else 0.0,
            f"mrr@{K}_new": 100 * float(of.mean()) if len(of) else 0.0,
        }
        for name, of in chosen.items()
    }
