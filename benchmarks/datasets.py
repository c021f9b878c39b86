"""Public click data as session logs; the folders are given by the user, nothing is downloaded or kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.popularity import DAY
from django_sessrec.recsys.sessions import SessionLog

DIGINETICA_DAYS = 150
FIRST_DAY = 1_451_606_400  # the order of sessions is all that the file tells of time; this date is made up


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Sessions to fit on and the later cases to be judged by, over one index."""

    name: str
    train: SessionLog
    test: Cases


def load(folder: Path) -> Dataset:
    """The dataset in `folder`, told apart by its files."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; pass the one that holds train*.parquet")
    return diginetica(folder) if (folder / "test_cases.parquet").exists() else serenade_toy(folder)


def last_days_of_train(dataset: Dataset) -> Dataset:
    """The last 7 % of the training sessions as cases, the rest to fit on.

    A click on an item that the rest does not have counts as a miss.
    """
    train, validation = dataset.train.split_last(0.07)
    train = train.compacted()
    cases = Cases.from_log(validation).reindexed(train.index)
    return Dataset(f"{dataset.name}, validation", train, cases)


def diginetica(folder: Path) -> Dataset:
    """CIKM Cup 2016 in the split of SR-GNN, judged on its published prefixes, in their order."""
    train = _columns(folder / "train_sessions.parquet")
    cases = pq.read_table(folder / "test_cases.parquet")
    ids = np.unique(train["item_id"])
    index = ItemIndex([str(item_id) for item_id in ids])
    sessions = int(train["session_id"].max()) + 1
    started = FIRST_DAY + train["session_id"].astype(np.int64) * (DIGINETICA_DAYS * DAY) // sessions
    log = SessionLog.from_rows(
        train["session_id"], _rows(ids, train["item_id"]), started + train["position"], index
    )
    prefixes = cases["prefix"].combine_chunks()
    offsets = prefixes.offsets.to_numpy().astype(np.int64)
    test = Cases.from_prefixes(
        index,
        _rows(ids, prefixes.values.to_numpy()),
        offsets[:-1],
        offsets[1:],
        _rows(ids, cases["label"].to_numpy()),
    )
    return Dataset("diginetica", log, test)


def serenade_toy(folder: Path) -> Dataset:
    """The sample that bol.com ships with Serenade, with real times; judged on every prefix of test."""
    train, test = _columns(folder / "train.parquet"), _columns(folder / "test.parquet")
    log = SessionLog.from_clicks(train["session_id"], train["item_id"].astype(str), train["timestamp"])
    later = SessionLog.from_clicks(test["session_id"], test["item_id"].astype(str), test["timestamp"])
    return Dataset("serenade_toy", log, Cases.from_log(later).reindexed(log.index))


def _columns(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def _rows(ids: Any, item_ids: Any) -> Any:
    """Rows of item ids, all of which stand in the sorted `ids`."""
    rows = np.searchsorted(ids, item_ids)
    if (ids[np.minimum(rows, len(ids) - 1)] != item_ids).any():
        raise ValueError("the test cases name items that the training sessions do not have")
    return (rows + 1).astype(np.int32)
