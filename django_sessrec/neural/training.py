"""The training loop of every encoder."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from django_sessrec.neural.batches import Batch, EpochSampler, Windows
from django_sessrec.neural.checkpoint import Checkpoint, RandomState, Stateful
from django_sessrec.neural.cuda_graphs import GraphedSteps
from django_sessrec.neural.distributed import ProcessGroup
from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.errors import TrainingDiverged
from django_sessrec.neural.lazy_adam import LazyAdam
from django_sessrec.neural.negatives import Negatives
from django_sessrec.neural.schedules import Share
from django_sessrec.recsys.recommender import Progress
from django_sessrec.recsys.sessions import SessionLog

MIN_BATCH_SIZE, MIN_STEPS_PER_EPOCH = 16, 100  # a small shop's network needs steps more than wide batches
AVERAGING = 0.999
AVERAGED_EVERY, AVERAGED_ROWS = 8, 50_000  # steps, for so many items: more are averaged less often
REPORT_EVERY = 50  # steps between looks at the loss, each of which waits for a GPU
VALIDATION_TARGETS = 20_000
SCORES_AT_ONCE = 2**25  # float32: 128 MB


class LossInputs(NamedTuple):
    """What a recipe's loss compares: the vectors of a batch's prefixes with those of items."""

    batch: Batch
    vectors: Tensor  # (N, D) of prefixes
    targets: Tensor  # (N, D) of the items clicked next
    negatives: Tensor  # (K, D) of the rows drawn
    drawn: Tensor  # (K,)
    sampler: Negatives


class Recipe(Protocol):
    """Attributes of an estimator that the loop reads."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def recency_days(self) -> float | None: ...
    @property
    def seed(self) -> int: ...

    def learning_rate_schedule(self, steps: int) -> Share: ...
    def negative_sampler(self, sessions: SessionLog) -> Negatives: ...
    def draw(self, sampler: Negatives, batch: Batch) -> Tensor: ...
    def optimizer(self, encoder: SessionEncoder) -> torch.optim.Optimizer: ...
    def loss(self, inputs: LossInputs) -> Tensor: ...
    def to_json(self) -> dict[str, Any]: ...


