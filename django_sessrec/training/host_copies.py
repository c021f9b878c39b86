"""One host's copies of trained models, fetched from the storage that all hosts share, one step at a time.

A host that can't fetch the promoted run keeps the one before it, and says so in its row for the Health page.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.db.models.functions import Now

from django_sessrec import database
from django_sessrec.artifact_storage import StorageError
from django_sessrec.conf import sessrec_settings
from django_sessrec.host_models import HostedModel
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training import artifact_store

log = logging.getLogger("django_sessrec")

SEEN_SECONDS: Final = 60  # between two signs of life where nothing changes
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds before what could not be fetched is tried again
FORGOTTEN: Final = timedelta(days=1)  # after which a silent host was taken out of service
LOCK: Final = ".fetch.lock"


class AlreadyFetching(Exception):  # noqa: N818
    """Another process fetches into this host's folder."""


@contextmanager
def only_fetcher() -> Iterator[None]:
    """Be the one process that fetches into this folder; raises AlreadyFetching, and OSError of the folder."""
    home = sessrec_settings.artifacts
    artifact.make_home(home)
    with (home / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyFetching(f"Another sessrec_fetch keeps {home} up to date.") from error
        yield


class Fetcher:
    """Keeps one host's folder up to date; remembers what it has verified, and what failed."""

    def __init__(self, host: str, *, everything: bool = False) -> None:
        """everything: also the runs kept for rolling back, and hold-out models, to train or compare here."""
        self.host, self.everything = host, everything
        self._verified: dict[Path, artifact.Fingerprint] = {}
        self._problems: dict[Path, str] = {}
        self._pauses: dict[Path, float] = {}
        self._due: dict[Path, float] = {}
        self._said: dict[str, tuple[int | None, str, float]] = {}

    def step(self) -> list[HostedModel]:
        """Fetch what is missing, remove what may not stay, note how each model stands; returns the rows."""
        artifact_store.prune_all_here()
        now = database.now()
        rows = []
        for model in sessrec_settings.MODELS:
            promoted = Promotion.objects.active(model)
            if promoted is not None and not promoted.is_expired_at(now):
                self._note(model, promoted)
                self._bring(promoted)
            rows.append(self._note(model, promoted))
            for run in self._others(model):
                if run.sha256 and not run.is_expired_at(now):
                    self._bring(run)
                    if self.everything:
                        self._bring(run, hold_out=True)
        return rows

    def _others(self, model: str) -> list[TrainingRun]:
        """What may be wanted next: the run to roll back to, or with `everything` all that are kept."""
        if not self.everything:
            before = Promotion.objects.served_before(model)
            return [before] if before else []
        published = TrainingRun.objects.filter(model=model, state=TrainingRun.State.PUBLISHED).order_by("-pk")
        kept = list(published[: artifact_store.KEPT])
        promoted = Promotion.objects.active(model)
        return kept if promoted is None or promoted in kept else [promoted, *kept]

    def _bring(self, run: TrainingRun, *, hold_out: bool = False) -> None:
        """Have the artifact here, verified; what fails is tried again after longer and longer pauses."""
        folder = run.hold_out_folder if hold_out else run.folder
        if time.monotonic() < self._due.get(folder, 0.0):
            return
        try:
            self._verify(run, folder, hold_out=hold_out)
            artifact_store.bring(run, hold_out=hold_out)
            self._verified[folder] = artifact.fingerprint(folder)
        except (artifact.ArtifactError, StorageError, OSError) as error:
            self._pauses[folder] = min(2 * self._pauses.get(folder, FIRST_PAUSE / 2), LONGEST_PAUSE)
            self._due[folder] = time.monotonic() + self._pauses[folder]
            if self._problems.get(folder) != str(error):
                log.warning("%s can't fetch %s: %s", self.host, folder.name, error)
            self._problems[folder] = str(error)
        else:
            for remembered in (self._problems, self._pauses, self._due):
                remembered.pop(folder, None)

    def _verify(self, run: TrainingRun, folder: Path, *, hold_out: bool) -> None:
        """Hash what lies here already, once unless it changes; remove what the run did not publish."""
        if not folder.exists() or self._verified.get(folder) == artifact.fingerprint(folder):
            return
        try:
            run.require_published(folder, hold_out=hold_out)
            artifact.verify(folder)
        except artifact.ArtifactError as error:
            log.warning("%s is fetched again: %s", folder.name, error)
            shutil.rmtree(folder)  # who has its arrays mapped keeps them

    def _note(self, model: str, promoted: TrainingRun | None) -> HostedModel:
        here = Promotion.objects.on_this_host(model)
        problem = self._problems.get(promoted.folder, "") if promoted else ""
        row = HostedModel(host=self.host, model=model, run=here, problem=problem)
        row.size = _size(here.folder) if here else 0
        said = (here.pk if here else None, problem)
        before = self._said.get(model)
        if before and before[:2] == said and time.monotonic() - before[2] < SEEN_SECONDS:
            return row
        values = {"run": here, "problem": problem, "size": row.size, "seen_at": Now()}
        if not before or before[:2] != said:
            values["changed_at"] = Now()
        HostedModel.objects.update_or_create(
            host=self.host, model=model, defaults=values, create_defaults={**values, "changed_at": Now()}
        )
        self._said[model] = (*said, time.monotonic())
        return row


def _size(folder: Path) -> int:
    """Bytes of its files; 0 where they are removed as we look, by the upkeep of a worker on this host."""
    try:
        return sum(path.stat().st_size for path in folder.rglob("*"))
    except FileNotFoundError:
        return 0


def forget_silent() -> list[str]:
    """Delete the rows of hosts that were taken out of service; returns their names."""
    silent = HostedModel.objects.filter(seen_at__lt=database.now() - FORGOTTEN)
    names = sorted(set(silent.values_list("host", flat=True)))
    silent.delete()
    return names
