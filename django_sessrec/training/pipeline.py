"""One training run: read, split by time, fit, test against what serves, refit, publish, promote."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from django.db import Error
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from django_sessrec.artifact_storage import StorageError
from django_sessrec.capture.bot_rules import quarantine
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.privacy.training_window import window
from django_sessrec.recsys.bought_together import BoughtTogetherRecommender
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.recommender import (
    Estimator,
    NotEnoughData,
    Recommender,
    is_refreshable,
    is_resumable,
    learns_from_baskets,
    offer,
)
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training import artifact_store, gate, incumbents, resume, split
from django_sessrec.training.cold_start import learn_cold_start
from django_sessrec.training.dataset import ALIKE, TrainingCounts, read, read_baskets
from django_sessrec.training.event_weights import EventWeights
from django_sessrec.training.incumbents import Compared
from django_sessrec.training.lock import LockLost, promotion_lock, training_lock
from django_sessrec.training.model_card import card
from django_sessrec.training.promotion import held_by, record, verify, why_unfit
from django_sessrec.training.refresh import starts
from django_sessrec.training.run_recorder import Listener, RunRecorder, fail, fail_killed, finish
from django_sessrec.training.schedule import Due, due, newest_run
from django_sessrec.training.stop import leave_cut_statement, sigterm_raised

log = logging.getLogger("django_sessrec")

TRAIN_EXTRA = {"onnx", "torch"}
FEW_COMPLEMENTS = 0.5  # share of the products: a refused model of baskets with fewer learnt from too little


class AlreadyTraining(Exception):  # noqa: N818
    """Another process is training this model."""


class Refused(Exception):  # noqa: N818
    """The data or the gate refuses the run; the message is the verdict."""


def train(
    model: str,
    *,
    trigger: str,
    progress: Listener | None = None,
    refresh: bool = False,
    only_if_due: bool = False,
    after: int | None = None,
) -> TrainingRun | None:
    """Train a model of SESSREC["MODELS"] and let it serve if it passes the gate.

    trigger: "schedule", "command", or a staff user's name. refresh: start from the model in service, if
    the estimator can. The run returned is published, refused or failed, and says why; None where
    `only_if_due` and the schedule asks for nothing, or a run newer than `after`, a key, has begun.
    Raises AlreadyTraining, and ImproperlyConfigured for an unknown model.
    """
    settings = sessrec_settings.model(model)
    with training_lock(model) as held, sigterm_raised():
        if not held:
            raise AlreadyTraining(_("%(model)s is being trained by another process.") % {"model": model})
        fail_killed(model)
        if after is not None and newest_run(model) > after:
            return None
        if only_if_due:
            if (work := due(model)) is None:
                return None
            refresh = work is Due.REFRESH
        run: TrainingRun = TrainingRun.objects.create(
            model=model,
            trigger=trigger,
            estimator=settings["ESTIMATOR"],
            parameters=settings["OPTIONS"],
            started_from=Promotion.objects.active(model) if refresh else None,
            started_at=timezone.now(),
        )
        try:
            _train_or_refuse(run, RunRecorder(run, progress, held), settings)
        except (LockLost, ChildProcessError) as lost:
            fail(run, str(lost))
            return run  # what is kept on disk may be another run's by now, or the next one resumes from it
        except (KeyboardInterrupt, SystemExit):
            leave_cut_statement()
            not_over = TrainingRun.objects.filter(pk=run.pk, state=TrainingRun.State.RUNNING)
            if not_over.exists():
                fail(run, _("It was stopped at the stage %(stage)s.") % {"stage": run.stage})
            raise  # its checkpoints stay on disk, for the next run to resume from
        except Exception as error:
            leave_cut_statement()
            reason = traceback.format_exception_only(error)[0].strip().splitlines()[0]
            fail(run, reason, "".join(traceback.format_exception(error)))
        resume.discard(model)
        if run.state == TrainingRun.State.PUBLISHED:
            _prune(model)
        return run


def _train_or_refuse(run: TrainingRun, recorder: RunRecorder, settings: Mapping[str, Any]) -> None:
    try:
        _train(run, recorder, settings)
    except (Refused, NotEnoughData) as refusal:
        finish(run, TrainingRun.State.REFUSED, str(refusal))


def _train(run: TrainingRun, recorder: RunRecorder, settings: Mapping[str, Any]) -> None:
    estimator = _estimator(run)
    artifact_store.prepare()
    recorder.stage("read")
    sessions = _sessions(run, estimator, settings["MIN_SESSIONS"])
    earlier, last_days = split.by_time(sessions, settings["VALIDATION_FRACTION"])
    run.counts["tested_from"] = int(last_days.started.min(initial=sessions.times.max(initial=0)))
    start = starts(run, refreshable=is_refreshable(estimator))

    views = _views(run) if learns_from_baskets(estimator) else None

    def fit(stage: str, sessions: SessionLog) -> Recommender:
        recorder.stage(stage)
        return offer(
            estimator,
            sessions,
            progress=recorder,
            checkpoints=resume.folder(run.model) / stage,
            warm_start=start.get(stage),
            views=views and _until(views, sessions),
        )

    earlier = earlier.compacted()
    hold_out = fit("fit", earlier)  # not even its epochs may be chosen on the days that it is tested on

    recorder.stage("evaluate")
    others = incumbents.compared(run.model, last_days, run.note)
    cases = split.cases(others.days)
    run.counts["cases"] = len(cases)
    run.figures = _figures(hold_out, others, earlier, cases, recorder)
    verdict = gate.verdict(
        run.figures,
        tolerance=settings["GATE_TOLERANCE"],
        shows_known=gate.shows_known(run.model),
        judged_by=settings["GATE_FIGURE"],
        on_baskets=run.on_baskets,
    )
    if not verdict.passed:
        raise Refused(" ".join(filter(None, (str(verdict), _too_thin(hold_out)))))

    published, of_published = hold_out, earlier
    if settings["REFIT"]:
        published, of_published = fit("refit", sessions), sessions
    run.counts["newest_session"] = int(of_published.started.max())  # a neighbour model counts ages from there
    recorder.stage("publish")
    intents = Intents.of(of_published).reindexed(of_published.index, published.index)
    cold_start = learn_cold_start(published.index, intents, of_published)
    artifact_store.publish(run, published, hold_out, card(run), intents=intents, cold_start=cold_start)
    verify(run)
    recorder.held()
    _promote(run, str(verdict))


def _promote(run: TrainingRun, verdict: str) -> None:
    """Let the run serve, unless staff went back to an older one that can; either ends it with its verdict."""
    before = held_by(run.model)
    unfit = why_unfit(before.run) if before else ""  # it reads an artifact: not while the lock is held
    with promotion_lock(run.model):
        hold = held_by(run.model)
        waits = hold is not None and (hold != before or not unfit)
        if hold is not None:
            sentence = (
                _("Not promoted: %(by)s rolled back to %(run)s. Promote a newer run to resume.")
                if waits
                else _("Promoted, though %(by)s rolled back to %(run)s: it can no longer serve (%(reason)s).")
            )
            verdict += " " + sentence % {"by": hold.promoted_by, "run": hold.run, "reason": unfit}
        finish(run, TrainingRun.State.PUBLISHED, verdict)
        if not waits:
            record(run, run.trigger, _("passed the gate"))


def _prune(model: str) -> None:
    """Remove old artifacts; where that fails, the new run serves all the same and the upkeep tries again."""
    try:
        artifact_store.prune(model)
    except (StorageError, OSError, Error) as error:
        log.warning("old artifacts of %s are not removed yet: %s", model, error)


def _estimator(run: TrainingRun) -> Estimator:
    """The run's estimator, imported only now: it may bring torch with it."""
    try:
        make = import_string(run.estimator)
        _refuse_unknown_options(run, make)
        estimator: Any = make(**run.parameters)
    except ModuleNotFoundError as error:
        if error.name not in TRAIN_EXTRA:
            raise
        needs = _("%(estimator)s needs %(module)s: pip install 'django-sessrec[train]'")
        raise ImportError(needs % {"estimator": run.estimator, "module": error.name}) from error
    if is_dataclass(estimator) and not isinstance(estimator, type):
        run.parameters = asdict(estimator)  # the defaults, too: they may change with the next version
    found: Estimator = estimator
    return found


