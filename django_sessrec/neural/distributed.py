"""Collective operations among the processes that train one network together."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from django_sessrec.neural.serialization import dump, load


class ProcessGroup:
    """The processes of one training run, this one among them; a process alone is a group of one.

    rank:       number of this process; 0 leads
    world_size: number of processes
    """

    def __init__(self) -> None:
        together = dist.is_initialized()
        self.rank, self.world_size = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)

    @property
    def is_distributed(self) -> bool:
        """Whether there is any other process."""
        return self.world_size > 1

    def send(self, tree: Any) -> None:
        """Broadcast a tree that `serialization.dump` can write from the leading process."""
        file = io.BytesIO()
        dump(tree, file)
        content = torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
        dist.broadcast(torch.tensor(len(content)), 0)
        dist.broadcast(content, 0)

    def receive(self) -> Any:
        """The tree that the leading process sends next."""
        size = torch.tensor(0)
        dist.broadcast(size, 0)
        content = torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(content, 0)
        return load(io.BytesIO(content.numpy().tobytes()))

    def agree(self, network: nn.Module, go_on: bool) -> bool:
        """The leading process's `go_on`; RuntimeError where the processes' weights are not the same."""
        if not self.is_distributed:
            return go_on
        checksum = sum(weight.detach().double().sum() for weight in network.parameters())
        said = torch.tensor([float(checksum), float(go_on)], dtype=torch.float64)
        own = said[0].clone()
        dist.broadcast(said, 0)
        if said[0] != own:
            raise RuntimeError(f"process {self.rank} has other weights than the first: its steps differed")
        return bool(said[1])

    def rows_of_others(self, rows: Tensor) -> Tensor:
        """(N,) rows read here -> (M,) rows read by all processes in this step, none in a group of one.

        An item table that moves by the row needs them, so that it moves the same rows everywhere.
        """
        if not self.is_distributed:
            return rows[:0]
        longest = torch.tensor(len(rows))
        dist.all_reduce(longest, dist.ReduceOp.MAX)
        padded = rows[:1].repeat(int(longest))
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in range(self.world_size)]
        dist.all_gather(gathered, padded)
        return torch.cat(gathered)

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over the processes, in one message: each costs a round trip."""
        if not self.is_distributed:
            return
        together = torch.cat([gradient.flatten() for gradient in gradients]).div_(self.world_size)
        dist.all_reduce(together)
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
