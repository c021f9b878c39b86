"""A net that trains slowly enough to be killed meanwhile."""

import os
import time
from dataclasses import dataclass

import torch

from django_sessrec.neural import GRU4Rec


@dataclass(frozen=True, kw_only=True)
class SlowNet(GRU4Rec):
    embedding_size: int = 16
    epochs: int = 4
    threads: int | None = 1
    seconds_per_step: float = 0.04

    def loss(self, of):
        time.sleep(self.seconds_per_step)
        return super().loss(of)


@dataclass(frozen=True, kw_only=True)
class OutOfMemory(SlowNet):
    """One whose first process runs out of memory, where a GPU would."""

    def loss(self, of):
        if os.environ["RANK"] == "0":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().loss(of)