def _refuse_unknown_options(run: TrainingRun, make: Callable[..., Any]) -> None:
    known = signature(make).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    for option in run.parameters.keys() - known.keys():
        words = {"model": run.model, "option": option, "known": ", ".join(known) or "-"}
        raise TypeError(
            _("SESSREC['MODELS']['%(model)s']['OPTIONS'] has '%(option)s'. Known options: %(known)s.") % words
        )


def _sessions(run: TrainingRun, estimator: Estimator, min_sessions: int) -> SessionLog:
    """The window's, or those of a killed run that this one resumes: sessions, or baskets."""
    keep = is_resumable(estimator)
    on_baskets = learns_from_baskets(estimator)
    if on_baskets:
        run.counts = {"learns_from": "baskets"}
    weights = ALIKE if on_baskets else EventWeights.of_model(run.model)
    if not weights.alike:
        run.counts = {"event_weights": weights.as_dict()}
    if keep and (sessions := resume.resume(run)) is not None:
        return sessions
    run.window_end = timezone.now()
    run.window_start = run.window_end - window(run.model)
    quarantine(run.window_start, run.window_end)
    read_sessions = read_baskets if on_baskets else partial(read, weights=weights)
    sessions, counts = read_sessions(
        run.window_start, run.window_end, from_files=sessrec_settings.CLICK_FILES
    )
    run.counts |= counts.as_dict()
    what = _("baskets of two products or more") if on_baskets else ""
    _refuse_too_little(counts, window(run.model), min_sessions, what or _("sessions of two clicks or more"))
    run.window_start = datetime.fromtimestamp(sessions.started[0], UTC)  # a young shop has fewer days
    if keep:
        resume.keep(run, sessions)
    return sessions


