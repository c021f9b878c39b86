"""What the bounds on crowds cost where there is no crowd.

`python -m benchmarks.poisoning.bounds --data FOLDER`. Neighbours are fitted on all but the last 7 % of
the training sessions, once on all clicks and once on those that the bounds leave, and judged on the rest.
What is dropped depends on the hashes of the sessions' ids, so it is drawn a few times.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.datasets import Dataset, last_days_of_train, load
from django_sessrec.conf import Settings
from django_sessrec.recsys.evaluation import evaluate
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.poisoning import within_bounds
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.sessions import SessionLog

K = 20
DRAWS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one dataset")
    dataset = last_days_of_train(load(parser.parse_args().data))
    print(f"{dataset.name}: {len(dataset.train):,} sessions to fit on, {len(dataset.test):,} cases")
    print(f"  all clicks       {_figures(dataset.train, dataset)}")
    for seed in range(DRAWS):
        left = bounded(dataset.train, np.random.default_rng(seed))
        dropped = 1 - left.n_clicks / dataset.train.n_clicks
        print(f"  {dropped:6.3%} dropped   {_figures(left, dataset)}", flush=True)


def bounded(log: SessionLog, draw: np.random.Generator) -> SessionLog:
    """What the bounds leave of a log, in a shop with the default settings."""
    hashes = draw.integers(np.iinfo(np.int64).min, np.iinfo(np.int64).max, len(log))
    session, row = np.repeat(hashes, log.lengths), log.items.astype(np.int64)
    kept = within_bounds(log.times // DAY, session, row, Settings.MAX_ITEM_SHARE.default)
    return SessionLog.from_rows(session[kept], log.items[kept], log.times[kept], log.index)


def _figures(log: SessionLog, dataset: Dataset) -> str:
    report = evaluate(Neighbours().fit(log), dataset.test, K).as_dict()
    return "  ".join(f"{name} {report[name]:.2f}" for name in (f"hr@{K}", f"mrr@{K}"))


if __name__ == "__main__":
    main()
