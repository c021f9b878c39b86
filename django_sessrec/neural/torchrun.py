"""One training by several processes, as torchrun starts them, on one machine's GPUs or on several machines.

The first process leads: it reads, judges, reports and exports as if it were alone. The others follow: they
are sent each training, take their share of its batches, and know nothing of a database. All take the same
steps, on the mean of their gradients.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from django_sessrec.neural.checkpoint import dump, load
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog

if TYPE_CHECKING:
    from django_sessrec.neural.estimator import NeuralEstimator
    from django_sessrec.neural.training import Learning

logger = logging.getLogger("django_sessrec")

SETTLED = 0.1  # seconds without the interpreter's lock: gloo's threads want it for microseconds


@contextmanager
def crew() -> Iterator[bool]:
    """Whether this process leads; one that follows has done its work when the block begins."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    leads = dist.get_rank() == 0
    try:
        if not leads:
            _follow()
        yield leads
        if leads:
            _send({"go_on": False})
            _settle()
    finally:
        dist.destroy_process_group()


class Peers:
    """The processes of one training, this one among them; alone, all that is shared is one's own."""

    def __init__(self) -> None:
        together = dist.is_initialized()
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)

    def send(self, recipe: NeuralEstimator, sessions: SessionLog, learning: Learning) -> None:
        """Have the others join a training where it stands."""
        if self.world == 1:
            return
        clicks = {name: torch.from_numpy(getattr(sessions, name)) for name in ("items", "offsets", "times")}
        order = {
            "estimator": [type(recipe).__module__, type(recipe).__name__],
            "options": asdict(recipe),
            "rows": len(sessions.index),
            "state": {name: part.state_dict() for name, part in learning.parts().items()},
        }
        _send({"go_on": True, **order, **clicks})

    def agree(self, net: nn.Module, go_on: bool) -> bool:
        """What the first process says; RuntimeError where the processes' weights are not the same."""
        if self.world == 1:
            return go_on
        checksum = sum(weight.detach().double().sum() for weight in net.parameters()).cpu()
        said = torch.tensor([checksum, float(go_on)], dtype=torch.float64)
        dist.broadcast(said, 0)
        if said[0] != checksum:
            raise RuntimeError(f"process {self.rank} has other weights than the first: its steps differed")
        return bool(said[1])

    def rows_of_others(self, rows: Tensor) -> Tensor:
        """What the others read in this step, that a table may move the same rows everywhere."""
        if self.world == 1:
            return rows[:0]
        longest = torch.tensor(len(rows))
        dist.all_reduce(longest, dist.ReduceOp.MAX)
        padded = rows[:1].repeat(int(longest))
        padded[: len(rows)] = rows
        everyone = [torch.empty_like(padded) for _ in range(self.world)]
        dist.all_gather(everyone, padded)
        return torch.cat(everyone)

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Make each the mean over the processes, in place; in one message, for each costs a round trip."""
        if self.world == 1:
            return
        together = torch.cat([gradient.flatten() for gradient in gradients]).div_(self.world)
        dist.all_reduce(together)
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _settle() -> None:
    """Wait for gloo's threads to let go of the last message.

    They need the interpreter's lock for it, and where it is ending already they abort the process.
    """
    dist.barrier()
    time.sleep(SETTLED)


def _follow() -> None:
    """Carry out trainings until the first process has no more, or is gone."""
    trained = 0
    try:
        while (order := _receive())["go_on"]:
            _train(order)
            trained += 1
        _settle()
        logger.info("process %s trained %s nets with the first one", dist.get_rank(), trained)
    except RuntimeError as error:
        logger.warning("process %s stops, for the first one is gone: %s", dist.get_rank(), error)


def _train(order: dict[str, Any]) -> None:
    from django_sessrec.neural.training import Learning, training_device, training_threads

    module, name = order["estimator"]
    recipe: NeuralEstimator = getattr(import_module(module), name)(**order["options"])
    clicks = {name: order[name].numpy() for name in ("items", "offsets", "times")}
    sessions = SessionLog(ItemIndex([str(row) for row in range(1, order["rows"])]), **clicks)
    torch.manual_seed(recipe.seed + dist.get_rank())  # draws of its own: of negatives, and of what drops out
    items = torch.zeros(order["rows"], recipe.embedding_size)
    with training_threads(recipe.threads):
        encoder = recipe.encoder(items).to(training_device(recipe.device)).train()
        learning = Learning(encoder, recipe, sessions, Peers())
        for part, stateful in learning.parts().items():
            stateful.load_state_dict(order["state"][part])
        while learning.peers.agree(encoder, go_on=True):
            for chosen in learning.walk.batches():
                learning.step(chosen)


def _send(tree: Any) -> None:
    file = io.BytesIO()
    dump(tree, file)
    content = torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
    dist.broadcast(torch.tensor(len(content)), 0)
    dist.broadcast(content, 0)


def _receive() -> Any:
    size = torch.tensor(0)
    dist.broadcast(size, 0)
    content = torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(content, 0)
    return load(io.BytesIO(content.numpy().tobytes()))
