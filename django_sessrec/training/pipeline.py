"""One training: read, split by time, fit, test against what serves, refit, publish, promote."""

from __future__ import annotations

import logging
import traceback
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.capture.bot_rules import quarantine
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import TrainingRun
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.popularity import Popularity, PopularityRecommender
from django_sessrec.recsys.recommender import (
    Estimator,
    NotEnoughData,
    Recommender,
    is_refreshable,
    is_resumable,
    offer,
)
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training import artifact_store, gate, incumbents, resume, split
from django_sessrec.training.dataset import Counts, read
from django_sessrec.training.lock import training_lock
from django_sessrec.training.model_card import card
from django_sessrec.training.promotion import held_by, promote
from django_sessrec.training.refresh import in_service, starts
from django_sessrec.training.runs import Due, Journal, Listener, all_runs, due, fail, fail_killed, finish
from django_sessrec.training.stop import sigterm_raised

log = logging.getLogger("django_sessrec")

TRAIN_EXTRA = {"onnx", "torch"}


class AlreadyTraining(Exception):  # noqa: N818
    """Another process trains this model right now."""


class Refused(Exception):  # noqa: N818
    """The data or the gate says no; the message is the verdict."""


def train(
    model: str,
    *,
    trigger: str,
    progress: Listener | None = None,
    refresh: bool = False,
    only_if_due: bool = False,
) -> TrainingRun | None:
    """Train a model of SESSREC["MODELS"] and let it serve if it passes the gate.

    trigger: "schedule", "command", or a staff user's name. refresh: start from the model in service, if
    the estimator can. The run returned is published, refused or failed, and says why; None where
    `only_if_due` and the schedule asks for nothing.
    Raises AlreadyTraining, and ImproperlyConfigured for an unknown model.
    """
    recipe = sessrec_settings.model(model)
    with training_lock(model) as held, sigterm_raised():
        if not held:
            raise AlreadyTraining(_("%(model)s is being trained by another process.") % {"model": model})
        fail_killed(model)
        if only_if_due:
            if (work := due(model)) is None:
                return None
            refresh = work is Due.REFRESH
        run = all_runs().create(
            model=model,
            trigger=trigger,
            estimator=recipe["ESTIMATOR"],
            parameters=recipe["OPTIONS"],
            started_from=in_service(model) if refresh else None,
            started_at=timezone.now(),
        )
        try:
            _train(run, Journal(run, progress), refit=recipe["REFIT"])
        except (Refused, NotEnoughData) as refusal:
            finish(run, TrainingRun.State.REFUSED, str(refusal))
        except (KeyboardInterrupt, SystemExit):
            fail(run, _("It was stopped at the stage %(stage)s.") % {"stage": run.stage})
            raise  # what it has learnt stays on disk, for the next training to go on with
        except Exception as error:
            reason = traceback.format_exception_only(error)[0].strip().splitlines()[0]
            fail(run, reason, "".join(traceback.format_exception(error)))
        resume.discard(model)
        return run


def _train(run: TrainingRun, journal: Journal, *, refit: bool) -> None:
    estimator = _estimator(run)
    artifact_store.prepare()
    journal.stage("read")
    sessions = _sessions(run, keep=is_resumable(estimator))
    earlier, last_days = split.by_time(sessions)
    run.counts["tested_from"] = int(last_days.started.min(initial=run.window_end.timestamp()))
    start = starts(run, refreshable=is_refreshable(estimator))

    def fit(stage: str, sessions: SessionLog, validation: SessionLog | None = None) -> Recommender:
        journal.stage(stage)
        return offer(
            estimator,
            sessions,
            validation=validation,
            progress=journal,
            checkpoints=resume.folder(run.model) / stage,
            warm_start=start.get(stage),
        )

    earlier = earlier.compacted()
    tested = fit("fit", earlier, last_days.reindexed(earlier.index))

    journal.stage("evaluate")
    cases = split.cases(last_days)
    run.counts["cases"] = len(cases)
    verdict = _judged(run, tested, earlier, cases, journal)
    if not verdict.passed:
        raise Refused(str(verdict))

    published = tested
    if refit:
        published = fit("refit", sessions)
    journal.stage("publish")
    artifact_store.publish(run, published, tested, card(run))
    with database.atomic():
        if hold := held_by(run.model):
            went_back = _("Not promoted: %(by)s went back to %(run)s; promote a newer run to go on.")
            waits = went_back % {"by": hold.promoted_by, "run": hold.run}
            finish(run, TrainingRun.State.PUBLISHED, f"{verdict} {waits}")
        else:
            finish(run, TrainingRun.State.PUBLISHED, str(verdict))
            promote(run, run.trigger, _("passed the gate"))
    artifact_store.prune(run.model)


