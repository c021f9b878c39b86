"""Hyper-parameters that every net shares, and the fit that turns them into a recommender."""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from django_sessrec.neural import losses
from django_sessrec.neural.batches import Batch
from django_sessrec.neural.checkpoint import Checkpoint, made_of
from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.export import exported
from django_sessrec.neural.initial_vectors import item_vectors
from django_sessrec.neural.lazy_adam import LazyAdam
from django_sessrec.neural.negatives import Negatives
from django_sessrec.neural.schedules import Share, warm_up_then_cosine
from django_sessrec.neural.training import Comparison, train, training_device, training_threads
from django_sessrec.neural.warm_start import continued, vectors_from
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress, Recommender
from django_sessrec.recsys.sessions import SessionLog

logger = logging.getLogger("django_sessrec")

LAZY_FROM = 8
"""Items for each that a batch reads, from which on it pays a processor to leave the others alone."""


@dataclass(frozen=True, kw_only=True)
class NeuralEstimator(ABC):
    """One recipe for all encoders; a paper's file adds its net, and its paper's own losses.

    scale: scores are scale * cosine; None for plain inner products.
    refresh_epochs: of a training that starts from the model in service.
    window: clicks that the net reads; longer sessions are trained in several windows.
    smoothing: once trained, items are scored with so much of their neighbours' vectors (smoothing.py).
    recency_days: a session counts exp(-age / recency_days) in the loss; None counts all alike.
    negatives: items that each batch is compared with; with more of them than items, it is all items.
    threads: processor threads of the training; None leaves torch's setting.
    device: "cpu", "cuda", or "auto" for the GPU where there is one.
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
        """The untrained net over first item vectors (n_rows, D)."""

    def first_vectors(self, sessions: SessionLog) -> Tensor:
        """(n_rows, D): where training starts from."""
        return item_vectors(sessions, self.embedding_size, seed=self.seed)

    def rates(self, steps: int) -> Share:
        """The learning rate of each of all steps, as a share of `learning_rate`."""
        return warm_up_then_cosine(steps)

    def negatives_of(self, sessions: SessionLog) -> Negatives:
        """What the targets of a batch are compared with."""
        return Negatives.uniform(sessions.index, self.negatives)

    def draw(self, negatives: Negatives, batch: Batch) -> Tensor:
        """(K,) rows for one batch."""
        return negatives.draw(batch.items.device)

    def optimiser(self, encoder: SessionEncoder) -> torch.optim.Optimizer:
        table = encoder.items.weight
        if len(table) > LAZY_FROM * self.negatives and not table.is_cuda:
            return LazyAdam(encoder, self.learning_rate, betas=(0.9, 0.98))
        return torch.optim.AdamW(
            encoder.parameters(), self.learning_rate, betas=(0.9, 0.98), weight_decay=0, fused=True
        )

    def loss(self, of: Comparison) -> Tensor:
        """The mean over a batch's targets."""
        if self.scale is None or self.scale > losses.LARGEST_LOGIT:
            raise ValueError(
                f"scale must be a number up to {losses.LARGEST_LOGIT}, not {self.scale}, for it bounds the "
                "logits of this loss; the classes named ...Paper take inner products"
            )
        n_items = of.negatives.n_items
        return losses.bounded_softmax(of.vectors, of.targets, of.others, of.batch.weights, n_items=n_items)

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
        warm_start: Recommender | None = None,
    ) -> OnnxRecommender:
        """Train, export, and compare the exported net with the trained one.

        validation: later sessions; training stops when it ranks them worse than an epoch ago.
        checkpoints: a folder that keeps the state, from which the same fit goes on if it was killed.
        warm_start: a net of this recipe, to be trained for refresh_epochs more on what has come since.
        Raises NotEnoughData, TrainingDiverged, ExportMismatch.
        """
        require_enough(sessions)
        with torch.random.fork_rng(), training_threads(self.threads):
            torch.manual_seed(self.seed)
            encoder = self.begun(sessions, warm_start)
            recipe = self if warm_start is None else self.refreshing()
            checkpoint = Checkpoint(checkpoints, made_of(recipe, sessions, validation) if checkpoints else {})
            encoder = recipe.trained(encoder, sessions, validation, progress, checkpoint)
            return exported(encoder, sessions, window=self.window, smoothing=self.smoothing)

    def begun(self, sessions: SessionLog, warm_start: Recommender | None) -> SessionEncoder:
        """The encoder before its first step."""
        if warm_start is None:
            return self.encoder(self.first_vectors(sessions))
        if not isinstance(warm_start, OnnxRecommender):
            raise TypeError(f"a net can start from a net, not from {type(warm_start).__name__}")
        return continued(self.encoder(vectors_from(warm_start, sessions, seed=self.seed)), warm_start)

    def refreshing(self) -> Self:
        """The recipe of a training that has a warm start."""
        return replace(self, epochs=self.refresh_epochs)

    def trained(
        self,
        begun: SessionEncoder,
        sessions: SessionLog,
        validation: SessionLog | None,
        progress: Progress | None,
        checkpoint: Checkpoint,
    ) -> SessionEncoder:
        """The encoder trained on the device asked for, or on the processor where the GPU lacks memory."""
        device = training_device(self.device)
        try:
            encoder = copy.deepcopy(begun).to(device)
            train(encoder, self, sessions, validation, progress, checkpoint=checkpoint)
        except torch.OutOfMemoryError:
            note = "The GPU ran out of memory; the training started again on the processor."
            logger.warning(note)
            if progress is not None:
                progress(0.0, {"note": note})
            encoder = begun
            train(encoder, self, sessions, validation, progress, checkpoint=checkpoint)
        return encoder


def require_enough(sessions: SessionLog) -> None:
    """NotEnoughData unless two sessions go on after a click, and there are two items to tell apart."""
    going_on = int(np.count_nonzero(sessions.lengths > 1))
    items = len(np.unique(sessions.items))
    if going_on < 2 or items < 2:
        raise NotEnoughData(
            f"a net needs at least 2 sessions of several clicks and 2 items; there are {going_on} such "
            f"sessions and {items} items: collect more visits, and let neighbours answer until then"
        )
