"""Smoothing of trained item vectors: each is moved towards those of the items that it is clicked with.

A rare item has few clicks to learn from; its neighbours have more. One step over the graph of co-clicks, as
in SGC (Wu et al. 2019) and LightGCN (He et al. 2020), but taken once, after training: there it costs a
second, while within training every step would read nine vectors in place of one. GRU4Rec's HR@20 / MRR@20 on
held-out days of Diginetica, three seeds: 53.64 / 19.02 without, 54.09 / 19.14 and 54.08 / 19.13
with a strength of 0.3 and 0.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from django_sessrec.neural.initial_vectors import both_ways, co_clicks
from django_sessrec.recsys.items import FloatArray
from django_sessrec.recsys.sessions import SessionLog

NEIGHBOURS = 8  # of each item, those most clicked near it


def smoothed(vectors: FloatArray, log: SessionLog, strength: float) -> FloatArray:
    """(n_rows, D) rows, each with `strength` times the mean of its neighbours, as long as before.

    An item without neighbours, and the padding, stay as they are.
    """
    near, shares = neighbours(log)
    mixed = vectors.copy()
    for nth in range(NEIGHBOURS):  # one by one: all together would take eight tables
        mixed += strength * shares[:, nth, None] * vectors[near[:, nth]]
    before, after = (np.linalg.norm(each, axis=1, keepdims=True) for each in (vectors, mixed))
    return mixed * (before / np.maximum(after, 1e-12))


def neighbours(log: SessionLog) -> tuple[NDArray[np.int64], FloatArray]:
    """(n_rows, NEIGHBOURS): rows of the items most clicked near each, and their shares of these co-clicks."""
    n_rows = len(log.index)
    pairs, counts = both_ways(*co_clicks(log))
    order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    (item, other), counts = pairs[order].T, counts[order]
    place = np.arange(len(item)) - np.searchsorted(item, item)
    kept = place < NEIGHBOURS
    where = item[kept], place[kept]
    near, shares = np.zeros((n_rows, NEIGHBOURS), np.int64), np.zeros((n_rows, NEIGHBOURS), np.float32)
    near[where], shares[where] = other[kept], counts[kept]
    return near, shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)
