"""SR-GNN: a gated graph net over the items of a session and the steps between them.

Wu et al., "Session-based Recommendation with Graph Neural Networks", AAAI 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from django_sessrec.neural.encoder import Readout, SessionEncoder, ages
from django_sessrec.neural.estimator import NeuralEstimator


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
        nodes = node_of_click(items)
        hidden = self.propagation(vectors * self.gain, nodes)
        states = self.attention(hidden, nodes)
        return self.readout(states, vectors, ages(items))


class GatedPropagation(nn.Module):
    """One step of a gated graph net, on the graph of every prefix at once.

    The graphs share their nodes' vectors: all products with weights are taken once for each node, and
    only sums over edges and gates once for each prefix.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.incoming, self.outgoing = nn.Linear(size, size), nn.Linear(size, size)
        self.incoming_gates = nn.Linear(size, 3 * size, bias=False)
        self.outgoing_gates = nn.Linear(size, 3 * size, bias=False)
        self.own_gates = nn.Linear(size, 3 * size)

    def forward(self, vectors: Tensor, nodes: Tensor) -> Tensor:
        """(B, L, D), (B, L, L) -> (B, P, L, D): in prefix P, the node that stands at position L."""
        edges = edges_of_prefixes(nodes)  # (B, P, L, L), from row to column
        following = edges / edges.sum(3, keepdim=True).clamp(min=1)
        followed = edges.transpose(2, 3) / edges.sum(2)[..., None].clamp(min=1)
        messages = followed @ self.incoming_gates(self.incoming(vectors))[:, None]
        messages = messages + following @ self.outgoing_gates(self.outgoing(vectors))[:, None]
        reset, update, new = messages.chunk(3, -1)  # (B, P, L, D)
        own_reset, own_update, own_new = self.own_gates(vectors)[:, None].chunk(3, -1)  # (B, 1, L, D)
        candidate = torch.tanh(new + torch.sigmoid(reset + own_reset) * own_new)
        return candidate + torch.sigmoid(update + own_update) * (vectors[:, None] - candidate)


class SoftAttention(nn.Module):
    """The last click's node asks the nodes of all clicks (equations 6 and 7)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.of_last, self.of_each = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.weight = nn.Linear(size, 1, bias=False)
        self.both = nn.Linear(2 * size, size)

    def forward(self, hidden: Tensor, nodes: Tensor) -> Tensor:
        """(B, P, L, D), (B, L, L) -> (B, P, D)."""
        clicked = nodes[:, None] @ hidden  # (B, P, L, D): a repeated click finds its item's node
        last = clicked.diagonal(dim1=1, dim2=2).transpose(1, 2)  # (B, P, D): in prefix p, position p
        weights = self.weight(torch.sigmoid(self.of_last(last)[:, :, None] + self.of_each(clicked)))
        seen = torch.ones_like(nodes[0]).tril()[..., None]  # (P, L, 1)
        everything = (weights * seen * clicked).sum(2)  # (B, P, D)
        return self.both(torch.cat((last, everything), -1))


def node_of_click(items: Tensor) -> Tensor:
    """(B, L) -> (B, L, L): one-hot rows, the position where each click's item was clicked first."""
    same = items[:, :, None] == items[:, None, :]
    earlier = torch.ones_like(same[0]).tril(-1)
    first = ~(same & earlier).any(2)  # (B, L)
    return (same & first[:, None, :]).float()


def edges_of_prefixes(nodes: Tensor) -> Tensor:
    """(B, L, L) -> (B, P, L, L): how often each node of prefix P is followed by each other."""
    steps = nodes[:, :-1, :, None] * nodes[:, 1:, None, :]  # (B, L - 1, L, L)
    return F.pad(steps.cumsum(1), (0, 0, 0, 0, 1, 0))
