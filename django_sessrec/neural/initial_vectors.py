"""Item vectors before training: a truncated SVD of the items' co-clicks.

Factorized positive pointwise mutual information is what word2vec approximates (Levy & Goldberg 2014).
Networks that start from it need a fifth of the epochs of a random start.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from django_sessrec.recsys.sessions import SessionLog

REACH = 5
CONTEXT_POWER = 0.75  # as in word2vec: rare contexts would otherwise own the largest values
OVERSAMPLING = 16
POWER_ITERATIONS = 3


def item_vectors(log: SessionLog, size: int, *, seed: int = 0) -> Tensor:
    """(n_rows, size) float32, unit rows, row 0 zeros; items without a neighbour get a random direction."""
    rng = torch.Generator().manual_seed(seed)
    n_rows = len(log.index)
    vectors = torch.zeros(n_rows, size)
    pairs, counts = co_clicks(log)
    if len(pairs):
        factors = _eigenvectors(_ppmi(pairs, counts, n_rows), min(size, n_rows), rng)
        vectors[:, : factors.shape[1]] = factors
    empty = vectors.norm(dim=1) < 1e-6
    vectors[empty] = torch.randn(int(empty.sum()), size, generator=rng)
    vectors[0] = 0
    return torch.nn.functional.normalize(vectors, dim=1)


def co_clicks(log: SessionLog) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Unordered pairs of different items within REACH clicks: (P, 2) rows low, high and (P,) sums of 1/d."""
    n_rows = len(log.index)
    session = np.repeat(np.arange(len(log)), log.lengths)
    keys, weights = [], []
    for distance in range(1, REACH + 1):
        one, other = log.items[:-distance].astype(np.int64), log.items[distance:].astype(np.int64)
        together = (session[:-distance] == session[distance:]) & (one != other)
        low, high = np.minimum(one, other)[together], np.maximum(one, other)[together]
        unique, count = np.unique(low * n_rows + high, return_counts=True)
        keys.append(unique)
        weights.append(count / distance)
    unique, group = np.unique(np.concatenate(keys), return_inverse=True)
    sums: NDArray[np.float64] = np.bincount(group, np.concatenate(weights), len(unique)).astype(np.float64)
    return np.stack((unique // n_rows, unique % n_rows), 1), sums


def both_ways(
    pairs: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ordered pairs (2 P, 2) of unordered ones (P, 2), and the value of each."""
    return np.concatenate((pairs, pairs[:, ::-1])), np.tile(values, 2)


def _ppmi(pairs: NDArray[np.int64], counts: NDArray[np.float64], n_rows: int) -> Tensor:
    """(n_rows, n_rows) symmetric sparse matrix, the mean of both directions."""
    total = 2 * counts.sum()
    share = np.bincount(pairs.ravel(), np.repeat(counts, 2), n_rows) / total
    context = share**CONTEXT_POWER
    context /= context.sum()
    low, high = pairs.T
    joint = counts / total
    forth = np.maximum(np.log(joint / (share[low] * context[high])), 0)
    back = np.maximum(np.log(joint / (share[high] * context[low])), 0)
    where, values = both_ways(pairs, (forth + back) / 2)
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(where.T.copy()),
        torch.from_numpy(values.astype(np.float32)),
        (n_rows, n_rows),
        check_invariants=False,
    )
    with warnings.catch_warnings():  # "CSR is in beta": used here for one product, which it does 10x faster
        warnings.simplefilter("ignore", UserWarning)
        return matrix.coalesce().to_sparse_csr()


def _eigenvectors(matrix: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """(n, size) columns of the largest |eigenvalues| times their roots (Halko et al. 2011, algorithm 5.3)."""
    n = matrix.shape[0]
    basis = torch.randn(n, min(size + OVERSAMPLING, n), generator=rng)
    for _ in range(POWER_ITERATIONS):
        basis = torch.linalg.qr(matrix @ basis).Q
    small = basis.T @ (matrix @ basis)
    values, vectors = torch.linalg.eigh((small + small.T) / 2)
    largest = values.abs().argsort(descending=True)[:size]
    return (basis @ vectors[:, largest]) * values[largest].abs().sqrt()
