"""The base of every network: clicked items in, one vector out, to be compared with the items' vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOT_VISIBLE = -1e4
"""Attention logit of what must not be seen: far below any real one, and finite, so that a row of
nothing but padding stays a number."""


class SessionEncoder(nn.Module, ABC):
    """A network from sessions, right-padded with row 0, to vectors whose inner products with items rank them.

    A subclass gives `states`, the vector after every click. It must not look ahead, so that one pass over a
    session trains all its prefixes, and padding on the right changes nothing.

    scale: vectors are normalised and scores are scale * cosine (NISER, Gupta et al. 2019: plain inner
    products favour popular items); None keeps the papers' inner products.
    """

    def __init__(self, items: Tensor, *, scale: float | None, item_dropout: float) -> None:
        """items: (n_rows, D) initial item vectors, row 0 the padding."""
        super().__init__()
        self.items = nn.Embedding.from_pretrained(items, freeze=False, padding_idx=0)
        self.scale = scale
        self.item_dropout = nn.Dropout(item_dropout)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """(B, L), (B,) -> (B, D): the vector of each session."""
        return self.encode(items, self.item_vectors(items), lengths)

    def encode(self, items: Tensor, vectors: Tensor, lengths: Tensor) -> Tensor:
        """The same from item vectors gathered outside, (B, L, D): what is exported, without the table."""
        return self.finish(at(self.states(items, vectors), lengths - 1))

    def after_each_click(self, items: Tensor, vectors: Tensor) -> Tensor:
        """(B, L), (B, L, D) -> (B, L, D): the vector of every prefix, which training compares with the
        click that follows it."""
        return self.finish(self.states(items, self.item_dropout(vectors)))

    def item_vectors(self, rows: Tensor, table: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(...,) -> (..., D): item vectors, the same for reading and for scoring.

        table: reads the rows in a training that must know which were read.
        """
        vectors = self.items(rows) if table is None else table(rows)
        return vectors if self.scale is None else Unit.apply(vectors)

    def finish(self, states: Tensor) -> Tensor:
        """(..., D) states -> (..., D) session vectors."""
        return states if self.scale is None else self.scale * F.normalize(states, dim=-1)

    @abstractmethod
    def states(self, items: Tensor, vectors: Tensor) -> Tensor:
        """(B, L) rows and their (B, L, D) vectors -> (B, L, D), position t seeing clicks 0..t only."""


class Unit(torch.autograd.Function):
    """F.normalize with half the memory traffic in the backward pass: a step normalizes 10,000 vectors."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        length = vectors.norm(dim=-1, keepdim=True).clamp_(min=1e-12)
        unit = vectors / length
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        unit, length = ctx.saved_tensors
        along = (grad * unit).sum(-1, keepdim=True)
        return torch.addcmul(grad, unit, along, value=-1).div_(length)


class Readout(nn.Module):
    """Attention of the network's state over the session's own item vectors, plus a linear part of the state.

    So the session's vector stays near its items unless the state says otherwise. Before training, each step
    back has exp(-0.7) of the weight of the click after it.
    """

    def __init__(self, size: int, window: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(size, size, bias=False)
        self.key = nn.Linear(size, size, bias=False)
        self.recency = nn.Parameter(-0.7 * torch.arange(window, dtype=torch.float32))
        self.gain = nn.Parameter(torch.ones(()))
        self.state = nn.Linear(size, size, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.state.weight, std=0.02)

    def forward(self, states: Tensor, vectors: Tensor, age: Tensor) -> Tensor:
        """(B, Q, D), (B, L, D), ages (B or 1, Q, L) in clicks, below 0 for what lies ahead -> (B, Q, D)."""
        bias = self.recency[age.clamp(0, len(self.recency) - 1)].masked_fill(age < 0, NOT_VISIBLE)
        logits = self.query(states) @ self.key(vectors).transpose(1, 2) + bias  # (B, Q, L)
        return self.gain * (logits.softmax(-1) @ vectors) + self.state(self.dropout(states))


def at(sequence: Tensor, positions: Tensor) -> Tensor:
    """(B, L, D), (B,) positions -> (B, D): one position of each row."""
    where = positions[:, None, None].expand(-1, 1, sequence.shape[2])
    return sequence.gather(1, where)[:, 0]


def ages(items: Tensor, ends: Tensor | None = None) -> Tensor:
    """(B, L) -> (1, L, L): by how many clicks position u (column) precedes position t (row).

    ends: (B, P) positions to count from instead of all -> (B, P, L).
    """
    position = torch.arange(items.shape[1], device=items.device)
    return (position[None] if ends is None else ends)[:, :, None] - position
