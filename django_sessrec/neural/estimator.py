"""Hyper-parameters that every network shares, and the fit that makes a recommender with them."""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from django_sessrec.neural import losses
from django_sessrec.neural.batches import Batch
from django_sessrec.neural.checkpoint import Checkpoint, made_of
from django_sessrec.neural.distributed import ProcessGroup
from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.export import exported
from django_sessrec.neural.initial_vectors import item_vectors
from django_sessrec.neural.lazy_adam import LazyAdam
from django_sessrec.neural.negatives import Negatives
from django_sessrec.neural.schedules import Share, warm_up_then_cosine
from django_sessrec.neural.training import LossInputs, Trainer, training_device, training_threads
from django_sessrec.neural.warm_start import continued, vectors_from
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress, Recommender
from django_sessrec.recsys.sessions import SessionLog

logger = logging.getLogger("django_sessrec")

LAZY_FROM = 8
"""Items for each one that a batch reads from which LazyAdam is faster on a processor."""


@dataclass(frozen=True, kw_only=True)
class NeuralEstimator(ABC):
    """One training recipe for all encoders; a paper's file adds its network.

    embedding_size: numbers in an item's vector.
    epochs: passes over the sessions; with validation, training may stop sooner.
    refresh_epochs: epochs of a fit with a warm start.
    batch_size: windows of a step, fewer for small logs.
    learning_rate: its highest; it warms up and then falls along a cosine.
    dropout: share of the session vector's inputs that is dropped.
    item_dropout: share of the clicked items' vectors that is dropped.
    window: clicks that the network reads; longer sessions are trained in several windows.
    scale: scores are scale * cosine; None for plain inner products.
    negatives: items that each batch is compared with; all items if there are not more.
    recency_days: a session weighs exp(-age / recency_days) in the loss; None weighs all alike.
    smoothing: weight of the neighbours' vectors in an item's trained vector (smoothing.py).
    threads: processor threads of the training; None leaves torch's setting.
    device: "cpu", "cuda", or "auto" for the GPU if there is one.
    """

    embedding_size: int = 128
    epochs: int = 3
    refresh_epochs: int = 1
    batch_size: int = 256
    learning_rate: float = 2e-3
    dropout: float = 0.3
    item_dropout: float = 0.15
    window: int = 20
    scale: float | None = 14.0
    negatives: int = 8192
    recency_days: float | None = 80.0
    smoothing: float = 0.5
    seed: int = 0
    threads: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("embedding_size", "epochs", "refresh_epochs", "batch_size", "window", "negatives"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("dropout", "item_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share from 0 to below 1, not {getattr(self, name)}")
        for name in ("learning_rate", "recency_days", "scale"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing must be 0 or above, not {self.smoothing}")

    @abstractmethod
    def encoder(self, items: Tensor) -> SessionEncoder:
        """The untrained network over initial item vectors (n_rows, D), row 0 the padding."""

    def initial_vectors(self, sessions: SessionLog) -> Tensor:
        """(n_rows, D) item vectors that training starts from."""
        return item_vectors(sessions, self.embedding_size, seed=self.seed)

    def learning_rate_schedule(self, steps: int) -> Share:
        """The learning rate of each of `steps`, as a share of `learning_rate`."""
        return warm_up_then_cosine(steps)

    def negative_sampler(self, sessions: SessionLog) -> Negatives:
        """The sampler of the items that a batch's targets are compared with."""
        return Negatives.uniform(sessions.index, self.negatives)

    def draw(self, sampler: Negatives, batch: Batch) -> Tensor:
        """(K,) rows for one batch."""
        return sampler.draw(batch.items.device)

    def optimizer(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        """AdamW over the encoder's weights; by the row if the table is large and on a processor."""
        table = encoder.items.weight
        if len(table) > LAZY_FROM * self.negatives and not table.is_cuda:
            return LazyAdam(encoder, self.learning_rate, betas=(0.9, 0.98))
        return torch.optim.AdamW(
            encoder.parameters(), self.learning_rate, betas=(0.9, 0.98), weight_decay=0, fused=True
        )

    def loss(self, inputs: LossInputs) -> Tensor:
        """The mean loss, (), over a batch's targets. ValueError for a scale that this loss can't bound."""
        if self.scale is None or self.scale > losses.LARGEST_LOGIT:
            raise ValueError(
                f"scale must be a number up to {losses.LARGEST_LOGIT}, not {self.scale}: it bounds the "
                "logits of this loss; override `loss` for inner products"
            )
        return losses.bounded_softmax(
            inputs.vectors,
            inputs.targets,
            inputs.negatives,
            inputs.batch.weights,
            n_items=inputs.sampler.n_items,
        )

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
        warm_start: Recommender | None = None,
    ) -> OnnxRecommender:
        """Train a network, export it, and compare the exported network with the trained one.

        validation: later sessions; training stops when it ranks them worse than an epoch ago.
        checkpoints: a folder for the training state, from which the same fit resumes if it was interrupted.
        warm_start: a recommender that this recipe fitted, to be trained on for refresh_epochs.
        Raises NotEnoughData, TrainingDiverged, ExportMismatch; TypeError or ValueError for a warm start that
        has another kind of network.
        """
        require_enough(sessions)
        with torch.random.fork_rng(), training_threads(self.threads):
            torch.manual_seed(self.seed)
            start = self.starting_encoder(sessions, warm_start)
            recipe = self if warm_start is None else self.for_refresh()
            same = replace(recipe, threads=None)  # a run may resume with fewer cores free, or with more
            checkpoint = Checkpoint(checkpoints, made_of(same, sessions, validation) if checkpoints else {})
            encoder = recipe.trained(start, sessions, validation, progress, checkpoint)
            return exported(encoder, sessions, window=self.window, smoothing=self.smoothing)

    def starting_encoder(self, sessions: SessionLog, warm_start: Recommender | None) -> SessionEncoder:
        """The encoder before its first step."""
        if warm_start is None:
            return self.encoder(self.initial_vectors(sessions))
        if not isinstance(warm_start, OnnxRecommender):
            raise TypeError(f"a network can start from a network, not from {type(warm_start).__name__}")
        return continued(self.encoder(vectors_from(warm_start, sessions, seed=self.seed)), warm_start)

    def for_refresh(self) -> Self:
        """The recipe of a fit with a warm start."""
        return replace(self, epochs=self.refresh_epochs)

    def trained(
        self,
        start: SessionEncoder,
        sessions: SessionLog,
        validation: SessionLog | None,
        progress: Progress | None,
        checkpoint: Checkpoint,
    ) -> SessionEncoder:
        """The encoder trained on `device`, or on the processor if the GPU runs out of memory.

        Raises OutOfMemoryError where several processes train: the others wait in the step that failed.
        """
        if checkpoint.is_trained(start):
            return start
        try:
            encoder = copy.deepcopy(start).to(training_device(self.device))
            Trainer(encoder, self, sessions).fit(validation, progress, checkpoint)
        except torch.OutOfMemoryError:
            if ProcessGroup().is_distributed:
                raise
            note_out_of_memory(progress)
            encoder = start
            Trainer(encoder, self, sessions).fit(validation, progress, checkpoint)
        return encoder

    def to_json(self) -> dict[str, Any]:
        """Class and options, from which `estimator_from` makes an equal estimator in another process."""
        return {"class": [type(self).__module__, type(self).__name__], "options": asdict(self)}


def note_out_of_memory(progress: Progress | None) -> None:
    """Say that a training starts again on the processor, in the log and with the run's verdict."""
    note = "The GPU ran out of memory; the training started again on the processor."
    logger.warning(note)
    if progress is not None:
        progress(0.0, {"note": note})


def estimator_from(description: Mapping[str, Any]) -> NeuralEstimator:
    """The estimator that `NeuralEstimator.to_json` describes."""
    module, name = description["class"]
    estimator: NeuralEstimator = getattr(import_module(module), name)(**description["options"])
    return estimator


def require_enough(sessions: SessionLog) -> None:
    """Raise NotEnoughData unless two sessions have several clicks, and there are two items to rank."""
    several = int(np.count_nonzero(sessions.lengths > 1))
    items = len(np.unique(sessions.items))
    if several < 2 or items < 2:
        raise NotEnoughData(
            f"a network needs at least 2 sessions of several clicks and 2 items; there are {several} such "
            f"sessions and {items} items: collect more visits, and let neighbours answer until then"
        )
