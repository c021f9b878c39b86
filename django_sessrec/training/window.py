"""When what serves must be retrained, so that no click outlives RETENTION_DAYS in a model."""

from __future__ import annotations

from django.utils import timezone

from django_sessrec.models import TrainingRun
from django_sessrec.privacy.training_window import headroom


def expires_soon(run: TrainingRun) -> bool:
    """Whether half of the headroom of what serves is gone, so that it must be retrained."""
    return run.expires_at is not None and run.expires_at - headroom(run.model) / 2 <= timezone.now()