def _views(run: TrainingRun) -> SessionLog:
    """The clicks of the window whose baskets _sessions has read; the run is as old as the oldest of both."""
    start = run.window_end - window(run.model)  # type: ignore[operator]
    views, _counts = read(start, run.window_end, from_files=sessrec_settings.CLICK_FILES)  # type: ignore[arg-type]
    if len(views):
        run.window_start = min(run.window_start, datetime.fromtimestamp(views.started[0], UTC))  # type: ignore[type-var]
    return views


def _until(views: SessionLog, baskets: SessionLog) -> SessionLog:
    """The clicks of sessions that began before the last of the baskets, over their index."""
    stop = np.searchsorted(views.started, baskets.started.max(initial=0), side="right")
    return views.slice(0, int(stop)).reindexed(baskets.index)


def _refuse_too_little(counts: TrainingCounts, window: timedelta, needed: int, what: str) -> None:
    if counts.sessions_of_two >= needed and counts.items > 1:
        return
    raise Refused(
        _(
            "A training run needs %(needed)d %(what)s and 2 products; the last %(days)d days have "
            "%(sessions)d and %(items)d."
        )
        % {
            "days": window.days,
            "sessions": counts.sessions_of_two,
            "items": counts.items,
            "needed": needed,
            "what": what,
        }
    )


def _too_thin(hold_out: Recommender) -> str:
    """What explains the refusal of a model of baskets that knows what goes with few products only."""
    items = len(hold_out.index) - 1
    if not isinstance(hold_out, BoughtTogetherRecommender) or hold_out.known >= FEW_COMPLEMENTS * items:
        return ""
    return _("There are too few baskets: it knows what goes with %(known)d of %(items)d products.") % {
        "known": hold_out.known,
        "items": items,
    }


def _figures(
    hold_out: Recommender, others: Compared, earlier: SessionLog, cases: Cases, recorder: RunRecorder
) -> dict[str, Any]:
    """Figures of the same cases: the candidate's, and those of the models that it is compared with."""
    intents = split.intents(earlier, cases)
    try:
        figures = {"candidate": evaluate(hold_out, cases, progress=recorder, intents=intents).as_dict()}
    except ValueError as reason:  # nothing to predict, or scores that are not numbers
        raise Refused(str(reason)) from reason
    if hold_out.kind != PopularityRecommender.kind:
        figures["baseline"] = evaluate(Popularity().fit(earlier), cases, intents=intents).as_dict()
    if others.incumbent is not None:
        figures["incumbent"] = evaluate(others.incumbent, cases, intents=intents).as_dict()
    if others.next is not None:
        name, recommender = others.next
        figures["next"] = {"model": name, **evaluate(recommender, cases, intents=intents).as_dict()}
    return figures
