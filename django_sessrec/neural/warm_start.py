"""Training that starts from the weights of the active model, with vectors for the items new since."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.initial_vectors import both_ways, co_clicks
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.sessions import SessionLog

TABLE = "items.weight"  # the artifact has it as a file of its own


def weights_of(encoder: SessionEncoder) -> bytes:
    """The encoder's weights without the item vectors, as an .npz file."""
    file = io.BytesIO()
    weights = {name: value.numpy() for name, value in encoder.state_dict().items() if name != TABLE}
    np.savez(file, allow_pickle=False, **weights)
    return file.getvalue()


def continued(encoder: SessionEncoder, start: OnnxRecommender) -> SessionEncoder:
    """`encoder` with the weights of `start`; ValueError if those are of another network."""
    with np.load(io.BytesIO(start.weights), allow_pickle=False) as weights:
        state = {name: torch.from_numpy(weights[name]) for name in weights.files}
    try:
        encoder.load_state_dict(state | {TABLE: encoder.items.weight.detach()})
    except RuntimeError as error:
        raise ValueError(
            f"the model to start from has another network; train from scratch: {error}"
        ) from error
    return encoder


def vectors_from(start: OnnxRecommender, sessions: SessionLog, *, seed: int = 0) -> Tensor:
    """(n_rows, D) item vectors of `start`; a new item gets the mean direction of known ones clicked near it.

    New items without a known one near get a random direction.
    """
    index, items = sessions.index, torch.from_numpy(np.array(start.inputs))
    rows = index.rows_in(start.index)
    vectors = items[rows]
    length = items[1:].norm(dim=1).mean()
    new = np.flatnonzero(rows[1:] == 0) + 1
    amid = _sum_of_neighbours(vectors, rows > 0, sessions)[new]
    alone = amid.norm(dim=1) < 1e-6
    rng = torch.Generator().manual_seed(seed)
    amid[alone] = torch.randn(int(alone.sum()), vectors.shape[1], generator=rng)
    vectors[new] = length * nn.functional.normalize(amid, dim=1)
    vectors[0] = 0
    return vectors


def _sum_of_neighbours(vectors: Tensor, known: NDArray[np.bool_], sessions: SessionLog) -> Tensor:
    """(n_rows, D) sums of the known vectors clicked near each row, weighted by how often and how near."""
    pairs, counts = both_ways(*co_clicks(sessions))
    told = ~known[pairs[:, 0]] & known[pairs[:, 1]]
    where = torch.from_numpy(pairs[told].T.copy())
    values = torch.from_numpy(counts[told].astype(np.float32))
    n_rows = len(vectors)
    return torch.sparse_coo_tensor(where, values, (n_rows, n_rows), check_invariants=False) @ vectors
