"""The models that a candidate is compared with: its predecessor and the next model of its placements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training import artifact_store, split
from django_sessrec.training.gate import FEWEST_CASES

log = logging.getLogger("django_sessrec")

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """The hold-out models that a candidate meets: the published ones have seen the days of the test.

    days: of the test, those that none of the hold-out models has seen either
    next: the name of the next model in line that serves, and its hold-out model
    """

    days: SessionLog
    incumbent: Recommender | None
    next: tuple[str, Recommender] | None


def compared(model: str, days: SessionLog, note: Note) -> Compared:
    """The model in service and the next in line, which answers where this one doesn't, if they can be tested.

    One that held out fewer days shortens the test; but not the next in line where the model in service has
    its say.

    days: the candidate's last days
    note: called with the reason, for the verdict, where a model that serves is not compared, or on fewer days
    """
    incumbent = None
    if (run := Promotion.objects.active(model)) is not None and (met := _meet(run, days, note)) is not None:
        incumbent, days = met
    for name in _below(model):
        if (run := Promotion.objects.active(name)) is None:
            continue
        if (met := _meet(run, days, note, may_shorten=incumbent is None)) is not None:
            return Compared(met[1], incumbent, (name, met[0]))
    return Compared(days, incumbent, None)


def _meet(
    run: TrainingRun, days: SessionLog, note: Note, *, may_shorten: bool = True
) -> tuple[Recommender, SessionLog] | None:
    """The run's hold-out model and those of the days that it has not seen; None if it can't be compared."""
    if run.is_expired:
        no_longer = _(
            "Not compared with %(run)s, which no longer serves: its oldest click has reached RETENTION_DAYS."
        )
        note(no_longer % {"run": run})
        return None
    since = split.unseen_from(run) or run.created_at
    seen = int(np.searchsorted(days.started, since.timestamp()))
    unseen = days.slice(seen, len(days))
    if seen and (not may_shorten or unseen.n_clicks - len(unseen) < FEWEST_CASES):
        note(_("Not compared with %(run)s, which serves: it was fitted on days of the test.") % {"run": run})
        return None
    if (recommender := _hold_out(run, note)) is None:
        return None
    if seen:
        note(
            _("The test begins at %(since)s: %(run)s, which serves, was fitted on the days before.")
            % {"since": f"{timezone.localtime(since):%Y-%m-%d %H:%M}", "run": run}
        )
    return recommender, unseen


def _below(model: str) -> Iterator[str]:
    """The models after this one in placements' MODELS; not in experiments, which visitors judge."""
    for placement in map(sessrec_settings.placement, sessrec_settings.PLACEMENTS):
        if model in placement["MODELS"]:
            yield from placement["MODELS"][placement["MODELS"].index(model) + 1 :]


def _hold_out(run: TrainingRun, note: Note) -> Recommender | None:
    """The run's model as the gate tested it; None, with a warning and a note, where it does not open.

    StorageError where it can't be told whether it does: no candidate passes because the storage is away.
    """
    try:
        return artifact_store.opened(run, hold_out=True)
    except artifact.ArtifactError as error:
        log.warning("%s serves but can't be compared with a candidate: %s", run, error)
        note(
            _("Not compared with %(run)s, which serves: its hold-out model does not open (%(error)s).")
            % {"run": run, "error": error}
        )
        return None
