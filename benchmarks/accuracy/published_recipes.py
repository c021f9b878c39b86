"""GRU4Rec, SASRec and SR-GNN close to how their papers train them, to compare the package's own recipes with.

Networks, losses and hyper-parameters are the papers', but for what is named here; sessions, windows,
evaluation and the training loop are the package's. Each file of `django_sessrec.neural` names its paper and
the figures.

All three end with the moving average of their weights, as every network of the package does.
GRU4RecPaper and SASRecPaper also warm their learning rate up and let it fall along a cosine; the papers keep
theirs. GRU4RecPaper learns from whole windows of a session, not click by click from sessions side by side,
and takes no negatives from the batch beside those that are drawn.
SASRecPaper has the package's attention blocks: GELU and a feed-forward layer twice as wide as the vectors,
where the paper has ReLU and one as wide as they are, and no dropout on the attention weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from django_sessrec.neural.batches import Batch
from django_sessrec.neural.encoder import SessionEncoder, ages
from django_sessrec.neural.gru4rec import GRU4Rec
from django_sessrec.neural.losses import full_softmax
from django_sessrec.neural.negatives import Negatives
from django_sessrec.neural.sasrec import AttentionBlock, SASRec
from django_sessrec.neural.schedules import Share
from django_sessrec.neural.srgnn import SRGNN, GraphEncoder
from django_sessrec.neural.training import LossInputs
from django_sessrec.recsys.sessions import SessionLog


@dataclass(frozen=True, kw_only=True)
class GRU4RecPaper(GRU4Rec):
    """As published in 2018, to measure the recipe above against: from scratch, inner products, Adagrad.

    objective: "cross_entropy" (with log-q correction) or "bpr_max".
    alpha: negatives are drawn in proportion to popularity^alpha.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.05
    dropout: float = 0.0
    item_dropout: float = 0.3
    scale: float | None = None
    negatives: int = 2048
    recency_days: float | None = None
    smoothing: float = 0.0
    objective: Literal["cross_entropy", "bpr_max"] = "cross_entropy"
    alpha: float = 0.5
    regularisation: float = 1.0

    def encoder(self, items: Tensor) -> SessionEncoder:
        return PaperGRUEncoder(items, self)

    def initial_vectors(self, sessions: SessionLog) -> Tensor:
        return random_vectors(len(sessions.index), self.embedding_size)

    def negative_sampler(self, sessions: SessionLog) -> Negatives:
        return PopularNegatives.of(sessions, self.negatives, self.alpha)

    def optimizer(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(encoder.parameters(), self.learning_rate, eps=1e-6)

    def loss(self, inputs: LossInputs) -> Tensor:
        if self.objective == "bpr_max":
            return bpr_max(
                inputs.vectors,
                inputs.targets,
                inputs.negatives,
                inputs.batch.weights,
                regularisation=self.regularisation,
            )
        assert isinstance(inputs.sampler, PopularNegatives)
        return cross_entropy(
            inputs.vectors,
            inputs.targets,
            inputs.negatives,
            inputs.batch.weights,
            log_expected=inputs.sampler.log_expected(inputs.drawn),
        )


class PaperGRUEncoder(SessionEncoder):
    """A GRU whose state is the session's vector."""

    def __init__(self, items: Tensor, config: GRU4RecPaper) -> None:
        super().__init__(items, scale=config.scale, item_dropout=config.item_dropout)
        self.gru = nn.GRU(config.embedding_size, config.embedding_size, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)

    def states(self, items: Tensor, vectors: Tensor) -> Tensor:
        return self.dropout(self.gru(vectors)[0])


@dataclass(frozen=True, kw_only=True)
class SASRecPaper(SASRec):
    """As published, to measure the recipe above against: one negative per click, absolute positions."""

    embedding_size: int = 50
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    dropout: float = 0.5
    item_dropout: float = 0.0
    scale: float | None = None
    recency_days: float | None = None
    smoothing: float = 0.0
    heads: int = 1

    def encoder(self, items: Tensor) -> SessionEncoder:
        return PaperAttentionEncoder(items, self)

    def initial_vectors(self, sessions: SessionLog) -> Tensor:
        return random_vectors(len(sessions.index), self.embedding_size)

    def draw(self, sampler: Negatives, batch: Batch) -> Tensor:
        return sampler.draw(batch.items.device, len(batch.targets))

    def loss(self, inputs: LossInputs) -> Tensor:
        return binary(inputs.vectors, inputs.targets, inputs.negatives, inputs.batch.weights)


class PaperAttentionEncoder(SessionEncoder):
    """Attention blocks over items and absolute positions, whose output is the session's vector."""

    def __init__(self, items: Tensor, config: SASRecPaper) -> None:
        super().__init__(items, scale=config.scale, item_dropout=config.item_dropout)
        size = config.embedding_size
        self.blocks = nn.ModuleList(
            AttentionBlock(size, config.heads, None, config.dropout) for _ in range(config.blocks)
        )
        self.position = nn.Parameter(0.02 * torch.randn(config.window, size))
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(size)

    def states(self, items: Tensor, vectors: Tensor) -> Tensor:
        age = ages(items)
        states = self.dropout(vectors * vectors.shape[2] ** 0.5 + self.position[: items.shape[1]])
        for block in self.blocks:
            states = block(states, age)
        return self.norm(states)


@dataclass(frozen=True, kw_only=True)
class SRGNNPaper(SRGNN):
    """As published, to measure the recipe above against: from scratch, inner products, full softmax.

    The paper's rate falls to a tenth after three epochs; on held-out days of Diginetica these three are best.
    """

    embedding_size: int = 100
    epochs: int = 3
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    item_dropout: float = 0.0
    scale: float | None = None
    recency_days: float | None = None
    smoothing: float = 0.0

    def encoder(self, items: Tensor) -> SessionEncoder:
        return PaperGraphEncoder(items, self)

    def initial_vectors(self, sessions: SessionLog) -> Tensor:
        return random_vectors(len(sessions.index), self.embedding_size)

    def learning_rate_schedule(self, steps: int) -> Share:
        return lambda _: 1.0

    def negative_sampler(self, sessions: SessionLog) -> Negatives:
        return Negatives.uniform(sessions.index, len(sessions.index) - 1)

    def optimizer(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            encoder.parameters(), self.learning_rate, weight_decay=self.weight_decay, fused=True
        )

    def loss(self, inputs: LossInputs) -> Tensor:
        return full_softmax(inputs.vectors, inputs.targets, inputs.negatives, inputs.batch.weights)


class PaperGraphEncoder(GraphEncoder):
    """The paper's network as it stands."""

    def __init__(self, items: Tensor, config: SRGNNPaper) -> None:
        super().__init__(items, config)
        del self.readout

    def of_prefixes(self, items: Tensor, vectors: Tensor, ends: Tensor) -> Tensor:
        return self.attention(self.propagation(vectors, items, ends), ends)


def cross_entropy(
    vectors: Tensor, targets: Tensor, negatives: Tensor, weights: Tensor, *, log_expected: Tensor
) -> Tensor:
    """Softmax over the target and negatives drawn unevenly, for logits of any size.

    log_expected: (K,) log of how often each negative is expected among the K draws; taking it off the
    logits (log-q correction) makes the sample stand for the whole catalogue. Zeros where the negatives are
    all the items but the target.
    """
    hits = (vectors * targets).sum(1, keepdim=True)
    misses = vectors @ negatives.t() - log_expected
    losses = torch.cat((hits, misses), 1).logsumexp(1) - hits.squeeze(1)
    return (weights * losses).mean()


def bpr_max(
    vectors: Tensor, targets: Tensor, negatives: Tensor, weights: Tensor, *, regularisation: float
) -> Tensor:
    """BPR against a soft maximum of the negatives (Hidasi & Karatzoglou 2018, equations 7 and 10)."""
    hits = (vectors * targets).sum(1, keepdim=True)
    misses = F.elu(vectors @ negatives.t(), 0.5)
    attention = misses.softmax(1)
    won = (attention * (F.elu(hits, 0.5) - misses).sigmoid()).sum(1)
    losses = -(won + 1e-24).log() + regularisation * (attention * misses.square()).sum(1)
    return (weights * losses).mean()


def binary(vectors: Tensor, targets: Tensor, negatives: Tensor, weights: Tensor) -> Tensor:
    """The target against the one negative beside it, each on its own (Kang & McAuley 2018, equation 6)."""
    losses = F.softplus(-(vectors * targets).sum(1)) + F.softplus((vectors * negatives).sum(1))
    return (weights * losses).mean()


def random_vectors(n_rows: int, size: int) -> Tensor:
    """(n_rows, size) as the papers start: uniform within 1 / sqrt(size), row 0 zeros."""
    vectors = (2 * torch.rand(n_rows, size) - 1) / size**0.5
    vectors[0] = 0
    return vectors


@dataclass(frozen=True, eq=False)
class PopularNegatives(Negatives):
    """A sampler of rows with chances in proportion to popularity^alpha.

    chances: (n_items,) cumulative chance of each row from 1 up
    """

    chances: Tensor

    @classmethod
    def of(cls, sessions: SessionLog, count: int, alpha: float) -> PopularNegatives:
        """Clicked items with chances clicks^alpha: 1 is in proportion to clicks, 0 is uniform."""
        clicks = np.bincount(sessions.items, minlength=len(sessions.index))[1:]
        chances = np.where(clicks > 0, clicks.astype(np.float64) ** alpha, 0)
        cumulative = np.cumsum(chances)
        return cls(len(chances), count, torch.from_numpy(cumulative / cumulative[-1]))

    def to(self, device: torch.device) -> PopularNegatives:
        return replace(self, chances=self.chances.to(device))

    def draw(self, device: torch.device, count: int | None = None) -> Tensor:
        wanted = self.count if count is None else count
        drawn = torch.rand(wanted, dtype=torch.float64, device=device)
        return torch.searchsorted(self.chances, drawn, right=True) + 1

    def log_expected(self, rows: Tensor) -> Tensor:
        """(K,) log of how often each drawn row is expected among K draws."""
        chance = torch.diff(self.chances, prepend=self.chances.new_zeros(1))[rows - 1]
        return (chance * len(rows)).log().float()
