"""Artifacts of training runs: written, published, and removed when they or their clicks are too old."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import Any

from django.db.models import Q

from django_sessrec import artifact_storage, database
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import HOLD_OUT, Promotion, TrainingRun
from django_sessrec.privacy.retention import why_events_stay
from django_sessrec.recsys import artifact
from django_sessrec.recsys.cold_start import ColdStart
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.training.abandoned import is_abandoned
from django_sessrec.training.lock import promotion_lock

log = logging.getLogger("django_sessrec")

ENDED_BADLY = (TrainingRun.State.FAILED, TrainingRun.State.REFUSED)
OF_RUN = re.compile(r"\.?(?P<name>.+-(?P<run>\d{1,18})-\d{8}T\d{6})")
"""Name of a run's folder, half-written or not, as TrainingRun.folder makes it."""

KEPT = 5
"""Published runs per model whose artifacts stay, for rolling back."""


def prepare() -> None:
    """Make the folder of artifacts; a training run that could not publish must not begin.

    Raises OSError, and StorageError where there is a storage that can't be written.
    """
    home = sessrec_settings.artifacts
    try:
        artifact.make_home(home)
        with TemporaryDirectory(dir=home, prefix="."):
            pass
    except OSError as error:
        raise OSError(f"SESSREC['ARTIFACTS'] = {home} can't be written: {error.strerror}") from error
    if artifact_storage.configured():
        artifact_storage.check_writable()


def publish(
    run: TrainingRun,
    published: Recommender,
    hold_out: Recommender,
    card: Mapping[str, Any],
    *,
    intents: Intents | None = None,
    cold_start: ColdStart | None = None,
) -> None:
    """Write both models of a run, and into the storage where there is one; `run` gets name and checksums.

    The row is saved before anything is in the storage, so that what a killed worker leaves there is found.
    Raises OSError and StorageError.

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
    run.sha256, run.hold_out_sha256 = artifact.digest(run.folder), artifact.digest(run.hold_out_folder)
    run.save(update_fields=["artifact", "sha256", "hold_out_sha256"])
    if artifact_storage.configured():
        artifact_storage.upload(run.hold_out_folder)
        artifact_storage.upload(run.folder)


def bring(run: TrainingRun, *, hold_out: bool = False) -> None:
    """Fetch a run's artifact into this host's folder, if models are shared by a storage and it is not there.

    Raises ArtifactError, StorageError and OSError as artifact_storage.download does.
    """
    folder = run.hold_out_folder if hold_out else run.folder
    if artifact_storage.configured() and not folder.exists():
        sha256 = run.hold_out_sha256 if hold_out else run.sha256
        artifact_storage.download(folder.name, sha256, folder)


def opened(run: TrainingRun, *, hold_out: bool = False) -> Recommender:
    """A run's model, fetched first where need be. Never in a request: raises as `bring` and `run.open` do."""
    bring(run, hold_out=hold_out)
    return run.open(hold_out=hold_out)


def remove(run: TrainingRun) -> None:
    """Remove what a run has on this host and in the storage, half-written and half-published included.

    Raises StorageError after the host's own folders are gone; the row then says what is still to be removed.
    """
    _remove_here(run)
    if artifact_storage.configured() and (run.sha256 or run.hold_out_sha256):
        artifact_storage.delete(run.folder.name)
        artifact_storage.delete(run.hold_out_folder.name)
        run.sha256 = run.hold_out_sha256 = ""
        run.save(update_fields=["sha256", "hold_out_sha256"])


def _remove_here(run: TrainingRun) -> None:
    name = run.folder.name
    for pattern in (name, f"{name}{HOLD_OUT}", f".{name}*"):
        for path in sessrec_settings.artifacts.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def prune(model: str) -> list[str]:
    """Remove the artifacts that may not or need not stay; returns their names.

    KEPT published ones stay, the one in service and the one before it; none whose oldest click has reached
    RETENTION_DAYS, unless events past it wait for sessrec_prune --force, and none of a model that has left
    SESSREC["MODELS"]. Raises StorageError as `remove` does.
    """
    with promotion_lock(model):
        removed = _superfluous(model)
        _remove_each_here(model, removed)
        for run in removed if artifact_storage.configured() else ():
            run.sha256 = ""  # from here on it can't be promoted; the other one says what is to be deleted
            run.save(update_fields=["sha256"])
    ended_badly = TrainingRun.objects.filter(model=model, state__in=ENDED_BADLY).exclude(sha256="")
    for run in (*removed, *ended_badly):
        remove(run)
    return [run.artifact for run in removed]


