"""What a candidate is compared with: its predecessor, the model that would answer without it, popularity."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.training import artifact_store

log = logging.getLogger("django_sessrec")


def incumbent(model: str) -> Recommender | None:
    """The model's run in service, as it was tested: its published twin has seen the days since."""
    return _tested(_active(model))


def next_in_line(model: str) -> tuple[str, Recommender] | None:
    """The model that answers where this one doesn't, and what of it serves; None where none does."""
    for name in _below(model):
        if (recommender := _tested(_active(name))) is not None:
            return name, recommender
    return None


def _below(model: str) -> Iterator[str]:
    """The models that placements ask after this one; an experiment's variants are compared by visitors."""
    for placement in map(sessrec_settings.placement, sessrec_settings.PLACEMENTS):
        if model in placement["MODELS"]:
            yield from placement["MODELS"][placement["MODELS"].index(model) + 1 :]


def _active(model: str) -> TrainingRun | None:
    return Promotion.objects.active(model)


def _tested(run: TrainingRun | None) -> Recommender | None:
    """The run's model as the gate tested it; None, with a warning, where it does not open."""
    if run is None:
        return None
    try:
        return artifact.load(artifact_store.tested_folder(run))
    except artifact.ArtifactError as error:
        log.warning("%s serves but can't be compared with a candidate: %s", run, error)
        return None
