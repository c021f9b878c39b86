"""Errors that end a training run."""

from __future__ import annotations


class TrainingDiverged(RuntimeError):  # noqa: N818
    """The loss is no longer a number; nothing of this training run can be used."""


class ExportMismatch(RuntimeError):  # noqa: N818
    """The exported network does not answer like the trained one, and must not be served."""
