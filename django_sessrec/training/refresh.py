"""A refresh: between two trainings from scratch, one that starts from the model in service."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.training import artifact_store
from django_sessrec.training.resume import recipe


def in_service(model: str) -> TrainingRun | None:
    """The run to start from."""
    return Promotion.objects.active(model)


def starts(run: TrainingRun, *, refreshable: bool) -> Mapping[str, Recommender]:
    """The model that each stage starts from, none where `run` must be trained from scratch and says so.

    refreshable: whether the estimator's fit takes a warm start. The model that is tested starts from one that
    was: the published one has seen the days of the test.
    """
    if run.started_from is None:
        return {}
    try:
        _check(run, run.started_from, refreshable=refreshable)
        folders = {
            "fit": artifact_store.tested_folder(run.started_from),
            "refit": artifact_store.folder(run.started_from),
        }
        found = {stage: artifact.load(folder) for stage, folder in folders.items()}
    except (ValueError, artifact.ArtifactError) as reason:
        run.note(_("Trained from scratch: %(reason)s.") % {"reason": str(reason).rstrip(".")})
        run.started_from = None
        return {}
    run.note(_("Refreshed from %(run)s.") % {"run": run.started_from})
    return found


def _check(run: TrainingRun, start: TrainingRun, *, refreshable: bool) -> None:
    """ValueError unless `run` may start from there."""
    if not refreshable:
        raise ValueError(_("%(estimator)s takes no warm start") % {"estimator": run.estimator})
    if recipe(start) != recipe(run):
        raise ValueError(_("%(run)s has other hyper-parameters") % {"run": start})
    if start.counts.get("tested_from", float("inf")) > run.counts["tested_from"]:
        raise ValueError(_("%(run)s has seen some of the days to be tested on") % {"run": start})
