"""Our networks beside other libraries': `python -m benchmarks.peers --data FOLDER --out build/peers.json`.

All learn from the same sessions, all but the last 7 % of the training set, with the same number of threads,
and are judged alike: on clicks of those 7 % as time goes by, and on all cases of the test set at the end.
With a `--share` of the sessions, even the slow can be seen at their end.
The peers train in turns, by processor time, so that what else the machine does is no handicap, and each of
our fits stands between two turns; who waits does nothing. Time is that of training alone: a peer's preparing
of data and looks at its network are not counted, our item vectors and export are. Our points are complete
fits of so many epochs, those of less than one on the newest sessions alone; a peer's are looks at its network
while it goes on training.

The JSON, written after every turn, has for each contestant "points" (seconds, cpu_seconds, epochs, hr@20,
mrr@20, targets_per_s), for a peer "reached": its best point, our first fit that was as good, and how much
sooner it was; and in the end "test".
"""

from __future__ import annotations

import argparse
import os
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.peers.race import ACCURACY, FITS, PEERS, PYTHON, Points, compete, fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one dataset")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--share", type=float, default=1, help="of the training sessions, the newest")
    parser.add_argument("--minutes", type=float, default=12, help="of processor time for each peer")
    parser.add_argument(
        "--until", type=datetime.fromisoformat, help="no turn begins later, 23:30 as 2026-01-31T23:30"
    )
    parser.add_argument("--turn", type=float, default=60, help="processor seconds of one turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each contestant")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--fits", nargs="+", default=FITS, type=fit, help="gru4rec:2 is ours in two epochs")
    parser.add_argument("--python", type=Path, default=PYTHON, help="where the peers are installed")
    options = parser.parse_args()
    results: Points = {}
    with tempfile.TemporaryDirectory() as temporary:
        compete(options, Path(temporary), results)
    print_table(results)


def print_table(results: Points) -> None:
    columns = ("seconds", "cpu_seconds", "epochs", "targets_per_s", "targets_per_cpu_s", *ACCURACY)
    print(f"{'':16}" + "".join(f"{column:>18}" for column in columns) + f"{'test':>16}")
    for name, figures in results.items():
        last = figures["points"][-1]
        test = " / ".join(f"{figures['test'][key]:.2f}" for key in ACCURACY)
        print(f"{name:16}" + "".join(f"{last[column]:18,.1f}" for column in columns) + f"{test:>16}")
    for name, figures in results.items():
        if "first" in (found := figures.get("reached", {})):
            print(
                f"{name}'s best validation figures, reached by {found['first']['by']} in "
                f"{found['first']['seconds']:.0f} s: {found['seconds_ratio']:.1f} times sooner, "
                f"{found['cpu_seconds_ratio']:.1f} by processor time"
            )


if __name__ == "__main__":
    main()
