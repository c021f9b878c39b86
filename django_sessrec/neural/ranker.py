"""The ranker: one layer of attention over the candidates of a session, on their evidence.

A set transformer (Lee et al. 2019) with a linear skip, in which rivals that are alike see more of each other:
their vectors' cosine is added to what attention looks at, as distances are in Graphormer (Ying et al. 2021).
Its lists are trained as they will be served: all queries come from days that the sources had not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from django_sessrec.neural.encoder import NOT_VISIBLE
from django_sessrec.neural.losses import fast_dtype
from django_sessrec.neural.training import TrainingDiverged
from django_sessrec.recsys.candidate_features import FEATURES
from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.recommender import Progress

ALWAYS, DRAWN = 40, 24  # candidates of a training list: the most promising, and some of the others
CLIP = 6.0
FIRST_PULL = (0.0, 2.0, 5.0, 10.0)  # of a cosine of 1, in each of the heads
REPORT_EVERY = 25
SMALLEST_BATCH, STEPS_PER_EPOCH = 16, 100  # a small shop's ranker needs steps more than wide batches
MISSED = -1
MEASURED = 2_000  # lists of a block that tell the features' units
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The lists of one stretch of days.

    vectors:  (n_rows, D) unit rows of the items, by which candidates are alike
    rows:     (n, C) candidates of each list, 0 beyond them
    features: (n, C, F) float16, zeros beyond the candidates of a list
    counts:   (n,) candidates of each list
    targets:  (n,) place among them of the item clicked next, MISSED where it is not
    """

    vectors: FloatArray
    rows: Rows
    features: NDArray[np.float16]
    counts: NDArray[np.int64]
    targets: NDArray[np.int64]

    @classmethod
    def empty(cls, n: int, candidates: int, vectors: FloatArray) -> Block:
        rows = np.zeros((n, candidates), np.int32)
        features = np.zeros((n, candidates, len(FEATURES)), np.float16)
        return cls(vectors, rows, features, np.zeros(n, np.int64), np.full(n, MISSED))

    @property
    def trainable(self) -> NDArray[np.int64]:
        """Numbers of the lists that hold their target."""
        return np.flatnonzero(self.targets != MISSED)


class SetRanker(nn.Module):
    """(B, C, F) features, (B, C, C) cosines and a (B, C) mask of what is a candidate -> (B, C) scores."""

    def __init__(self, mean: Tensor, deviation: Tensor, size: int = 96) -> None:
        """mean, deviation: (F,), so that the features are read in like units."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        n_features = len(mean)
        self.pull = nn.Parameter(torch.tensor(FIRST_PULL))
        self.read = nn.Linear(n_features, size)
        self.think = nn.Linear(size, size)
        self.before_attention = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.attended = nn.Linear(size, size)
        self.before_feed_forward = nn.LayerNorm(size)
        self.feed_forward = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))
        self.judge = nn.Linear(size, 1)
        self.skip = nn.Linear(n_features, 1)

    def forward(self, features: Tensor, cosines: Tensor, mask: Tensor | None = None) -> Tensor:
        x = ((features - self.mean) / self.deviation).clamp(-CLIP, CLIP)  # (B, C, F)
        h = F.gelu(self.read(x))  # (B, C, D)
        h = h + F.gelu(self.think(h))
        h = h + self.attended(self.among_rivals(self.before_attention(h), cosines, mask))
        h = h + self.feed_forward(self.before_feed_forward(h))
        return (self.skip(x) + self.judge(h)).squeeze(-1)

    def among_rivals(self, h: Tensor, cosines: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of every candidate over all of its list, (B, C, D)."""
        parts = self.query_key_value(h).unflatten(-1, (3, len(self.pull), -1))  # (B, C, 3, H, D / H)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, H, C, D / H) each
        alike = self.pull[:, None, None] * cosines[:, None]  # (B, H, C, C)
        logits = torch.matmul(query * key.shape[-1] ** -0.5, key.transpose(2, 3)) + alike
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None, :], NOT_VISIBLE)
        return (logits.softmax(-1) @ value).transpose(1, 2).flatten(-2)


