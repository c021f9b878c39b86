"""Where a run's model lies on disk, and which of them are kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender

KEPT = 5
"""Published runs per model whose artifacts stay, for rolling back."""

TESTED = "-tested"
"""How the name of a model ends that was fitted without the last days."""


def folder(run: TrainingRun) -> Path:
    """The published model of a run. Dated, because a new database counts its runs from 1 again."""
    name = run.artifact or f"{run.model}-{run.pk}-{run.created_at:%Y%m%dT%H%M%S}"
    return sessrec_settings.artifacts / name


def tested_folder(run: TrainingRun) -> Path:
    """The model that the gate tested: fitted without the last days, so that it can be tested again.

    The published one has seen these days: against it, every later candidate would lose.
    """
    return folder(run).with_name(f"{folder(run).name}{TESTED}")


def prepare() -> None:
    """Make the folder of published models; a training that could not be published must not begin."""
    home = sessrec_settings.artifacts
    try:
        home.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=home, prefix="."):
            pass
    except OSError as error:
        raise OSError(f"SESSREC['ARTIFACTS'] = {home} can't be written: {error.strerror}") from error


def publish(run: TrainingRun, published: Recommender, tested: Recommender, card: Mapping[str, Any]) -> None:
    """Write both models of a run; the name is set on `run` and not yet saved."""
    try:
        artifact.save(tested, tested_folder(run), card=card)
        artifact.save(published, folder(run), card=card)
    except OSError as error:  # of a full disk NumPy tells only how much of an array it could not write
        home = sessrec_settings.artifacts
        raise OSError(f"SESSREC['ARTIFACTS'] = {home}: the disk is full, or fails: {error}") from error
    run.artifact = folder(run).name


def remove(run: TrainingRun) -> None:
    """Remove what a run has on disk, half-written folders of a killed one included."""
    name = folder(run).name
    for pattern in (name, f"{name}{TESTED}", f".{name}*"):
        for path in sessrec_settings.artifacts.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def prune(model: str) -> list[str]:
    """Keep the newest KEPT published artifacts and the one in service; returns the names of those removed."""
    runs = TrainingRun.objects
    published = runs.filter(model=model, state=TrainingRun.State.PUBLISHED)
    active = Promotion.objects.active(model)
    old = [run for run in published.order_by("-pk")[KEPT:] if run != active and folder(run).exists()]
    for run in old:
        remove(run)
    return [run.artifact for run in old]
