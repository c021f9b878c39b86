"""Ranker of a session's candidates by their features: one layer of attention over the list.

A set transformer (Lee et al. 2019) with a linear skip connection, in which similar candidates attend to each
other more: the cosine of their vectors is added to the attention logits, as distances are in Graphormer (Ying
et al. 2021). Lists are trained as they are served: all queries come from days that the sources had not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from django_sessrec.neural.encoder import NOT_VISIBLE
from django_sessrec.neural.errors import TrainingDiverged
from django_sessrec.neural.export import require_match, traced
from django_sessrec.neural.losses import fast_dtype
from django_sessrec.recsys.candidate_features import FEATURES
from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.onnx_session import open_session
from django_sessrec.recsys.recommender import Progress

ALWAYS, DRAWN = 40, 24  # candidates of a training list: the most promising, and some of the others
CLIP = 6.0
FIRST_PULL = (0.0, 2.0, 5.0, 10.0)  # of a cosine of 1, in each of the heads
REPORT_EVERY = 25
MIN_BATCH_SIZE, MIN_STEPS_PER_EPOCH = 16, 100  # a small shop's ranker needs steps more than wide batches
MISSED = -1
MEASURED = 2_000  # lists of a period from which the features' mean and deviation are taken
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class RankingLists:
    """Lists of candidates for the clicks of one period.

    vectors:  (n_rows, D) unit rows of the items, by which candidates are alike
    rows:     (n, C) candidates of each list, 0 beyond them
    features: (n, C, F) float16, zeros beyond the candidates of a list
    counts:   (n,) candidates of each list
    targets:  (n,) place among them of the item clicked next, MISSED where it is not
    weights:  (n,) of each list in the loss
    """

    vectors: FloatArray
    rows: Rows
    features: NDArray[np.float16]
    counts: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: FloatArray

    @classmethod
    def empty(cls, n: int, candidates: int, vectors: FloatArray) -> RankingLists:
        """`n` lists with room for `candidates` each, to be filled in place."""
        rows = np.zeros((n, candidates), np.int32)
        features = np.zeros((n, candidates, len(FEATURES)), np.float16)
        missed = np.full(n, MISSED)
        return cls(vectors, rows, features, np.zeros(n, np.int64), missed, np.ones(n, np.float32))

    @property
    def trainable(self) -> NDArray[np.int64]:
        """(m,) numbers of the lists that hold their target, and teach anything."""
        return np.flatnonzero((self.targets != MISSED) & (self.weights > 0))


class SetRanker(nn.Module):
    """(B, C, F) features, (B, C, C) cosines and a (B, C) mask of what is a candidate -> (B, C) scores."""

    mean: Tensor
    deviation: Tensor
    skip: nn.Linear

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
    periods: Sequence[RankingLists],
    *,
    epochs: int = 3,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    seed: int = 0,
    device: torch.device = CPU,
    progress: Progress | None = None,
) -> SetRanker:
    """A ranker fitted on the lists that hold their target; the caller seeds torch.

    Raises TrainingDiverged.
    """
    rng, fast = np.random.default_rng(seed), fast_dtype(device)
    ranker = SetRanker(*_moments(periods)).to(device).train()
    n_lists = sum(len(lists.trainable) for lists in periods)
    usual = sum(float(lists.weights[lists.trainable].sum()) for lists in periods) / n_lists
    batch_size = min(batch_size, max(MIN_BATCH_SIZE, n_lists // MIN_STEPS_PER_EPOCH))
    steps = epochs * sum(-(-len(lists.trainable) // batch_size) for lists in periods)
    optimizer = torch.optim.AdamW(ranker.parameters(), learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps + 1, pct_start=0.15
    )
    losses: list[Tensor] = []
    for step, (lists, chosen) in enumerate(_batches(periods, epochs, batch_size, rng), 1):
        batch = (each.to(device) for each in _shortened(lists, chosen, rng))
        features, cosines, mask, correction, targets, weights = batch
        with torch.autocast(device.type, fast, enabled=fast != torch.float32):
            scores = ranker(features, cosines, mask)
        scores = scores.float().masked_fill(~mask, -1e9) + correction
        losses_of_lists = F.cross_entropy(scores, targets, reduction="none")
        loss = (weights * losses_of_lists).mean() / usual
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
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


def export_ranker(ranker: SetRanker) -> bytes:
    """An ONNX file of (1, n, F) features, (1, n, n) cosines -> (1, n) scores, any n; or ExportMismatch."""
    ranker = ranker.eval()
    n = "candidates"
    axes = {"features": {1: n}, "cosines": {1: n, 2: n}, "scores": {1: n}}
    content = traced(ranker, (ranker.mean.expand(1, 3, -1), torch.eye(3)[None]), axes)
    session = open_session(content, "ranker")
    rng = torch.Generator().manual_seed(0)
    for candidates in (1, 2, 7, 100):
        draw = torch.randn(1, candidates, len(ranker.mean), generator=rng)
        features = ranker.mean + ranker.deviation * draw
        vectors = F.normalize(draw, dim=-1)
        cosines = vectors @ vectors.transpose(1, 2)
        with torch.no_grad():
            trained = ranker(features, cosines).numpy()
        (served,) = session.run(None, {"features": features.numpy(), "cosines": cosines.numpy()})
        require_match(served - trained, f"ranker's scores for {candidates} candidates")
    return content


def _batches(
    periods: Sequence[RankingLists], epochs: int, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[RankingLists, NDArray[np.int64]]]:
    """Each epoch all lists once, a batch from one period, the periods mixed."""
    for _ in range(epochs):
        batches = []
        for lists in periods:
            order = rng.permutation(lists.trainable)
            batches += [(lists, order[at : at + batch_size]) for at in range(0, len(order), batch_size)]
        for number in rng.permutation(len(batches)):
            yield batches[number]


def _shortened(
    lists: RankingLists, chosen: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Tensor, ...]:
    """Shorter versions of the chosen lists: features, cosines, mask, logit corrections, the targets' places,
    the lists' weights.

    The first ALWAYS candidates, DRAWN of the others, and the target. The drawn stand for all the others, so
    their logits get the log of that ratio. To cut the list and put the target in would teach the ranker that
    a late rank means the target.
    """
    n, width = len(chosen), lists.features.shape[1]
    others = rng.random((n, width - ALWAYS)).argsort(1)[:, :DRAWN] + ALWAYS
    places = np.concatenate((np.tile(np.arange(ALWAYS), (n, 1)), others), 1)  # (n, ALWAYS + DRAWN)
    target = lists.targets[chosen, None]
    missing = ~(places == target).any(1)
    places[missing, -1] = target[missing, 0]
    is_target = places == target
    correction = np.where(
        (np.arange(places.shape[1]) >= ALWAYS) & ~is_target, np.log((width - ALWAYS) / DRAWN), 0
    )
    features = lists.features[chosen[:, None], places].astype(np.float32)
    vectors = torch.from_numpy(lists.vectors[lists.rows[chosen[:, None], places]])  # (n, ALWAYS + DRAWN, D)
    return (
        torch.from_numpy(features),
        vectors @ vectors.transpose(1, 2),
        torch.from_numpy(places < lists.counts[chosen, None]),
        torch.from_numpy(correction.astype(np.float32)),
        torch.from_numpy(is_target.argmax(1)),
        torch.from_numpy(lists.weights[chosen]),
    )


def _moments(periods: Sequence[RankingLists]) -> tuple[Tensor, Tensor]:
    """(F,) mean and deviation of the features of real candidates, from some lists of each period."""
    seen: list[FloatArray] = []
    for lists in periods:
        every = max(1, -(-len(lists.counts) // MEASURED))
        some = lists.features[::every].astype(np.float32)
        seen.append(some[np.arange(some.shape[1]) < lists.counts[::every, None]])
    features = torch.from_numpy(np.concatenate(seen))
    return features.mean(0), features.std(0, correction=0) + 1e-3
