"""How often a batch of published Diginetica test cases holds the answer to one of its own cases.

`python -m benchmarks.accuracy.leak --data FOLDER`. The published file has every prefix of a test session,
the longest first, so that a case stands beside the next longer prefix, whose last click is its answer. A
model that looks for neighbour sessions inside an unshuffled test batch therefore sees most answers.
Counted twice: where that next prefix is in the batch, and where any other case of the batch ends with the
answer, by chance or not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

BATCH = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Diginetica")
    parser.add_argument("--batch", type=int, default=BATCH, help="cases of a batch")
    arguments = parser.parse_args()
    cases = pq.read_table(arguments.data / "test_cases.parquet")
    prefixes = cases["prefix"].combine_chunks()
    stops = prefixes.offsets.to_numpy()
    last, length = prefixes.values.to_numpy()[stops[1:] - 1], np.diff(stops)
    session, label = cases["test_session_id"].to_numpy(), cases["label"].to_numpy()
    published = np.arange(len(label))
    print(f"{'batches of ' + str(arguments.batch):24}{'own session':>14}{'any session':>14}")
    for name, order in (
        ("published order", published),
        ("shuffled", np.random.default_rng(0).permutation(published)),
    ):
        own, any_session = answered(session[order], length[order], last[order], label[order], arguments.batch)
        print(f"{name:24}{own:>14.1%}{any_session:>14.1%}")


def answered(
    session: NDArray[np.integer],
    length: NDArray[np.integer],
    last: NDArray[np.integer],
    label: NDArray[np.integer],
    batch: int,
) -> tuple[float, float]:
    """Shares of (N,) cases whose answer another case of their batch ends with: of their session, of any."""
    own = any_session = 0
    for start in range(0, len(label), batch):
        part = slice(start, start + batch)
        ends = label[part, None] == last[part]  # (B, B): the answer of a row is the last click of a column
        np.fill_diagonal(ends, False)
        next_prefix = (session[part, None] == session[part]) & (length[part, None] + 1 == length[part])
        own += int((ends & next_prefix).any(1).sum())
        any_session += int(ends.any(1).sum())
    return own / len(label), any_session / len(label)


if __name__ == "__main__":
    main()
