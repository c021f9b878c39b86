"""Neighbours with the hyper-parameters that predict the shop's own last days best.

Shops differ most in how often visitors return to what they saw (self_weight), in how fast their assortment
ages (day_decay) and in how long a session keeps to one intent (click_decay). All trials share one index, so
that choosing takes about two seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.evaluation import Cases, gain
from django_sessrec.recsys.neighbours import Neighbours, NeighboursRecommender
from django_sessrec.recsys.recommender import Progress
from django_sessrec.recsys.sessions import SessionLog

TRIALS: dict[str, tuple[float, ...]] = {  # the most influential first
    "self_weight": (0.0, 0.1, 0.3, 0.7, 1.5, 3.0),
    "day_decay": (10.0, 30.0, 100.0, 300.0),
    "click_decay": (0.7, 1.0, 1.5, 2.5, 4.0),
    "item_idf_power": (0.0, 0.5, 1.0, 1.5),
    "idf_power": (1.0, 2.0, 3.0),
    "forward_decay": (2.0, 6.0, 12.0),
    "backward_weight": (0.3, 0.6, 1.0),
    "length_power": (0.0, 0.5, 1.0),
}
"""Values tried for each hyper-parameter in turn, the others as chosen so far."""
K = 20
FEWEST_CASES = 200  # on fewer, chance chooses


@dataclass(frozen=True, slots=True)
class TunedNeighbours:
    """Neighbours fitted with the best of TRIALS on the last sessions, where each click counts by its weight,
    then on all of them.

    validation_fraction: share of the sessions, the last ones, that the choice is made on
    max_queries:         at most this many of their clicks are predicted in each trial
    """

    validation_fraction: float = 0.07
    max_queries: int = 1_500

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
    ) -> NeighboursRecommender:
        return self.choose(sessions, progress).fit(sessions)

    def choose(self, sessions: SessionLog, progress: Progress | None = None) -> Neighbours:
        """The hyper-parameters alone; the defaults for a shop with too few clicks to choose by."""
        earlier, last = sessions.split_last(self.validation_fraction)
        cases = Cases.from_log(last)
        if len(cases) < FEWEST_CASES or not len(earlier):
            return Neighbours()
        cases = cases.thinned(self.max_queries)
        weights = np.ones(len(cases)) if last.weights is None else last.weights[cases.stops]
        best = Neighbours().fit(earlier)
        gains = weights * _gains(best, cases)
        for done, (name, values) in enumerate(TRIALS.items(), start=1):
            for value in values:
                trial = best.with_parameters(**{name: value})
                if trial.parameters == best.parameters:
                    continue
                trial_gains = weights * _gains(trial, cases)
                if _better(trial_gains, gains):
                    best, gains = trial, trial_gains
            if progress is not None:
                progress(done / len(TRIALS), {f"ndcg@{K}": float(gains.mean())})
        return best.parameters


def _gains(recommender: NeighboursRecommender, cases: Cases) -> NDArray[np.float64]:
    """(n_cases,) NDCG of each case: 1 for a label on top of the list, less below, 0 past K."""
    gains = np.zeros(len(cases))
    for case, label in enumerate(cases.labels):
        rows, _ = recommender.top(cases.prefix(case), K)
        if len(rank := np.flatnonzero(rows == label)):
            gains[case] = gain(rank[0] + 1)
    return gains


def _better(trial: NDArray[np.float64], current: NDArray[np.float64]) -> bool:
    """By more than the standard error of the difference, so that noise changes nothing."""
    difference = trial - current
    return bool(difference.mean() > difference.std() / np.sqrt(len(difference)))
