"""The schedule of a model: a training run from scratch, a refresh, or nothing."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, auto

from django.utils import timezone

from django_sessrec.artifact_storage import StorageError
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys.artifact import ArtifactError
from django_sessrec.training import artifact_store, resume
from django_sessrec.training.promotion import held_by
from django_sessrec.training.window import expires_soon

RETRY_HOURS = 1  # a failed run is tried again after this long, or sooner where it is due

_opened: set[int] = set()  # runs whose artifact this process has opened: once is enough


class Due(Enum):
    """Kinds of scheduled work."""

    TRAINING = auto()  # from scratch
    REFRESH = auto()  # from the model in service


def newest_run(model: str) -> int:
    """Key of the model's newest run, whatever became of it; 0 where there is none."""
    newest = TrainingRun.objects.filter(model=model).order_by("-pk").values_list("pk", flat=True).first()
    return newest or 0


def due(model: str) -> Due | None:
    """What the model's schedule asks for now.

    A killed run is due at once, as what it was. What serves is replaced before its time where this version
    can't open it, as after an upgrade, or where it is to be removed soon, unless staff went back to it.
    """
    settings = sessrec_settings.model(model)
    runs = TrainingRun.objects.filter(model=model).order_by("-pk")
    if resume.waits(model) or _is_over(runs.filter(started_from=None).first(), settings["EVERY_HOURS"]):
        return Due.TRAINING
    newest = runs.first()
    if _is_over(newest, RETRY_HOURS) and _must_be_replaced(model):
        return Due.TRAINING
    if settings["REFRESH_HOURS"] and _is_over(newest, settings["REFRESH_HOURS"]):
        return Due.TRAINING if _failed_to_refresh(newest) else Due.REFRESH
    return None


def _is_over(run: TrainingRun | None, hours: float) -> bool:
    """Whether the interval has passed since the run began; a shorter one if it failed."""
    if run is None:
        return True
    if run.state == TrainingRun.State.FAILED:
        hours = min(hours, RETRY_HOURS)
    return timezone.now() >= run.created_at + timedelta(hours=hours)


def _failed_to_refresh(run: TrainingRun | None) -> bool:
    """Whether it is a refresh that failed, as one does from a network that this version builds otherwise."""
    return run is not None and run.state == TrainingRun.State.FAILED and run.started_from_id is not None


def _must_be_replaced(model: str) -> bool:
    """Whether what serves is near its end; under a hold only once a new run may take over, see `held_by`."""
    active = Promotion.objects.active(model)
    if active is None:
        return False
    is_due = active.is_expired if held_by(model) else expires_soon(active)
    return is_due or not _opens(active)


def _opens(run: TrainingRun) -> bool:
    if run.pk not in _opened:
        try:
            artifact_store.bring(run)
            run.open_to_serve()
        except ArtifactError:
            return False
        except (StorageError, OSError):  # away for now, or the disk is: neither says anything of the artifact
            return True
        _opened.add(run.pk)
    return True
