"""Examination of the models: which run serves, whether it opens, and how the latest training run ended."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from django_sessrec import artifact_storage
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.findings import Code, Finding, ago, fail, ok, warn
from django_sessrec.recsys import artifact
from django_sessrec.training.promotion import held_by
from django_sessrec.training.window import expires_soon

ENDED_BADLY = {TrainingRun.State.FAILED, TrainingRun.State.REFUSED}


def trained_models() -> Iterator[Finding]:
    for model in sessrec_settings.MODELS:
        latest = TrainingRun.objects.filter(model=model).first()
        to_start = _("Run sessrec_train %(model)s") % {"model": model}
        if latest is not None and latest.state == TrainingRun.State.RUNNING:
            to_start = _("%(run)s is being trained: wait for it.") % {"run": latest}
        elif latest is not None and latest.state in ENDED_BADLY:
            to_start = ""  # it was started: this finding says what became of it
            yield warn(
                Code.MODEL_NOT_TRAINED,
                _("%(run)s: %(state)s %(ago)s. %(verdict)s")
                % {
                    "run": latest,
                    "state": latest.get_state_display(),
                    "ago": ago(latest.created_at),
                    "verdict": latest.verdict,
                },
                _("Read the run's page in the admin; the scheduler starts the next training run."),
            )
        active = Promotion.objects.active(model)
        if active is None:
            yield warn(
                Code.MODEL_MISSING,
                _("No run of %(model)s serves yet.") % {"model": model},
                to_start,
            )
        else:
            yield _in_service(model, active)


def _in_service(model: str, active: TrainingRun) -> Finding:
    hold = held_by(model)
    words = {"run": active, "model": model, "person": hold and hold.promoted_by}
    train_again = _("Run sessrec_train %(model)s, and see why the schedule has not replaced it.") % words
    instead = _("%(person)s rolled back to it: promote a newer run, or run sessrec_train %(model)s.") % words
    if active.is_expired:
        return fail(
            Code.MODEL_EXPIRED,
            _("%(run)s no longer serves: its oldest click has reached RETENTION_DAYS.") % words,
            instead if hold else train_again,
        )
    if artifact_storage.configured() and not active.folder.exists():
        return warn(
            Code.MODEL_NOT_HERE,
            _("%(run)s serves, and is not on this host.") % words,
            _("If this host shows lists, run sessrec_fetch on it; see its line below."),
        )
    try:
        active.open_to_serve()
    except artifact.ArtifactError as problem:
        return fail(
            Code.MODEL_UNREADABLE,
            _("%(run)s serves but does not open: %(problem)s") % {"run": active, "problem": problem},
            instead if hold else _("Roll back in the admin, or train again."),
        )
    if active.expires_at is not None and expires_soon(active):
        stays = _("%(person)s rolled back to it, so no training run replaces it before: promote a newer run.")
        return warn(
            Code.MODEL_EXPIRES,
            _("%(run)s serves until %(day)s only, when its oldest click reaches RETENTION_DAYS.")
            % {"run": active, "day": date_format(active.expires_at, "SHORT_DATE_FORMAT")},
            stays % words if hold else train_again,
        )
    if hold:
        return warn(
            Code.MODEL_HELD,
            _("%(run)s serves because %(person)s rolled back to it.") % words,
            _("Promote a newer run when it may serve again; while this one can, no other run replaces it."),
        )
    ready = {"run": active, "ago": ago(active.created_at)}
    return ok(Code.MODEL_SERVES, _("%(run)s serves, trained %(ago)s.") % ready)
