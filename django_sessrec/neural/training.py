"""The one training loop for every encoder."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from django_sessrec.neural.batches import Batch, Walk, Windows
from django_sessrec.neural.checkpoint import Checkpoint, RandomState, Stateful
from django_sessrec.neural.cuda_graphs import Recorded
from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.lazy_adam import LazyAdam
from django_sessrec.neural.negatives import Negatives
from django_sessrec.neural.torchrun import Peers
from django_sessrec.recsys.recommender import Progress
from django_sessrec.recsys.sessions import SessionLog

if TYPE_CHECKING:
    from django_sessrec.neural.estimator import NeuralEstimator

SMALLEST_BATCH, STEPS_PER_EPOCH = 16, 100  # a small shop's net needs steps more than wide batches
AVERAGING = 0.999
AVERAGED_EVERY, AVERAGED_ROWS = 8, 50_000  # steps, for so many items: more are averaged less often
REPORT_EVERY = 50  # steps between looks at the loss, each of which waits for a GPU
VALIDATION_TARGETS = 20_000
SCORES_AT_ONCE = 2**25  # float32: 128 MB


class TrainingDiverged(RuntimeError):  # noqa: N818
    """The loss is no longer a number; nothing of this training can be used."""


class Comparison(NamedTuple):
    """What a loss looks at: the vectors of a batch's prefixes beside those of items."""

    batch: Batch
    vectors: Tensor  # (N, D) of prefixes
    targets: Tensor  # (N, D) of the items clicked next
    others: Tensor  # (K, D) of the rows drawn
    drawn: Tensor  # (K,)
    negatives: Negatives


def train(
    encoder: SessionEncoder,
    recipe: NeuralEstimator,
    sessions: SessionLog,
    validation: SessionLog | None = None,
    progress: Progress | None = None,
    *,
    checkpoint: Checkpoint,
) -> None:
    """Train `encoder` where its weights lie; it is left with their moving average.

    With validation, training stops after an epoch that ranks it worse, and the best epoch is kept. A
    training whose checkpoint was kept is gone on with, and ends as if it had never been killed.
    """
    if checkpoint.is_trained(encoder):
        return
    learning = Learning(encoder, recipe, sessions, Peers())
    device, walk = encoder.items.weight.device, learning.walk
    average = MovingAverage(encoder)
    report = Report(progress, walk.steps, device)
    judge = Judge(validation, recipe.window, device) if has_pairs(validation) else None
    parts = learning.parts() | {"average": average, "report": report, "random": RandomState()}
    if judge is not None:
        parts["judge"] = judge
    if checkpoint.resume(parts):
        report.tell(walk.epoch)
    learning.peers.send(recipe, sessions, learning)
    better = True
    while learning.peers.agree(encoder, go_on=better and walk.epoch <= recipe.epochs):
        epoch = walk.epoch
        encoder.train()
        for chosen in walk.batches():
            loss = learning.step(chosen)
            average.update()
            report.step(epoch, loss, walk.windows.n_targets_of(chosen))
            checkpoint.keep_if_due(parts)
        report.look(epoch)
        if judge is not None:
            better = judge.better(average.averaged)
            report.tell(epoch, mrr=judge.latest)
        if better:
            checkpoint.keep(parts)
    encoder.load_state_dict(judge.best if judge is not None else average.averaged.state_dict())
    checkpoint.finish(encoder)


class Learning:
    """What a step reads and changes: the net, its optimiser, and the way through the windows."""

    def __init__(
        self, encoder: SessionEncoder, recipe: NeuralEstimator, sessions: SessionLog, peers: Peers
    ) -> None:
        self.encoder, self.recipe, self.peers = encoder, recipe, peers
        device = encoder.items.weight.device
        windows = Windows.of(sessions, recipe.window, recency_days=recipe.recency_days, device=device)
        self.negatives = recipe.negatives_of(sessions).to(device)
        at_most = len(windows) // (STEPS_PER_EPOCH * peers.world)
        batch_size = min(recipe.batch_size, max(SMALLEST_BATCH, at_most))
        self.walk = Walk(windows, batch_size, recipe.epochs, recipe.seed, peers.rank, peers.world)
        self.optimiser = recipe.optimiser(encoder)
        self.table = self.optimiser.table if isinstance(self.optimiser, LazyAdam) else None
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, recipe.rates(self.walk.steps))
        self.recorded = Recorded(self.walk, self.optimiser) if self.is_recordable else None

    @property
    def is_recordable(self) -> bool:
        """Whether a GPU does the whole step, so that it can replay it."""
        fused = all(group.get("fused") for group in self.optimiser.param_groups)
        return fused and self.encoder.items.weight.is_cuda and self.peers.world == 1

    def parts(self) -> dict[str, Stateful]:
        net = {"net": self.encoder, "optimiser": self.optimiser}
        return net | {"schedule": self.schedule, "walk": self.walk}

    def step(self, chosen: NDArray[np.int64]) -> Tensor:
        """Learn from the windows with these numbers, and from the peers'; the loss of its own."""
        if self.recorded is None:
            loss = self.learn(self.walk.windows.batch(chosen))
        else:
            loss = self.recorded.step(chosen, self.learn)
        self.schedule.step()
        return loss

    def learn(self, batch: Batch) -> Tensor:
        """One step of the net, the schedule's aside."""
        self.optimiser.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        weights = [*self.encoder.parameters(), *([] if self.table is None else [self.table.read])]
        self.peers.average([weight.grad for weight in weights if weight.grad is not None])
        self.optimiser.step()
        return loss.detach()

    def loss(self, batch: Batch) -> Tensor:
        """At every trained position; the items' vectors are gathered once for all their uses."""
        n_targets, (n_windows, length) = len(batch.targets), batch.items.shape
        drawn = self.recipe.draw(self.negatives, batch)
        rows = torch.cat((batch.items.flatten(), batch.targets, drawn))
        if self.table is None:
            vectors = self.encoder.item_vectors(rows)
        else:
            of_all = torch.cat((rows, self.peers.rows_of_others(rows)))
            vectors = self.encoder.item_vectors(of_all, self.table)[: len(rows)]
        read, targets, others = vectors.split((n_windows * length, n_targets, len(drawn)))
        after = self.encoder.after_each_click(batch.items, read.view(n_windows, length, -1))
        states = batch.of_prefixes(after)  # (N, D)
        return self.recipe.loss(Comparison(batch, states, targets, others, drawn, self.negatives))


