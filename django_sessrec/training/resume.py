"""State that a killed training run leaves on disk, from which the next run of its model resumes."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog

log = logging.getLogger("django_sessrec")

MAX_AGE = timedelta(hours=6)  # since they were read; older clicks are not worth a run, nor kept for one
ATTEMPTS = 3  # a run that is killed again and again starts anew when its schedule asks for it
RUN, SESSIONS = "run.json", "sessions.npz"
KEPT = {"run", "attempts", "recipe", "window", "counts", "started_from"}  # in RUN


def folder(model: str) -> Path:
    """Where the model's run keeps its clicks and the checkpoints of its networks."""
    return sessrec_settings.artifacts / f".{model}.unfinished"


def keep(run: TrainingRun, sessions: SessionLog) -> None:
    """Keep what `run` has read: until it resumes, sessions are added to the table and withdrawn from it."""
    discard(run.model)
    try:
        _keep(run, sessions)
    except OSError as error:
        discard(run.model)
        log.warning("the clicks could not be kept, so that %s would start anew after a kill: %s", run, error)


def _keep(run: TrainingRun, sessions: SessionLog) -> None:
    folder(run.model).mkdir(mode=0o700)
    ids = np.frombuffer(json.dumps(sessions.index.ids[1:]).encode(), np.uint8)
    np.savez(
        folder(run.model) / SESSIONS,
        allow_pickle=False,
        ids=ids,
        **sessions.arrays(),
    )
    _write(
        run.model,
        {
            "run": run.pk,
            "attempts": 1,
            "recipe": recipe(run),
            "window": [at and at.isoformat() for at in (run.window_start, run.window_end)],
            "counts": run.counts,
            "started_from": run.started_from_id,
        },
    )


def waits(model: str) -> bool:
    """Whether there is a run to resume."""
    found = _read(model)
    return found is not None and found["attempts"] < ATTEMPTS and _age(found) < MAX_AGE


def resume(run: TrainingRun) -> SessionLog | None:
    """The sessions that a killed run of the same recipe had read; `run` takes over its window and counts."""
    found = _read(run.model)
    if found is None or not waits(run.model) or found["recipe"] != recipe(run):
        return None
    try:
        # Opened here: NumPy leaves a file open that it does not understand.
        with (folder(run.model) / SESSIONS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            clicks = dict(arrays)
            index = ItemIndex(json.loads(clicks.pop("ids").tobytes()))
            sessions = SessionLog(index, **clicks)
    except artifact.DAMAGED as error:
        log.warning("the clicks of the killed run #%s can't be read: %s", found["run"], error)
        return None
    run.window_start, run.window_end = map(datetime.fromisoformat, found["window"])
    run.counts = found["counts"]
    known = TrainingRun.objects.in_bulk([pk for pk in (found["run"], found["started_from"]) if pk])
    run.started_from = known.get(found["started_from"])  # None where it was deleted meanwhile
    run.note(_("Resumed from training run #%(run)s.") % {"run": found["run"]})
    run.history = known[found["run"]].history if found["run"] in known else []
    _write(run.model, found | {"run": run.pk, "attempts": found["attempts"] + 1})
    return sessions


def recipe(run: TrainingRun) -> Any:
    """What two runs must share for one to start from the other's model: estimator, options, event weights."""
    return json.loads(json.dumps([run.estimator, run.parameters, run.counts.get("event_weights")]))


def discard(model: str) -> None:
    """Remove what is kept, if anything is."""
    shutil.rmtree(folder(model), ignore_errors=True)


def discard_old() -> None:
    """Remove what no run resumed; clicks are not kept outside of their table."""
    for path in sessrec_settings.artifacts.glob(".*.unfinished"):
        model = path.name.removeprefix(".").removesuffix(".unfinished")
        if (
            not waits(model)
            and not TrainingRun.objects.filter(model=model, state=TrainingRun.State.RUNNING).exists()
        ):
            discard(model)


def _age(found: dict[str, Any]) -> timedelta:
    return timezone.now() - datetime.fromisoformat(found["window"][1])


def _read(model: str) -> dict[str, Any] | None:
    """State of the killed run; None without one, or where another version kept other fields."""
    try:
        found: dict[str, Any] = json.loads((folder(model) / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= KEPT else None


def _write(model: str, what: dict[str, Any]) -> None:
    unfinished = folder(model) / f".{RUN}"
    unfinished.write_text(json.dumps(what), encoding="utf-8")
    unfinished.replace(folder(model) / RUN)
