"""The split by time: the last days, which models are tested on, and the clicks to predict in them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from django_sessrec.models import TrainingRun
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.sessions import SessionLog

MOST_CASES = 20_000  # more would cost minutes, and move no figure by more than 0.7 points (two sigma)
ENOUGH_SESSIONS = 100  # to test on: a young shop holds out a larger share for them, up to a fifth


def by_time(sessions: SessionLog, fraction: float) -> tuple[SessionLog, SessionLog]:
    """All but the last days, and these: this fraction of the sessions, or ENOUGH_SESSIONS."""
    enough = ENOUGH_SESSIONS / max(1, len(sessions))
    return sessions.split_last(max(fraction, min(0.2, enough)))


def unseen_from(run: TrainingRun) -> datetime | None:
    """The first moment that the run's hold-out model knows nothing of; None where it read no clicks."""
    if tested_from := run.counts.get("tested_from"):
        return datetime.fromtimestamp(tested_from, UTC)
    return run.window_end


def cases(last_days: SessionLog) -> Cases:
    """Every click after a session's first, or MOST_CASES of them: for the same days always the same."""
    every = Cases.from_log(last_days)
    if len(every) <= MOST_CASES:
        return every
    chosen = np.random.default_rng(0).choice(len(every), MOST_CASES, replace=False)
    return every.take(np.sort(chosen))


def intents(earlier: SessionLog, cases: Cases) -> NDArray[np.int64]:
    """(n_cases,) intents of each case, by the clusters of like items in the earlier days."""
    return Intents.of(earlier).counts(cases.reindexed(earlier.index))
