"""Active models: opened when promoted, kept by each web process, replaced without a restart."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property, partial

from django_sessrec import artifact_storage
from django_sessrec.capture.fast_query import bounded, database_breaker
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.cold_start import ColdStart
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.safety import isolated, log
from django_sessrec.serving.ttl import CachedValue

CHECK_SECONDS = 5  # between two looks for another promotion, one small query each
TRY_AGAIN_SECONDS = 60  # after which an unchanged artifact that did not open is read once more
POPULAR = 200  # items of a model's popularity that are kept at hand


@dataclass(frozen=True)
class ActiveModel:
    """A promoted run, opened."""

    model: str
    run_id: int
    recommender: Recommender
    intents: Intents | None = None  # likeness of its items, by which a session's intents are told apart
    cold_start: ColdStart | None = None  # item embeddings of products that it does not know

    @cached_property
    def popular(self) -> list[str]:
        """What the model says of a visitor who clicked nothing, best first."""
        found = self.recommender.rank([], POPULAR)
        return self.recommender.index.item_ids(found.rows)


@dataclass(frozen=True, slots=True)
class _Unopened:
    """An artifact that did not open; reading all of it again every CHECK_SECONDS would delay pages."""

    run_id: int
    fingerprint: artifact.Fingerprint
    tried_at: float

    def may_try_again(self, run: TrainingRun) -> bool:
        """For another run, for changed files, or after TRY_AGAIN_SECONDS."""
        return (
            run.pk != self.run_id
            or time.monotonic() - self.tried_at >= TRY_AGAIN_SECONDS
            or artifact.fingerprint(run.folder) != self.fingerprint
        )


_models: dict[str, CachedValue[ActiveModel | None]] = {}
_unopened: dict[str, _Unopened] = {}  # by model


def active(model: str) -> ActiveModel | None:
    """The model's promoted run; a new promotion is noticed within CHECK_SECONDS.

    A missing database, folder or file leaves the run so far in service. None before the first one. Where
    hosts fetch models (ARTIFACTS_STORAGE), a promotion counts once `sessrec_fetch` has brought its artifact
    here: nothing is fetched while a page waits.
    """
    if model not in _models:
        _models.setdefault(model, CachedValue(None, partial(_renewed, model)))
    return _models[model].get(CHECK_SECONDS)


def forget() -> None:
    """Open every model anew when it is next asked for."""
    _models.clear()
    _unopened.clear()


# The threads of a network's runtime do not survive a fork; memory-mapped arrays cost nothing twice.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def _renewed(model: str, current: ActiveModel | None) -> ActiveModel | None:
    if database_breaker.resting:
        return current
    with isolated(f"look up the promoted run of {model!r}"):
        with bounded():
            run = Promotion.objects.active(model)
            if run and artifact_storage.configured() and not run.folder.exists():
                run = Promotion.objects.on_this_host(model)
        if run is None or run.is_expired:
            current = None
        elif current is None or current.run_id != run.pk:
            unopened = _unopened.get(model)
            if unopened is None or unopened.may_try_again(run):
                current = _opened(run, current) or current
    return current


def _opened(run: TrainingRun, current: ActiveModel | None) -> ActiveModel | None:
    """The run's artifact, or None, logged, when it does not open."""
    found = artifact.fingerprint(run.folder)  # before: what arrives meanwhile is tried at the next look
    try:
        opened = ActiveModel(run.model, run.pk, *run.open_to_serve())
    except Exception as error:
        _unopened[run.model] = _Unopened(run.pk, found, time.monotonic())
        meanwhile = (
            f"run #{current.run_id} stays in service"
            if current
            else "the next model or the fallback fills the lists"
        )
        remedy = f"roll back in the admin, or run sessrec_train {run.model}"
        log(f"could not open the artifact of {run}, so {meanwhile}: {remedy}", error)
        return None
    _unopened.pop(run.model, None)
    return opened
