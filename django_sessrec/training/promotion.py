"""Promotions: which run serves. Each change adds a row to the audit trail, and none is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from django_sessrec import artifact_storage
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training import artifact_store
from django_sessrec.training.lock import promotion_lock

CARD = {"estimator", "window", "counts", "figures", "limits"}  # what a model's card can't lack


class PromotionError(Exception):
    """The run can't serve; the message says why."""


def promote(run: TrainingRun, by: str, reason: str = "") -> Promotion:
    """Let `run` serve its model; web processes notice within seconds.

    by: "schedule", "command", or a staff user's name. Raises PromotionError unless the run is published and
    can serve, see `verify`.
    """
    if run.state != TrainingRun.State.PUBLISHED:
        raise PromotionError(
            _("%(run)s is %(state)s; only a published run can be promoted.")
            % {"run": run, "state": run.get_state_display()}
        )
    verify(run)
    with promotion_lock(run.model):
        return record(run, by, reason)


def verify(run: TrainingRun) -> None:
    """Raise PromotionError unless the run is young enough, and its artifact opens and has its model card.

    Every byte of it is hashed, which takes seconds of a large one: not while the promotion's lock is held.
    Where this host does not have the artifact, the storage's manifest is read instead: each host verifies the
    rest before it serves it.
    """
    if run.is_expired:
        raise PromotionError(
            _(
                "%(run)s can't serve: its oldest click has reached RETENTION_DAYS. Choose a newer run, or "
                "train again."
            )
            % {"run": run}
        )
    with _said(run):
        if _is_here(run):
            run.open_to_serve()
        card = run.manifest().get("card")
    if not isinstance(card, dict) or not card.keys() >= CARD:
        raise PromotionError(
            _("The artifact of %(run)s has no model card: train the model again.") % {"run": run}
        )


def record(run: TrainingRun, by: str, reason: str = "") -> Promotion:
    """Add the row of a verified run under the promotion's lock; PromotionError if it was removed since."""
    if artifact_storage.configured():
        run.refresh_from_db(fields=["sha256"])  # `prune` takes it under this lock
        if not run.sha256:
            raise PromotionError(_("%(run)s was removed meanwhile: choose a newer run.") % {"run": run})
    if _is_here(run):
        with _said(run):
            run.manifest()
    return Promotion.objects.create(model=run.model, run=run, promoted_by=by, reason=reason)


def _is_here(run: TrainingRun) -> bool:
    """Whether this host has the artifact, or should have: there is no storage to fetch it from."""
    return run.folder.exists() or not artifact_storage.configured()


@contextmanager
def _said(run: TrainingRun) -> Iterator[None]:
    """An artifact that does not open as a PromotionError."""
    try:
        yield
    except (artifact.ArtifactError, artifact_storage.StorageError) as error:
        raise PromotionError(
            _("The artifact of %(run)s can't be opened: %(error)s. Choose another run, or train again.")
            % {"run": run, "error": error}
        ) from error


def roll_back(model: str, by: str, reason: str = "") -> Promotion:
    """Promote the run that served before the present one did; a second call goes back one more.

    Raises PromotionError as `promote` does, where none served before, and where another one was promoted
    while the artifact was opened.
    """
    present, before = Promotion.objects.active(model), Promotion.objects.served_before(model)
    if before is None:
        raise PromotionError(_("No run of %(model)s served before the current one.") % {"model": model})
    verify(before)
    words = _("rolled back from %(run)s") % {"run": present}
    with promotion_lock(model):
        latest = Promotion.objects.filter(model=model).select_related("run").first()
        if latest is not None and latest.run != present:
            raise PromotionError(
                _("%(run)s was promoted meanwhile by %(by)s. Look again before you roll back.")
                % {"run": latest.run, "by": latest.promoted_by}
            )
        return record(before, by, f"{words}: {reason}" if reason else words)


def held_by(model: str) -> Promotion | None:
    """The promotion of an older run than one that served before, if it is the latest.

    Somebody went back, so the next training must not undo it: what is trained waits to be promoted by hand,
    for as long as that run can serve, see `why_unfit`.
    """
    trail = Promotion.objects.filter(model=model).select_related("run")
    latest = trail.first()
    return latest if latest and trail.filter(run__gt=latest.run_id).exists() else None


def why_unfit(run: TrainingRun) -> str:
    """Why the run's model can't serve any more; empty where it can, or where the storage is away.

    Every byte of it is read, as `verify` does.
    """
    if run.is_expired:
        return _("its oldest click has reached RETENTION_DAYS")
    try:
        artifact_store.bring(run)
        run.open_to_serve()
    except artifact.ArtifactError as error:
        return str(error)
    except (artifact_storage.StorageError, OSError):
        pass
    return ""