def _estimator(run: TrainingRun) -> Estimator:
    """The run's estimator, imported only now: it may bring torch with it."""
    try:
        estimator: Estimator = import_string(run.estimator)(**run.parameters)
    except ModuleNotFoundError as error:
        if error.name not in TRAIN_EXTRA:
            raise
        needs = _("%(estimator)s is trained with %(module)s: pip install 'django-sessrec[train]' here")
        raise ImportError(needs % {"estimator": run.estimator, "module": error.name}) from error
    if is_dataclass(estimator):
        run.parameters = asdict(estimator)  # the defaults, too: they may change with the next version
    return estimator


def _sessions(run: TrainingRun, *, keep: bool) -> SessionLog:
    """The window's, or those that a killed training had read with which this one goes on."""
    if keep and (sessions := resume.resume(run)) is not None:
        return sessions
    run.window_end = timezone.now()
    run.window_start = run.window_end - timedelta(days=sessrec_settings.TRAINING_WINDOW_DAYS)
    quarantine(run.window_start, run.window_end)
    sessions, counts = read(run.window_start, run.window_end)
    run.counts = counts.as_dict()
    _refuse_too_little(counts)
    run.window_start = datetime.fromtimestamp(sessions.started[0], UTC)  # a young shop has fewer days
    if keep:
        resume.keep(run, sessions)
    return sessions


def _refuse_too_little(counts: Counts) -> None:
    needed = sessrec_settings.MIN_SESSIONS
    if counts.sessions_of_two >= needed and counts.items > 1:
        return
    raise Refused(
        _(
            "The last %(days)d days hold %(sessions)d sessions of two clicks or more and %(items)d products; "
            "a training needs %(needed)d such sessions and two products."
        )
        % {
            "days": sessrec_settings.TRAINING_WINDOW_DAYS,
            "sessions": counts.sessions_of_two,
            "items": counts.items,
            "needed": needed,
        }
    )


def _judged(
    run: TrainingRun, tested: Recommender, earlier: SessionLog, cases: Cases, journal: Journal
) -> gate.Verdict:
    """The gate's verdict on figures of the same cases; the figures go into the run."""
    intents = split.intents(earlier, cases)
    try:
        run.figures = {"candidate": evaluate(tested, cases, progress=journal, intents=intents).as_dict()}
    except ValueError as reason:  # nothing to foretell, or scores that are not numbers
        raise Refused(str(reason)) from reason
    if tested.kind != PopularityRecommender.kind:
        run.figures["baseline"] = evaluate(Popularity().fit(earlier), cases, intents=intents).as_dict()
    if (incumbent := incumbents.incumbent(run.model)) is not None:
        run.figures["incumbent"] = evaluate(incumbent, cases, intents=intents).as_dict()
    if (below := incumbents.next_in_line(run.model)) is not None:
        name, recommender = below
        run.figures["next"] = {"model": name, **evaluate(recommender, cases, intents=intents).as_dict()}
    return gate.verdict(run.figures, tolerance=sessrec_settings.GATE_TOLERANCE)
