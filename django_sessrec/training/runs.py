"""A training's row while it runs: what it does, how far it is, and whether it still lives."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import TrainingRun
from django_sessrec.training import artifact_store, resume
from django_sessrec.training.lock import training_lock

log = logging.getLogger("django_sessrec")

Listener = Callable[[str, float, Mapping[str, Any]], None]
"""Called with the stage, the share of it that is done (0..1), and what to show, such as {"loss": 5.1}; a text
named "note" stays with the run's verdict."""

SECONDS_BETWEEN_WRITES = 1.0
POINTS = 200  # of a stored curve
RETRY_HOURS = 1  # a failed training is tried again after this long, or sooner where it is due


class Due(Enum):
    """What a schedule asks for."""

    TRAINING = auto()  # from scratch
    REFRESH = auto()  # from the model in service


def all_runs() -> QuerySet[TrainingRun]:
    """Every run, on the app's database."""
    return TrainingRun.objects


class Journal:
    """Keeps a run's stage, progress and curve in its row; as an estimator's progress callback, too."""

    def __init__(self, run: TrainingRun, listener: Listener | None) -> None:
        self.run = run
        self.listener = listener
        self.written = 0.0

    def stage(self, name: str) -> None:
        """A new stage begins: written at once."""
        self.run.stage, self.run.progress = name, 0.0
        self._write()
        self._tell({})

    def __call__(self, share: float, shown: Mapping[str, Any]) -> None:
        self.run.progress = share
        figures = {name: value for name, value in shown.items() if name != "note"}
        if note := shown.get("note"):
            self.run.note(note)
        if self.run.stage == "fit" and figures:
            self._plot(share, figures)
        if time.monotonic() - self.written >= SECONDS_BETWEEN_WRITES:
            self._write()
        self._tell(shown)

    def _plot(self, share: float, shown: Mapping[str, Any]) -> None:
        curve = self.run.history
        finite = {name: float(value) for name, value in shown.items() if math.isfinite(value)}  # as JSON is
        step = share - curve[-1]["progress"] if curve else 1.0
        if step == 0 or (step < 1 / POINTS and share < 1):
            curve[-1] |= finite
        else:
            curve.append({"progress": share, **finite})

    def _write(self) -> None:
        self.written = time.monotonic()
        self.run.heartbeat_at = timezone.now()
        self.run.save()  # nobody else writes the row while its model's lock is held

    def _tell(self, shown: Mapping[str, Any]) -> None:
        if self.listener is not None:
            self.listener(self.run.stage, self.run.progress, shown)


def due(model: str) -> Due | None:
    """What the model's schedule asks for now; what was killed is due at once, as what it was."""
    recipe = sessrec_settings.model(model)
    runs = all_runs().filter(model=model).order_by("-pk")
    if resume.waits(model) or _is_over(runs.filter(started_from=None).first(), recipe["EVERY_HOURS"]):
        return Due.TRAINING
    if recipe["REFRESH_HOURS"] and _is_over(runs.first(), recipe["REFRESH_HOURS"]):
        return Due.REFRESH
    return None


def _is_over(run: TrainingRun | None, hours: float) -> bool:
    """Whether so many hours have passed since the run began; fewer if it failed."""
    if run is None:
        return True
    if run.state == TrainingRun.State.FAILED:
        hours = min(hours, RETRY_HOURS)
    return timezone.now() >= run.created_at + timedelta(hours=hours)


def fail_stale() -> list[TrainingRun]:
    """Mark the runs failed whose process was killed; returns them."""
    running = all_runs().filter(state=TrainingRun.State.RUNNING).values_list("model", flat=True)
    failed = []
    for model in sorted(set(running)):
        with training_lock(model) as held:
            if held:
                failed += fail_killed(model)
    return failed


def fail_killed(model: str) -> list[TrainingRun]:
    """As fail_stale, for whoever holds the model's lock: who else says to be running is dead."""
    killed = list(all_runs().filter(model=model, state=TrainingRun.State.RUNNING))
    reason = _("Its process was killed or lost its database at the stage %(stage)s.")
    for run in killed:
        fail(run, reason % {"stage": run.stage})
    return killed


def fail(run: TrainingRun, reason: str, error: str = "") -> None:
    """End a run as failed, with the whole `error` for the curious, and remove what it left on disk."""
    artifact_store.remove(run)
    run.artifact, run.error = "", error
    finish(run, TrainingRun.State.FAILED, reason)
    log.error("The training of %s failed: %s", run, reason)


def finish(run: TrainingRun, state: TrainingRun.State, verdict: str) -> None:
    """Write how a run ended, and why; what was noted on the way stays."""
    run.state, run.finished_at = state, timezone.now()
    run.verdict = f"{verdict} {run.verdict}".strip()
    run.save()
    log.info("The training of %s ended, %s: %s", run, state.label, verdict)