def train_ranker(
    blocks: list[Block],
    *,
    epochs: int = 3,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    seed: int = 0,
    device: torch.device = CPU,
    progress: Progress | None = None,
) -> SetRanker:
    """Fit a ranker on the lists that hold their target; the caller seeds torch."""
    rng, fast = np.random.default_rng(seed), fast_dtype(device)
    ranker = SetRanker(*_moments(blocks)).to(device).train()
    lists = sum(len(block.trainable) for block in blocks)
    batch_size = min(batch_size, max(SMALLEST_BATCH, lists // STEPS_PER_EPOCH))
    steps = epochs * sum(-(-len(block.trainable) // batch_size) for block in blocks)
    optimiser = torch.optim.AdamW(ranker.parameters(), learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=steps + 1, pct_start=0.15
    )
    losses: list[Tensor] = []
    for step, (block, chosen) in enumerate(_batches(blocks, epochs, batch_size, rng), 1):
        lists = (each.to(device) for each in _lists(block, chosen, rng))
        features, cosines, mask, correction, targets = lists
        with torch.autocast(device.type, fast, enabled=fast != torch.float32):
            scores = ranker(features, cosines, mask)
        scores = scores.float().masked_fill(~mask, -1e9) + correction
        loss = F.cross_entropy(scores, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
        if len(losses) == REPORT_EVERY or step == steps:
            mean = float(torch.stack(losses).mean())
            if not np.isfinite(mean):
                raise TrainingDiverged(f"the ranker's loss is {mean} at step {step}")
            losses.clear()
            if progress is not None:
                progress(step / steps, {"ranker_loss": mean})
    return ranker.cpu().eval()


def _batches(
    blocks: list[Block], epochs: int, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Block, NDArray[np.int64]]]:
    """Each epoch all lists once, a batch from one block, the blocks mixed."""
    for _ in range(epochs):
        batches = []
        for block in blocks:
            order = rng.permutation(block.trainable)
            batches += [(block, order[at : at + batch_size]) for at in range(0, len(order), batch_size)]
        for number in rng.permutation(len(batches)):
            yield batches[number]


def _lists(
    block: Block, chosen: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Shorter lists of these queries: features, cosines, mask, what the drawn stand for, the targets' places.

    The first ALWAYS candidates, DRAWN of the others, and the target. The drawn stand for all the others, so
    their logits get the log of that ratio. To cut the list instead and splice the target in would tell
    the ranker: a late rank means the target.
    """
    n, width = len(chosen), block.features.shape[1]
    others = rng.random((n, width - ALWAYS)).argsort(1)[:, :DRAWN] + ALWAYS
    places = np.concatenate((np.tile(np.arange(ALWAYS), (n, 1)), others), 1)  # (n, ALWAYS + DRAWN)
    target = block.targets[chosen, None]
    missing = ~(places == target).any(1)
    places[missing, -1] = target[missing, 0]
    is_target = places == target
    correction = np.where(
        (np.arange(places.shape[1]) >= ALWAYS) & ~is_target, np.log((width - ALWAYS) / DRAWN), 0
    )
    features = block.features[chosen[:, None], places].astype(np.float32)
    vectors = torch.from_numpy(block.vectors[block.rows[chosen[:, None], places]])  # (n, ALWAYS + DRAWN, D)
    return (
        torch.from_numpy(features),
        vectors @ vectors.transpose(1, 2),
        torch.from_numpy(places < block.counts[chosen, None]),
        torch.from_numpy(correction.astype(np.float32)),
        torch.from_numpy(is_target.argmax(1)),
    )


def _moments(blocks: list[Block]) -> tuple[Tensor, Tensor]:
    """(F,) mean and deviation of the features of real candidates, from some lists of each block."""
    seen: list[FloatArray] = []
    for block in blocks:
        every = -(-len(block.counts) // MEASURED)
        some = block.features[::every].astype(np.float32)
        seen.append(some[np.arange(some.shape[1]) < block.counts[::every, None]])
    features = torch.from_numpy(np.concatenate(seen))
    return features.mean(0), features.std(0, correction=0) + 1e-3