class Trainer:
    """One encoder's training run, on the device of its weights.

    Under torchrun every process has one, and all of them take the same steps.
    """

    def __init__(
        self, encoder: SessionEncoder, recipe: Recipe, sessions: SessionLog, group: ProcessGroup | None = None
    ) -> None:
        self.encoder, self.recipe, self.sessions = encoder, recipe, sessions
        self.group = group or ProcessGroup()
        self.device = encoder.items.weight.device
        windows = Windows.of(sessions, recipe.window, recency_days=recipe.recency_days, device=self.device)
        at_most = len(windows) // (MIN_STEPS_PER_EPOCH * self.group.world_size)
        self.sampler = EpochSampler(
            windows,
            min(recipe.batch_size, max(MIN_BATCH_SIZE, at_most)),
            recipe.epochs,
            recipe.seed,
            rank=self.group.rank,
            world_size=self.group.world_size,
        )
        self.negatives = recipe.negative_sampler(sessions).to(self.device)
        self.optimizer = recipe.optimizer(encoder)
        self.table = self.optimizer.table if isinstance(self.optimizer, LazyAdam) else None
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, recipe.learning_rate_schedule(self.sampler.steps)
        )
        self.graphed_steps = GraphedSteps(self.sampler, self.optimizer) if self.can_use_cuda_graphs else None

    def fit(self, validation: SessionLog | None, progress: Progress | None, checkpoint: Checkpoint) -> None:
        """Train to the end; the encoder is left with the moving average of its weights.

        With validation, training stops after an epoch that ranks it worse, and the best epoch is kept. A run
        resumed from its checkpoint ends as if it had never been interrupted. Raises TrainingDiverged.
        """
        average = MovingAverage(self.encoder)
        reporter = ProgressReporter(progress, self.sampler.steps, self.device)
        parts = self.parts() | {"average": average, "reporter": reporter, "random": RandomState()}
        stopping = None
        if validation is not None and (validation.lengths > 1).any():
            stopping = EarlyStopping(validation, self.recipe.window, self.device)
            parts["stopping"] = stopping
        if checkpoint.resume(parts, device=self.device.type, processes=self.group.world_size):
            reporter.report(self.sampler.epoch)
        self.send_to_followers()
        improved = True
        while self.group.agree(self.encoder, improved and self.sampler.epoch <= self.recipe.epochs):
            epoch = self.sampler.epoch
            self.encoder.train()
            for chosen in self.sampler.batches():
                loss = self.step(chosen)
                average.update()
                reporter.count(epoch, loss, self.sampler.windows.n_targets_of(chosen))
                checkpoint.keep_if_due(parts)
            average.catch_up()
            reporter.look(epoch)
            if stopping is not None:
                improved = stopping.improved(average.averaged)
                reporter.report(epoch, mrr=stopping.latest)
            if improved:
                checkpoint.keep(parts)
        self.encoder.load_state_dict(stopping.best if stopping else average.averaged.state_dict())
        checkpoint.finish(self.encoder)

    def step(self, chosen: NDArray[np.int64]) -> Tensor:
        """One step on the windows with these (B,) numbers; returns their mean loss, ()."""
        if self.graphed_steps is None:
            loss = self.train_on(self.sampler.windows.batch(chosen))
        else:
            loss = self.graphed_steps.step(chosen, self.train_on)
        self.schedule.step()
        return loss

    def train_on(self, batch: Batch) -> Tensor:
        """Forward, backward and a step of the optimizer, on the mean gradients of all processes."""
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        weights = [*self.encoder.parameters(), *([] if self.table is None else [self.table.read])]
        self.group.average([weight.grad for weight in weights if weight.grad is not None])
        self.optimizer.step()
        return loss.detach()

    def loss(self, batch: Batch) -> Tensor:
        """The recipe's loss, (), of all trained positions; item vectors are gathered once for all uses."""
        n_targets, (n_windows, length) = len(batch.targets), batch.items.shape
        drawn = self.recipe.draw(self.negatives, batch)
        rows = torch.cat((batch.items.flatten(), batch.targets, drawn))
        if self.table is None:
            vectors = self.encoder.item_vectors(rows)
        else:
            of_all = torch.cat((rows, self.group.rows_of_others(rows)))
            vectors = self.encoder.item_vectors(of_all, self.table)[: len(rows)]
        read, targets, negatives = vectors.split((n_windows * length, n_targets, len(drawn)))
        after = self.encoder.after_each_click(batch.items, read.view(n_windows, length, -1))
        prefixes = batch.of_prefixes(after)  # (N, D)
        return self.recipe.loss(LossInputs(batch, prefixes, targets, negatives, drawn, self.negatives))

    @property
    def can_use_cuda_graphs(self) -> bool:
        """Whether the whole step runs on the GPU, so that it can be replayed."""
        fused = all(group.get("fused") for group in self.optimizer.param_groups)
        return fused and self.device.type == "cuda" and not self.group.is_distributed

    def parts(self) -> dict[str, Stateful]:
        """What a step changes, by the names under which checkpoints and followers get its state."""
        return {
            "network": self.encoder,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "sampler": self.sampler,
        }

    def send_to_followers(self) -> None:
        """Have the other processes, if any, make this trainer in its present state (torchrun.py)."""
        if self.group.is_distributed:
            arrays = {name: torch.from_numpy(array) for name, array in self.sessions.arrays().items()}
            state = {name: part.state_dict() for name, part in self.parts().items()}
            rows = len(self.sessions.index)
            self.group.send(
                {"estimator": self.recipe.to_json(), "rows": rows, "state": state, "clicks": arrays}
            )


