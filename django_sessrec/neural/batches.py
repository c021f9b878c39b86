"""Training batches of a session log: padded windows of similar length, made without a Python loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from django_sessrec.recsys.sessions import SessionLog

BATCHES_SORTED_TOGETHER = 64
DAY = 86_400.0


class Batch(NamedTuple):
    """B windows of at most L clicks with N clicks to predict."""

    items: Tensor  # (B, L) rows, right-padded with 0
    positions: Tensor | slice  # (N,) into the flattened (B * L), or all: the prefixes to train
    targets: Tensor  # (N,) the row clicked next
    weights: Tensor  # (N,) 1 on average over the log

    def of_prefixes(self, after_each_click: Tensor) -> Tensor:
        """(B, L, D) vectors after each click -> (N, D) those of the prefixes to train."""
        return after_each_click.flatten(0, 1)[self.positions]


@dataclass(frozen=True)
class Windows:
    """Runs of at most `window` clicks, with the click after each as its target.

    A longer session becomes several windows that advance by half a window, so that each click is a target
    once and has at least half a window to be predicted from.
    """

    clicks: Tensor  # (n_clicks,) rows of the whole log, on the training device
    starts: NDArray[np.int64]  # (W,) first click of each window
    lengths: NDArray[np.int64]  # (W,) clicks that are read
    fresh: NDArray[np.int64]  # (W,) position from which the next click is a target
    weights: NDArray[np.float32]  # (W,)
    of_clicks: Tensor | None = None  # (n_clicks,) what each click weighs as a target; None: all alike

    @classmethod
    def of(cls, log: SessionLog, window: int, *, recency_days: float | None, device: torch.device) -> Windows:
        """The windows of `log`, with their clicks on `device`.

        recency_days: a session weighs exp(-age / recency_days), its age in days before the end of the log;
        None weighs all sessions alike.

        A click that the log gives a weight weighs as much more or less as a target.
        """
        step = max(window // 2, 1)
        readable = np.maximum(log.lengths - 1, 0)  # the last click is only a target
        beyond = np.maximum(readable - window, 0)
        per_session = np.where(readable > 0, 1 - (-beyond // step), 0)
        session = np.repeat(np.arange(len(log)), per_session)
        nth = np.arange(len(session)) - np.repeat(np.cumsum(per_session) - per_session, per_session)
        start = np.minimum(nth * step, beyond[session])
        trained = np.where(nth > 0, np.minimum((nth - 1) * step, beyond[session]) + window, 0)
        weights = np.ones(len(log))
        if recency_days is not None and len(log):
            weights = np.exp((log.started - log.started[-1]) / (DAY * recency_days))
        taught = readable.astype(np.float64)
        if log.weights is not None:
            summed = np.concatenate(([0.0], np.cumsum(log.weights, dtype=np.float64)))
            taught = summed[log.offsets[1:]] - summed[np.minimum(log.offsets[:-1] + 1, log.offsets[1:])]
        weights *= readable.sum() / max((weights * taught).sum(), 1e-9)
        return cls(
            clicks=torch.from_numpy(log.items.astype(np.int64)).to(device),
            starts=log.offsets[session] + start,
            lengths=np.minimum(readable[session] - start, window),
            fresh=trained - start,
            weights=weights[session].astype(np.float32),
            of_clicks=None if log.weights is None else torch.from_numpy(np.array(log.weights)).to(device),
        )

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def n_targets(self) -> int:
        """Number of targets in all windows."""
        return int((self.lengths - self.fresh).sum())

    def n_targets_of(self, chosen: NDArray[np.int64]) -> int:
        """Number of targets in these windows."""
        return int((self.lengths[chosen] - self.fresh[chosen]).sum())

    def shuffled(self, batch_size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """The numbers of every window once, in batches of similar length drawn from the whole log."""
        order = rng.permutation(len(self))
        group = batch_size * BATCHES_SORTED_TOGETHER
        for first in range(0, len(order), group):
            near = order[first : first + group]
            near = near[np.argsort(self.lengths[near], kind="stable")]
            cuts = np.arange(0, len(near), batch_size)
            for cut in rng.permutation(cuts):
                yield near[cut : cut + batch_size]

    def newest(self, n_targets: int, batch_size: int) -> Iterator[Batch]:
        """The last windows that together hold `n_targets`, in batches of similar length."""
        targets = np.cumsum((self.lengths - self.fresh)[::-1])
        last = np.arange(len(self))[::-1][: np.searchsorted(targets, n_targets) + 1]
        last = last[np.argsort(self.lengths[last], kind="stable")]
        for first in range(0, len(last), batch_size):
            yield self.batch(last[first : first + batch_size])

    def batch(self, chosen: NDArray[np.int64]) -> Batch:
        """The batch of the windows with these (B,) numbers.

        All sizes are computed on the processor, so that no step waits for a GPU.
        """
        device = self.clicks.device
        lengths, fresh = self.lengths[chosen], self.fresh[chosen]
        columns = torch.arange(int(lengths.max()), device=device)
        where = torch.from_numpy(np.stack((self.starts[chosen], lengths, fresh))).to(
            device, non_blocking=True
        )
        starts, lengths_there, fresh_there = where
        clicks = (starts[:, None] + columns).clamp_(max=len(self.clicks) - 1)
        items = self.clicks[clicks] * (columns < lengths_there[:, None])  # (B, L)

        n_targets = int((lengths - fresh).sum())
        counts = lengths_there - fresh_there
        window = torch.arange(len(chosen), device=device)
        window = window.repeat_interleave(counts, output_size=n_targets)  # (N,)
        before = (counts.cumsum(0) - counts)[window]
        position = torch.arange(n_targets, device=device) - before + fresh_there[window]
        target = starts[window] + position + 1
        weights = torch.from_numpy(self.weights[chosen]).to(device, non_blocking=True)[window]
        return Batch(
            items=items,
            positions=window * len(columns) + position,
            targets=self.clicks[target],
            weights=weights if self.of_clicks is None else weights * self.of_clicks[target],
        )

    def padded(self, chosen: Tensor, length: int) -> Batch:
        """The batch of the windows with these (B,) numbers, with all B * L positions as targets.

        Positions that are not trained get weight 0. Shapes do not depend on the numbers, so that a CUDA graph
        can replay the step. The number `len(self)` stands for an empty window.
        """
        starts, lengths, fresh, weights = (of_all[chosen][:, None] for of_all in self._on_device)  # (B, 1)
        columns = torch.arange(length, device=self.clicks.device)
        clicks = starts + columns  # (B, L)
        trained = (columns >= fresh) & (columns < lengths)
        weights = weights * trained * (trained.numel() / trained.sum().clamp(min=1))
        target = (clicks + 1).clamp(max=len(self.clicks) - 1)
        if self.of_clicks is not None:
            weights = weights * self.of_clicks[target]
        return Batch(
            items=self.clicks[clicks.clamp(max=len(self.clicks) - 1)] * (columns < lengths),
            positions=slice(None),
            targets=(self.clicks[target] * trained).flatten(),
            weights=weights.flatten(),
        )

    @cached_property
    def _on_device(self) -> tuple[Tensor, ...]:
        """Starts, lengths, fresh and weights on the device of the clicks, with an empty window at the end."""
        of_all = (self.starts, self.lengths, self.fresh, self.weights)
        return tuple(
            torch.from_numpy(np.append(each, each.dtype.type(0))).to(self.clicks.device) for each in of_all
        )


class EpochSampler:
    """Batches of shuffled windows for all epochs, from the place that its state tells.

    rank, world_size: number of this process and of all; they take turns, and as many batches each.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        epochs: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.windows, self.batch_size = windows, batch_size
        self.epochs, self.seed = epochs, seed
        self.rank, self.world_size = rank, world_size
        self.batches_per_epoch = -(-len(windows) // (batch_size * world_size))  # of each process
        self.epoch, self.done = 1, 0

    @property
    def steps(self) -> int:
        """Batches of all epochs."""
        return self.epochs * self.batches_per_epoch

    def batches(self) -> Iterator[NDArray[np.int64]]:
        """The window numbers of each batch left of this epoch; what is yielded counts as done."""
        shuffled = self.windows.shuffled(self.batch_size, np.random.default_rng([self.seed, self.epoch]))
        of_all = islice(cycle(shuffled), self.batches_per_epoch * self.world_size)
        for chosen in islice(of_all, self.done * self.world_size + self.rank, None, self.world_size):
            self.done += 1
            yield chosen
        self.epoch, self.done = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """The epoch, and how many of its batches are done."""
        return {"epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batches that another sampler of the same windows had done."""
        self.epoch, self.done = state["epoch"], state["done"]
