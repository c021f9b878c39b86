"""SR-GNN: a gated graph net over the items of a session and the steps between them.

Wu et al., "Session-based Recommendation with Graph Neural Networks", AAAI 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from django_sessrec.neural import losses
from django_sessrec.neural.batches import Batch
from django_sessrec.neural.encoder import Readout, SessionEncoder, ages
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.item_vectors import random_vectors
from django_sessrec.neural.negatives import Negatives
from django_sessrec.recsys.sessions import SessionLog


@dataclass(frozen=True, kw_only=True)
class SRGNN(NeuralEstimator):
    """The modern recipe: the paper's graph and attention, normalised vectors, the shared readout."""

    def encoder(self, items: Tensor) -> SessionEncoder:
        return GraphEncoder(items, self)


class GraphEncoder(SessionEncoder):
    """The paper's net, whose session vector asks the session's own items for the answer."""

    def __init__(self, items: Tensor, config: SRGNN) -> None:
        super().__init__(items, scale=config.scale, item_dropout=config.item_dropout)
        size = config.embedding_size
        self.propagation = GatedPropagation(size)
        self.attention = SoftAttention(size)
        self.readout = Readout(size, config.window, config.dropout)
        self.gain = 0.5 * size**0.5

    def states(self, items: Tensor, vectors: Tensor) -> Tensor:
        states = self.attention(self.propagation(vectors * self.gain, items))
        return self.readout(states, vectors, ages(items))


@dataclass(frozen=True, kw_only=True)
class SRGNNPaper(SRGNN):
    """As published, to measure the recipe above against: from scratch, inner products, full softmax."""

    embedding_size: int = 100
    epochs: int = 5
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    item_dropout: float = 0.0
    scale: float | None = None
    recency_days: float | None = None

    def encoder(self, items: Tensor) -> SessionEncoder:
        return PaperGraphEncoder(items, self)

    def first_vectors(self, sessions: SessionLog) -> Tensor:
        return random_vectors(len(sessions.index), self.embedding_size)

    def negatives_of(self, sessions: SessionLog) -> Negatives:
        n_items = len(sessions.index) - 1
        return Negatives(n_items, n_items)

    def optimiser(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        return torch.optim.Adam(encoder.parameters(), self.learning_rate, weight_decay=self.weight_decay)

    def loss(
        self,
        vectors: Tensor,
        targets: Tensor,
        others: Tensor,
        batch: Batch,
        drawn: Tensor,
        negatives: Negatives,
    ) -> Tensor:
        return losses.full_softmax(vectors, batch.targets - 1, others, batch.weights)


class PaperGraphEncoder(SessionEncoder):
    """The paper's net as it stands."""

    def __init__(self, items: Tensor, config: SRGNNPaper) -> None:
        super().__init__(items, scale=config.scale, item_dropout=config.item_dropout)
        self.propagation = GatedPropagation(config.embedding_size)
        self.attention = SoftAttention(config.embedding_size)

    def states(self, items: Tensor, vectors: Tensor) -> Tensor:
        return self.attention(self.propagation(vectors, items))


class GatedPropagation(nn.Module):
    """One step of a gated graph net (equations 1 to 5), on the graphs of all prefixes at once.

    The graphs share their items' vectors: products with weights are taken once for each click of the
    session, and only sums over edges and gates once for each prefix.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.incoming, self.outgoing = nn.Linear(size, size), nn.Linear(size, size)
        self.incoming_gates = nn.Linear(size, 3 * size, bias=False)
        self.outgoing_gates = nn.Linear(size, 3 * size, bias=False)
        self.own_gates = nn.Linear(size, 3 * size)

    def forward(self, vectors: Tensor, items: Tensor) -> Tensor:
        """(B, L, D), (B, L) -> (B, P, L, D): the items of clicks L in the graph of the first P + 1 clicks."""
        batch, length, size = vectors.shape
        sent = (self.incoming_gates(self.incoming(vectors)), self.outgoing_gates(self.outgoing(vectors)))
        edges = torch.cat(neighbours_in_prefixes(items), 3)  # (B, P, L, 2L)
        gates = edges.view(batch, length * length, 2 * length) @ torch.cat(sent, 1)
        reset, update, new = gates.view(batch, length, length, 3 * size).chunk(3, -1)
        own_reset, own_update, own_new = self.own_gates(vectors)[:, None].chunk(3, -1)  # (B, 1, L, D)
        candidate = torch.tanh(new + torch.sigmoid(reset + own_reset) * own_new)
        return torch.lerp(candidate, vectors[:, None], torch.sigmoid(update + own_update))


class SoftAttention(nn.Module):
    """The last click asks all clicks (equations 6 and 7)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.of_last, self.of_each = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.weight = nn.Linear(size, 1, bias=False)
        self.both = nn.Linear(2 * size, size)

    def forward(self, clicks: Tensor) -> Tensor:
        """(B, P, L, D) -> (B, P, D)."""
        last = clicks.diagonal(dim1=1, dim2=2).transpose(1, 2)  # (B, P, D): prefix p ends at position p
        weights = self.weight(torch.sigmoid(self.of_last(last)[:, :, None] + self.of_each(clicks)))
        seen = torch.ones_like(clicks[0, :, :, 0]).tril()  # (P, L)
        everything = (weights[..., 0] * seen)[:, :, None] @ clicks  # (B, P, 1, D)
        return self.both(torch.cat((last, everything[:, :, 0]), -1))


def neighbours_in_prefixes(items: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) -> two of (B, P, L, L): the share of each item (column) among those that were clicked just
    before, and just after, the item of a click (row) within the first P + 1 clicks.

    An item's column is where it was clicked first; rows of equal items are equal.
    """
    same = items[:, :, None] == items[:, None, :]
    first = ~(same & torch.ones_like(same[0]).tril(-1)).any(2)  # (B, L)
    node = (same & first[:, None, :]).float()  # (B, L, L): one-hot rows
    steps = node[:, :-1, :, None] * node[:, 1:, None, :]  # (B, L - 1, L, L)
    edges = F.pad(steps.cumsum(1), (0, 0, 0, 0, 1, 0))  # (B, P, L, L): from row to column
    before = edges.transpose(2, 3) / edges.sum(2)[..., None].clamp(min=1)
    after = edges / edges.sum(3, keepdim=True).clamp(min=1)
    return node[:, None] @ before, node[:, None] @ after