def prune_all_here() -> list[str]:
    """As `prune_all`, but of this host's folder only, where what it serves stays, however old the run.

    What killed processes have left half fetched goes, too.
    """
    for path in filter(is_abandoned, sessrec_settings.artifacts.glob(f"{artifact_storage.UNFINISHED}*")):
        shutil.rmtree(path, ignore_errors=True)
    return [name for model in _models() for name in _prune_here(model)]


def _prune_here(model: str) -> list[str]:
    with promotion_lock(model):
        present = [run for run in _superfluous(model) if run.folder.exists() or run.hold_out_folder.exists()]
        serves, now = Promotion.objects.on_this_host(model), database.now()
        removed = [run for run in present if run != serves or not _may_stay(run, now)]
        removed += _ended_badly_here(model)
        _remove_each_here(model, removed)
    return [run.folder.name for run in removed]


def _remove_each_here(model: str, runs: Iterable[TrainingRun]) -> None:
    active = Promotion.objects.active(model)
    for run in runs:
        if run == active and model in sessrec_settings.MODELS:
            log.error(
                "%s served and was removed: its oldest click has reached RETENTION_DAYS (%s), and no newer "
                "run has replaced it. Lists fall back until one does: promote one, or run sessrec_train %s",
                *(run, sessrec_settings.RETENTION_DAYS, model),
            )
        _remove_here(run)


def _ended_badly_here(model: str) -> list[TrainingRun]:
    """Runs that were killed on this host while they published, and marked as failed by another host."""
    home = sessrec_settings.artifacts
    found = [OF_RUN.match(path.name) for path in home.iterdir()] if home.exists() else []
    names = {match["name"]: match["run"] for match in found if match}
    ended = TrainingRun.objects.filter(pk__in=names.values(), model=model, state__in=ENDED_BADLY)
    return [run for run in ended if run.folder.name in names]


def _superfluous(model: str) -> list[TrainingRun]:
    """Runs whose artifacts are here or in the storage, and may not or need not stay."""
    home = sessrec_settings.artifacts
    here = {path.name.removesuffix(HOLD_OUT) for path in home.iterdir()} if home.exists() else set()
    is_present = Q(artifact__in=here)
    if artifact_storage.configured():
        is_present |= ~Q(sha256="") | ~Q(hold_out_sha256="")
    published = TrainingRun.objects.filter(is_present, model=model, state=TrainingRun.State.PUBLISHED)
    present = list(published.order_by("-pk"))  # few of the runs of years: hosts look every five seconds
    serve = {Promotion.objects.active(model), Promotion.objects.served_before(model)}
    now = database.now()  # one host's wrong clock removes nothing
    removed = [run for run in present if not _may_stay(run, now)]
    kept = [run for run in present if run not in removed]
    return removed + [run for run in kept[KEPT:] if run not in serve]


def prune_all() -> list[str]:
    """`prune` every model; returns the names of the artifacts removed."""
    return [name for model in _models() for name in prune(model)]


def _models() -> Iterable[str]:
    """Every model that was ever trained, those that have left the settings among them."""
    return TrainingRun.objects.order_by("model").values_list("model", flat=True).distinct()


def _may_stay(run: TrainingRun, now: datetime) -> bool:
    """Whether its model is in the settings and young enough.

    An expired one stays as long as the purge doubts RETENTION_DAYS and deletes no events; it does not serve.
    """
    if run.model not in sessrec_settings.MODELS:
        return False
    return not run.is_expired_at(now) or bool(why_events_stay(now))
