"""The models that a candidate is compared with: its predecessor and the next model of its placements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from django.utils.translation import gettext as _

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.training import artifact_store

log = logging.getLogger("django_sessrec")


def incumbent(model: str, note: Callable[[str], None]) -> Recommender | None:
    """The hold-out model of the run in service: the published one has seen the days of the test.

    note: called with the reason, for the verdict, where a model in service is not compared
    """
    return _hold_out(Promotion.objects.active(model), note)


def next_in_line(model: str, note: Callable[[str], None]) -> tuple[str, Recommender] | None:
    """The next model in line that serves, by name: it answers where this one doesn't. None without one."""
    for name in _below(model):
        if (recommender := _hold_out(Promotion.objects.active(name), note)) is not None:
            return name, recommender
    return None


def _below(model: str) -> Iterator[str]:
    """The models after this one in placements' MODELS; not in experiments, which visitors judge."""
    for placement in map(sessrec_settings.placement, sessrec_settings.PLACEMENTS):
        if model in placement["MODELS"]:
            yield from placement["MODELS"][placement["MODELS"].index(model) + 1 :]


def _hold_out(run: TrainingRun | None, note: Callable[[str], None]) -> Recommender | None:
    """The run's model as the gate tested it; None, with a warning and a note, where it does not open.

    StorageError where it can't be told whether it does: no candidate passes because the storage is away.
    """
    if run is None:
        return None
    try:
        return artifact_store.opened(run, hold_out=True)
    except artifact.ArtifactError as error:
        log.warning("%s serves but can't be compared with a candidate: %s", run, error)
        note(
            _("Not compared with %(run)s, which serves: its hold-out model does not open (%(error)s).")
            % {"run": run, "error": error}
        )
        return None
