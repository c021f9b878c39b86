"""Artifacts of training runs on disk: written, and removed when they or their clicks are too old."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import HOLD_OUT, Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.cold_start import ColdStart
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.recommender import Recommender

log = logging.getLogger("django_sessrec")

KEPT = 5
"""Published runs per model whose artifacts stay, for rolling back."""


def prepare() -> None:
    """Make the folder of artifacts; a training run that could not publish must not begin."""
    home = sessrec_settings.artifacts
    try:
        _make_readable(home)
        with TemporaryDirectory(dir=home, prefix="."):
            pass
    except OSError as error:
        raise OSError(f"SESSREC['ARTIFACTS'] = {home} can't be written: {error.strerror}") from error


def _make_readable(folder: Path) -> None:
    """Make the folder and those above it, open to web processes of another user whatever the umask."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        each.chmod(0o755)


def publish(
    run: TrainingRun,
    published: Recommender,
    hold_out: Recommender,
    card: Mapping[str, Any],
    *,
    intents: Intents | None = None,
    cold_start: ColdStart | None = None,
) -> None:
    """Write both models of a run; the name is set on `run` and not yet saved.

    intents: likeness of the published model's items
    cold_start: item embeddings of the products that it does not know
    """
    try:
        artifact.save(hold_out, run.hold_out_folder, card=card)
        artifact.save(published, run.folder, card=card, intents=intents, cold_start=cold_start)
    except OSError as error:  # of a full disk NumPy tells only how much of an array it could not write
        home = sessrec_settings.artifacts
        raise OSError(f"SESSREC['ARTIFACTS'] = {home}: the disk is full, or fails: {error}") from error
    run.artifact = run.folder.name


def remove(run: TrainingRun) -> None:
    """Remove what a run has on disk, half-written folders of a killed one included."""
    name = run.folder.name
    for pattern in (name, f"{name}{HOLD_OUT}", f".{name}*"):
        for path in sessrec_settings.artifacts.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def prune(model: str) -> list[str]:
    """Remove the artifacts that may not or need not stay; returns their names.

    KEPT published ones stay, and the one in service; none whose oldest click has reached RETENTION_DAYS,
    and none of a model that has left SESSREC["MODELS"].
    """
    published = TrainingRun.objects.filter(model=model, state=TrainingRun.State.PUBLISHED).order_by("-pk")
    active = Promotion.objects.active(model)
    on_disk = [run for run in published if run.folder.exists() or run.hold_out_folder.exists()]
    removed = [run for run in on_disk if not _may_stay(run)]
    kept = [run for run in on_disk if run not in removed]
    removed += [run for run in kept[KEPT:] if run != active]
    for run in removed:
        remove(run)
        if run == active and model in sessrec_settings.MODELS:
            log.error(
                "%s served and was removed: its oldest click has reached RETENTION_DAYS (%s), and no newer "
                "run has replaced it. Lists fall back until one does: run sessrec_train %s",
                *(run, sessrec_settings.RETENTION_DAYS, model),
            )
    return [run.artifact for run in removed]


def prune_all() -> list[str]:
    """`prune` every model that ever published; returns the names of the artifacts removed."""
    models: Iterable[str] = TrainingRun.objects.order_by("model").values_list("model", flat=True).distinct()
    return [name for model in models for name in prune(model)]


def _may_stay(run: TrainingRun) -> bool:
    return run.model in sessrec_settings.MODELS and not run.is_expired
