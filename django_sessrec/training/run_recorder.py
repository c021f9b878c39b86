"""The row of a training run: its stage, progress and curve while it runs, and how it ended."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec.artifact_storage import StorageError
from django_sessrec.models import TrainingRun
from django_sessrec.safety import isolated
from django_sessrec.training import artifact_store, click_files
from django_sessrec.training.lock import Held, LockLost, training_lock

log = logging.getLogger("django_sessrec")

Listener = Callable[[str, float, Mapping[str, Any]], None]
"""Called with the stage, the share of it that is done (0..1), and what to show, such as {"loss": 5.1}; a text
named "note" stays with the run's verdict."""

SECONDS_BETWEEN_WRITES = 1.0
SECONDS_BETWEEN_TIDYING = 300.0  # as its schedule has it
POINTS = 200  # of a stored curve


class RunRecorder:
    """Writer of a run's stage, progress and curve to its row; also an estimator's progress callback."""

    def __init__(self, run: TrainingRun, listener: Listener | None, held: Held) -> None:
        """held: asks whether the model's training lock is."""
        self.run = run
        self.listener = listener
        self.held = held
        self.written = 0.0
        self.tidied = time.monotonic()  # every run begins with it

    def stage(self, name: str) -> None:
        """A new stage begins: written at once. Raises LockLost, as every call may."""
        self.held()
        self.run.stage, self.run.progress = name, 0.0
        self._write()
        self._tell({})

    def __call__(self, share: float, shown: Mapping[str, Any]) -> None:
        self.run.progress = share
        figures = {name: value for name, value in shown.items() if name != "note"}
        if (note := shown.get("note")) and note not in self.run.verdict:  # each network of a run may say it
            self.run.note(note)
        if self.run.stage == "fit" and figures:
            self._plot(share, figures)
        if time.monotonic() - self.written >= SECONDS_BETWEEN_WRITES:
            self._write()
        if time.monotonic() - self.tidied >= SECONDS_BETWEEN_TIDYING:
            self.tidied = time.monotonic()
            with isolated("tidy the click files"):  # its worker does nothing else meanwhile
                click_files.tidy()
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
        _write_running(self.run)

    def _tell(self, shown: Mapping[str, Any]) -> None:
        if self.listener is not None:
            self.listener(self.run.stage, self.run.progress, shown)


def fail_stale() -> list[TrainingRun]:
    """Mark the runs as failed whose process was killed; returns them."""
    running = TrainingRun.objects.filter(state=TrainingRun.State.RUNNING).values_list("model", flat=True)
    failed = []
    for model in sorted(set(running)):
        with training_lock(model) as held:
            if held:
                failed += fail_killed(model)
    return failed


def fail_killed(model: str) -> list[TrainingRun]:
    """As fail_stale, for the process that holds the model's lock: other runs in state RUNNING are dead."""
    killed = list(TrainingRun.objects.filter(model=model, state=TrainingRun.State.RUNNING))
    reason = _("Its process was killed or lost its database at the stage %(stage)s.")
    for run in killed:
        fail(run, reason % {"stage": run.stage})
    return killed


def fail(run: TrainingRun, reason: str, error: str = "") -> None:
    """End a run as failed, with the traceback as `error`, and remove what it left on disk.

    Not one that is published: the answer to its last statement was lost, and it serves.
    """
    run.artifact, run.error = "", error
    try:
        finish(run, TrainingRun.State.FAILED, reason)
    except LockLost:  # it is over: another process has said why it failed
        run.refresh_from_db()
        if run.state == TrainingRun.State.PUBLISHED:
            log.warning("Training run %s is published, though its process met: %s", run, reason)
            return
        TrainingRun.objects.filter(pk=run.pk).update(artifact="")
        run.artifact = ""
    try:
        artifact_store.remove(run)
    except StorageError as problem:
        log.warning("what %s has published can't be removed yet: %s", run, problem)
    log.error("Training run %s failed: %s", run, reason)


def finish(run: TrainingRun, state: TrainingRun.State, verdict: str) -> None:
    """Write how a running run ended, and why; what was noted on the way stays. Raises LockLost."""
    run.state, run.finished_at = state, timezone.now()
    run.verdict = f"{verdict} {run.verdict}".strip()
    _write_running(run)
    log.info("Training run %s ended, %s: %s", run, state.label, verdict)


def _write_running(run: TrainingRun) -> None:
    """Write the row; LockLost where another process has ended the run, which must not begin again."""
    columns = [each.attname for each in run._meta.concrete_fields if not each.primary_key]
    values = {name: getattr(run, name) for name in columns}
    running = TrainingRun.objects.filter(pk=run.pk, state=TrainingRun.State.RUNNING)
    if not running.update(**values):
        raise LockLost(_("Another process has ended it."))
