"""A dataset as a file of clicks for `sessrec_import`.

`python -m benchmarks.accuracy.click_file --data FOLDER --out FILE`. Diginetica has the order of its sessions
alone; they get the times that `benchmarks.datasets` gives them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.datasets import load
from django_sessrec.recsys.sessions import SessionLog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one dataset")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file of session_id, item_id, time")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(load(arguments.data).train), arguments.out)


def table(log: SessionLog) -> pa.Table:
    """(n_clicks,) rows, session by session."""
    return pa.table(
        {
            "session_id": np.repeat(np.arange(len(log)), log.lengths),
            "item_id": np.array(log.index.ids)[log.items],
            "time": log.times,
        }
    )


if __name__ == "__main__":
    main()
