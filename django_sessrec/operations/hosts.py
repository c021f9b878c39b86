"""Examination of the hosts that fetch models from a storage: what each serves, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from django_sessrec import artifact_storage, database
from django_sessrec.conf import sessrec_settings
from django_sessrec.host_models import HostedModel
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.findings import Code, Finding, ago, fail, ok, warn
from django_sessrec.operations.heartbeat import SILENCE


def rows() -> list[HostedModel]:
    """What each host has of each model that is still in the settings; none where all share one folder."""
    if not artifact_storage.configured():
        return []
    return list(HostedModel.objects.filter(model__in=sessrec_settings.MODELS).select_related("run"))


def copies() -> Iterator[Finding]:
    """Each host's copy of each model; nothing where all hosts share one folder."""
    if not artifact_storage.configured():
        return
    found = rows()
    if not found:
        yield warn(
            Code.HOST_NONE,
            _("No host fetches models from the storage."),
            _("Start manage.py sessrec_fetch on each host that shows lists."),
        )
        return
    now = database.now()
    silent = {row.host: row for row in found if now - row.seen_at >= SILENCE}
    for host, row in silent.items():
        yield warn(
            Code.HOST_SILENT,
            _("%(host)s was last seen %(ago)s: it serves the models that it has.")
            % {"host": host, "ago": ago(row.seen_at)},
            _(
                "Start manage.py sessrec_fetch on it. A host that was taken out of service is left out here "
                "after a day."
            ),
        )
    serves = {model: _may_serve(model, now) for model in {row.model for row in found}}
    for row in found:
        if row.host not in silent:
            yield _copy(row, serves[row.model])


def _may_serve(model: str, now: datetime) -> TrainingRun | None:
    """The promoted run; None where it is past RETENTION_DAYS, which no host fetches."""
    promoted = Promotion.objects.active(model)
    return None if promoted is None or promoted.is_expired_at(now) else promoted


def _copy(row: HostedModel, promoted: TrainingRun | None) -> Finding:
    words = {"host": row.host, "old": row.run, "new": promoted, "model": row.model, "problem": row.problem}
    if promoted is None or row.run == promoted:
        if promoted is None:
            return ok(Code.HOST_CURRENT, _("%(host)s waits for the next run of %(model)s.") % words)
        return ok(Code.HOST_CURRENT, _("%(host)s serves %(new)s.") % words)
    if not row.problem:
        return ok(Code.HOST_FETCHES, _("%(host)s is fetching %(new)s.") % words)
    remedy = _("Correct the cause; it is tried again by itself, every ten minutes at the latest.")
    if row.run is None:
        return fail(
            Code.HOST_KEEPS_OLD,
            _("%(host)s has no %(model)s, and can't fetch %(new)s: %(problem)s") % words,
            remedy,
        )
    return fail(
        Code.HOST_KEEPS_OLD,
        _("%(host)s still serves %(old)s, and can't fetch %(new)s: %(problem)s") % words,
        remedy,
    )