class MovingAverage:
    """A copy of a net that follows its weights slowly, and ranks better than any one step of them."""

    def __init__(self, net: SessionEncoder) -> None:
        self.net, self.averaged = net, copy.deepcopy(net).eval()
        for module in self.averaged.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # for cuDNN, which would do it again in every forward pass
        self.every = AVERAGED_EVERY * -(-net.items.num_embeddings // AVERAGED_ROWS)
        self.steps, self.keep = 0, 1.0

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        self.keep *= min(AVERAGING, self.steps / (9 + self.steps))  # short trainings forget faster
        if self.steps % self.every == 0:
            theirs, ours = list(self.averaged.parameters()), list(self.net.parameters())
            torch._foreach_lerp_(theirs, ours, 1 - self.keep)
            self.keep = 1.0

    def state_dict(self) -> dict[str, Any]:
        return {"averaged": self.averaged.state_dict(), "steps": self.steps, "keep": self.keep}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.averaged.load_state_dict(state["averaged"])
        self.steps, self.keep = state["steps"], state["keep"]


class Report:
    """Tells how far training is, and stops it when the loss is no number, without waiting at each step."""

    def __init__(self, progress: Progress | None, steps: int, device: torch.device) -> None:
        self.progress, self.steps = progress, steps
        self.began = time.perf_counter()
        self.done = self.targets = self.pending = 0
        self.total = torch.zeros((), device=device)
        self.loss = math.nan

    def step(self, epoch: int, loss: Tensor, targets: int) -> None:
        self.total += loss
        self.done, self.targets, self.pending = self.done + 1, self.targets + targets, self.pending + 1
        if self.pending == REPORT_EVERY:
            self.look(epoch)

    def look(self, epoch: int) -> None:
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
        self.tell(epoch)

    def tell(self, epoch: int, **figures: float) -> None:
        if self.progress is not None:
            speed = self.targets / (time.perf_counter() - self.began)
            shown = {"epoch": epoch, "loss": self.loss, "targets_per_s": speed, **figures}
            self.progress(self.done / self.steps, shown)

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done, "pending": self.pending, "total": self.total, "loss": self.loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done, self.pending, self.loss = state["done"], state["pending"], state["loss"]
        self.total = state["total"].to(self.total.device)


class Judge:
    """Ranks the newest validation clicks after each epoch, to stop before the past is learnt by heart."""

    def __init__(self, validation: SessionLog, window: int, device: torch.device) -> None:
        self.windows = Windows.of(validation, window, recency_days=None, device=device)
        self.at_once = max(1, SCORES_AT_ONCE // (window * len(validation.index)))
        self.latest = self.highest = -1.0
        self.best: dict[str, Tensor] = {}

    def better(self, net: SessionEncoder) -> bool:
        """Whether `net` ranks better than any before; its weights are kept if so."""
        self.latest = self.mrr(net)
        if self.latest <= self.highest:
            return False
        self.highest = self.latest
        self.best = {name: value.clone() for name, value in net.state_dict().items()}
        return True

    @torch.no_grad()
    def mrr(self, net: SessionEncoder) -> float:
        """Mean reciprocal rank among all items, ties against the net."""
        items = net.item_vectors(torch.arange(net.items.num_embeddings, device=net.items.weight.device))
        total, targets = 0.0, 0
        for batch in self.windows.newest(VALIDATION_TARGETS, self.at_once):
            after = net.after_each_click(batch.items, items[batch.items])
            scores = batch.of_prefixes(after) @ items[1:].T  # (N, n_items)
            of_target = scores.gather(1, batch.targets[:, None] - 1)
            total += float((1 / (scores >= of_target).sum(1)).sum())
            targets += len(batch.targets)
        return total / targets

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self.latest, "highest": self.highest, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.latest, self.highest, self.best = state["latest"], state["highest"], state["best"]


def has_pairs(log: SessionLog | None) -> bool:
    """Whether any session goes on after a click."""
    return log is not None and bool((log.lengths > 1).any())


def training_device(name: str) -> torch.device:
    """The device of that name; "auto" is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def training_threads(threads: int | None) -> Iterator[None]:
    """Torch at work on so many processor threads, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
