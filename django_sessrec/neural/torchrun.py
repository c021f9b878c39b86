"""Training by several processes that torchrun started, on one machine's GPUs or on several machines.

The first process leads: it reads the sessions, evaluates, reports and exports as if it were alone. The others
follow: they receive each training run, take their share of its batches, and need no database. All take the
same steps, on the mean of their gradients.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import distributed as dist

from django_sessrec.neural.distributed import ProcessGroup
from django_sessrec.neural.estimator import estimator_from
from django_sessrec.neural.training import Trainer, training_device, training_threads
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog

logger = logging.getLogger("django_sessrec")

SECONDS_TO_SETTLE = 0.1  # without the interpreter's lock, which gloo's threads need for microseconds


@contextmanager
def distributed_training() -> Iterator[bool]:
    """A context around training; yields whether this process leads. A follower has finished by then.

    Needs the environment variables that torchrun sets.
    """
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    group = ProcessGroup()
    leads = group.rank == 0
    try:
        if not leads:
            _follow(group)
        yield leads
        if leads:
            group.send(None)
            _settle()
    finally:
        dist.destroy_process_group()


def _settle() -> None:
    """Wait for gloo's threads to release the last message.

    They need the interpreter's lock for it, and abort the process if the interpreter is shutting down.
    """
    dist.barrier()
    time.sleep(SECONDS_TO_SETTLE)


def _follow(group: ProcessGroup) -> None:
    """Take part in training runs until the leading process has no more, or is gone.

    Raises OutOfMemoryError, with which torchrun ends all processes.
    """
    trained = 0
    try:
        while (message := group.receive()) is not None:
            _train(message, group)
            trained += 1
        _settle()
        logger.info("process %s trained %s networks with the first one", group.rank, trained)
    except torch.OutOfMemoryError as error:
        logger.warning("process %s stops, because its GPU ran out of memory: %s", group.rank, error)
        raise
    except RuntimeError as error:
        logger.warning("process %s stops, because the first one is gone: %s", group.rank, error)


def _train(message: dict[str, Any], group: ProcessGroup) -> None:
    """The follower's side of `Trainer.fit`."""
    recipe = estimator_from(message["estimator"])
    clicks = {name: array.numpy() for name, array in message["clicks"].items()}
    sessions = SessionLog(ItemIndex([str(row) for row in range(1, message["rows"])]), **clicks)
    items = torch.zeros(message["rows"], recipe.embedding_size)
    with training_threads(recipe.threads):
        encoder = recipe.encoder(items).to(training_device(recipe.device)).train()
        trainer = Trainer(encoder, recipe, sessions, group)
        for part, stateful in trainer.parts().items():
            stateful.load_state_dict(message["state"][part])
        while group.agree(encoder, go_on=True):
            for chosen in trainer.sampler.batches():
                _seed(recipe.seed, group.rank, trainer.schedule.last_epoch)
                trainer.step(chosen)


def _seed(*numbers: int) -> None:
    """Seed torch for a follower's step: its own draws of negatives and of dropout, wherever a run resumes."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]))