class MovingAverage:
    """A copy of a network that follows its weights slowly, and ranks better than any one step of them."""

    def __init__(self, network: SessionEncoder) -> None:
        self.network, self.averaged = network, copy.deepcopy(network).eval()
        for module in self.averaged.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # for cuDNN, which would do it again in every forward pass
        self.every = AVERAGED_EVERY * -(-network.items.num_embeddings // AVERAGED_ROWS)
        self.steps, self.keep = 0, 1.0

    def update(self) -> None:
        """Count one step of the network; every few steps move the copy."""
        self.steps += 1
        self.keep *= min(AVERAGING, self.steps / (9 + self.steps))  # short trainings forget faster
        if self.steps % self.every == 0:
            self.catch_up()

    @torch.no_grad()
    def catch_up(self) -> None:
        """Move the copy for the steps counted since it last moved."""
        averaged: list[Tensor] = list(self.averaged.parameters())
        latest: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(averaged, latest, 1 - self.keep)
        self.keep = 1.0

    def state_dict(self) -> dict[str, Any]:
        """The copy's weights, and the steps counted."""
        return {"averaged": self.averaged.state_dict(), "steps": self.steps, "keep": self.keep}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of another average of the same network."""
        self.averaged.load_state_dict(state["averaged"])
        self.steps, self.keep = state["steps"], state["keep"]


class ProgressReporter:
    """Share of the steps done, mean loss and speed; ends training when the loss is not a number.

    Losses are added up on the device, so that a GPU is waited for only every REPORT_EVERY steps.
    """

    def __init__(self, progress: Progress | None, steps: int, device: torch.device) -> None:
        self.progress, self.steps = progress, steps
        self.began = time.perf_counter()
        self.done = self.targets = self.pending = 0
        self.total = torch.zeros((), device=device)
        self.loss = math.nan

    def count(self, epoch: int, loss: Tensor, targets: int) -> None:
        """Add a step's loss, (), and its number of targets; look at the losses when there are enough."""
        self.total += loss
        self.done, self.targets, self.pending = self.done + 1, self.targets + targets, self.pending + 1
        if self.pending == REPORT_EVERY:
            self.look(epoch)

    def look(self, epoch: int) -> None:
        """Report the mean of the losses since the last look; TrainingDiverged if it is not a number."""
        if not self.pending:
            return
        loss = float(self.total) / self.pending
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {loss} in epoch {epoch}, within {self.pending} steps of step {self.done}; "
                "train with a lower learning_rate"
            )
        # The mean of an epoch's few left-over steps is noise: they count with the next ones.
        if self.pending >= REPORT_EVERY // 2 or math.isnan(self.loss):
            self.loss = loss
            self.total.zero_()
            self.pending = 0
        self.report(epoch)

    def report(self, epoch: int, **figures: float) -> None:
        """Call `progress` with the share done, epoch, loss, targets a second, and `figures`."""
        if self.progress is not None:
            speed = self.targets / (time.perf_counter() - self.began)
            shown = {"epoch": epoch, "loss": self.loss, "targets_per_s": speed, **figures}
            self.progress(self.done / self.steps, shown)

    def state_dict(self) -> dict[str, Any]:
        """Steps done, and the losses not yet reported."""
        return {"done": self.done, "pending": self.pending, "total": self.total, "loss": self.loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of another reporter of the same run."""
        self.done, self.pending, self.loss = state["done"], state["pending"], state["loss"]
        self.total = state["total"].to(self.total.device)


class EarlyStopping:
    """MRR on the newest validation clicks after each epoch, and the weights that reached the highest."""

    def __init__(self, validation: SessionLog, window: int, device: torch.device) -> None:
        self.windows = Windows.of(validation, window, recency_days=None, device=device)
        self.batch_size = max(1, SCORES_AT_ONCE // (window * len(validation.index)))
        self.latest = self.highest = -1.0
        self.best: dict[str, Tensor] = {}

    def improved(self, network: SessionEncoder) -> bool:
        """Whether `network` ranks better than any before; if so, its weights are kept."""
        self.latest = self.mrr(network)
        if self.latest <= self.highest:
            return False
        self.highest = self.latest
        self.best = {name: value.clone() for name, value in network.state_dict().items()}
        return True

    @torch.no_grad()
    def mrr(self, network: SessionEncoder) -> float:
        """Mean reciprocal rank among all items, 0 to 1; ties, and what is no number, count against it."""
        items = network.item_vectors(
            torch.arange(network.items.num_embeddings, device=network.items.weight.device)
        )
        total, targets = 0.0, 0
        for batch in self.windows.newest(VALIDATION_TARGETS, self.batch_size):
            after = network.after_each_click(batch.items, items[batch.items])
            scores = batch.of_prefixes(after) @ items[1:].T  # (N, n_items)
            of_target = scores.gather(1, batch.targets[:, None] - 1)
            total += float((1 / (~(scores < of_target)).sum(1)).sum())
            targets += len(batch.targets)
        return total / targets

    def state_dict(self) -> dict[str, Any]:
        """The latest and the highest MRR, and the weights that reached it."""
        return {"latest": self.latest, "highest": self.highest, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of another one on the same validation sessions."""
        self.latest, self.highest, self.best = state["latest"], state["highest"], state["best"]


def training_device(name: str) -> torch.device:
    """The torch device of that name; "auto" is the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def training_threads(threads: int | None) -> Iterator[None]:
    """A context with a fixed number of torch's threads; None leaves its setting."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
