"""Steps of a training that a GPU has recorded, and replays.

A step of the default recipe is 220 small programs for the GPU. Python takes 6 ms to start them one by one,
the GPU 0.8 to carry them out (H200); a recording, a CUDA graph, starts them all at once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from django_sessrec.neural.batches import Batch, Walk

Learn = Callable[[Batch], Tensor]


class Recording(NamedTuple):
    graph: torch.cuda.CUDAGraph
    loss: Tensor  # () of the step that was replayed last


class Recorded:
    """Steps by the length of their batches; each length is recorded when it is met for the second time.

    A recording is bound to places in the GPU's memory: batches are brought where it looks for them, all of
    one size, and so is the learning rate.
    """

    def __init__(self, walk: Walk, optimiser: torch.optim.Optimizer) -> None:
        self.windows, self.optimiser = walk.windows, optimiser
        self.device = self.windows.clicks.device
        self.chosen = torch.zeros(walk.batch_size, dtype=torch.int64, device=self.device)
        self.recordings: dict[int, Recording | None] = {}
        self.memory = torch.cuda.graph_pool_handle()

    def step(self, chosen: NDArray[np.int64], learn: Learn) -> Tensor:
        """Learn from the windows with these numbers; the loss, until the next step overwrites it."""
        length = int(self.windows.lengths[chosen].max())
        empty = np.full(len(self.chosen) - len(chosen), len(self.windows))
        self.chosen.copy_(torch.from_numpy(np.concatenate((chosen, empty))), non_blocking=True)
        if length not in self.recordings:
            self.recordings[length] = None
            return self._aside(length, learn)
        recording = self.recordings[length] = self.recordings[length] or self._record(length, learn)
        recording.graph.replay()
        return recording.loss

    def _aside(self, length: int, learn: Learn) -> Tensor:
        """One step on a stream of its own, in which libraries make what they need and may not record."""
        self._fix_learning_rate()
        ours, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(ours)
        with torch.cuda.stream(aside):
            loss = learn(self.windows.padded(self.chosen, length))
        ours.wait_stream(aside)
        return loss

    def _fix_learning_rate(self) -> None:
        """Have the optimiser read its rate in the GPU's memory, where the schedule changes it."""
        for group in self.optimiser.param_groups:
            group["capturable"] = True
            if not (isinstance(group["lr"], Tensor) and group["lr"].is_cuda):
                group["lr"] = torch.tensor(float(group["lr"]), device=self.device)

    def _record(self, length: int, learn: Learn) -> Recording:
        graph = torch.cuda.CUDAGraph()
        with _undisturbed(), torch.cuda.graph(graph, pool=self.memory, capture_error_mode="thread_local"):
            loss = learn(self.windows.padded(self.chosen, length))
        return Recording(graph, loss)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A recording during which nobody frees memory, for that would end it; what it left is put right.

    Raises OutOfMemoryError where that ended it, and not the complaint of a recording that was cut short.
    """
    random_numbers = torch.cuda.default_generators[torch.cuda.current_device()]
    before = random_numbers.clone_state()
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    except RuntimeError as problem:
        random_numbers.graphsafe_set_state(before)
        lack_of_memory = problem.__context__
        raise (lack_of_memory if isinstance(lack_of_memory, torch.OutOfMemoryError) else problem) from None
    finally:
        if collecting:
            gc.enable()
