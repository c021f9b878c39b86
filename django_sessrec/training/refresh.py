"""A refresh: a training run that starts from the model in service, between two runs from scratch."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from django_sessrec.models import TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.training import artifact_store
from django_sessrec.training.resume import recipe


def starts(run: TrainingRun, *, refreshable: bool) -> Mapping[str, Recommender]:
    """The model that each stage starts from; empty where `run` is trained from scratch, which it notes.

    refreshable: whether the estimator's fit takes a warm start. The hold-out model starts from the
    last hold-out model: the published one has seen the days of the test.
    """
    if run.started_from is None:
        return {}
    try:
        _check(run, run.started_from, refreshable=refreshable)
        found = {
            "fit": artifact_store.opened(run.started_from, hold_out=True),
            "refit": artifact_store.opened(run.started_from),
        }
    except (ValueError, artifact.ArtifactError) as reason:
        run.note(_("Trained from scratch: %(reason)s.") % {"reason": str(reason).rstrip(".")})
        run.started_from = None
        return {}
    run.note(_("Refreshed from %(run)s.") % {"run": run.started_from})
    return found


def _check(run: TrainingRun, start: TrainingRun, *, refreshable: bool) -> None:
    """ValueError unless `run` may start from there."""
    if not refreshable:
        raise ValueError(_("%(estimator)s does not support a warm start") % {"estimator": run.estimator})
    if recipe(start) != recipe(run):
        raise ValueError(_("%(run)s has other hyper-parameters") % {"run": start})
    if start.counts.get("tested_from", float("inf")) > run.counts["tested_from"]:
        raise ValueError(_("%(run)s was trained on some of the test days") % {"run": start})
