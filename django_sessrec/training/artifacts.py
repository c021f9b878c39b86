"""Where a run's model lies on disk, and which of them are kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender

KEPT = 5
"""Published runs per model whose artifacts stay, for rolling back."""


def folder(run: TrainingRun) -> Path:
    """The published model of a run. Dated, because a new database counts its runs from 1 again."""
    name = run.artifact or f"{run.model}-{run.pk}-{run.created_at:%Y%m%dT%H%M%S}"
    return sessrec_settings.artifacts / name


def tested_folder(run: TrainingRun) -> Path:
    """The model that the gate tested: fitted without the last days, so that it can be tested again.

    The published one has seen these days: against it, every later candidate would lose.
    """
    return folder(run).with_name(f"{folder(run).name}-tested")


def publish(run: TrainingRun, published: Recommender, tested: Recommender, card: Mapping[str, Any]) -> None:
    """Write both models of a run; the name is set on `run` and not yet saved."""
    artifact.save(tested, tested_folder(run), card=card)
    artifact.save(published, folder(run), card=card)
    run.artifact = folder(run).name


def remove(run: TrainingRun) -> None:
    """Remove what a run has on disk, half-written folders of a killed one included."""
    name = folder(run).name
    for path in sessrec_settings.artifacts.glob(f"{name}*"), sessrec_settings.artifacts.glob(f".{name}*"):
        for leftover in path:
            shutil.rmtree(leftover, ignore_errors=True)


def prune(model: str) -> None:
    """Keep the artifacts of the newest KEPT published runs and of the one in service."""
    runs = TrainingRun.objects.using(sessrec_settings.DATABASE)
    published = runs.filter(model=model, state=TrainingRun.State.PUBLISHED).exclude(artifact="")
    active = Promotion.objects.using(sessrec_settings.DATABASE).active(model)
    for run in published.order_by("-pk")[KEPT:]:
        if run != active:
            remove(run)
