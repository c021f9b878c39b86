"""Two runs on the same clicks, which neither was fitted on.

The difference is of pairs, each click predicted by both, and its margin takes the session as the unit, since
the clicks of one session are alike (cluster-robust variance; Cameron and Miller, Journal of Human Resources
50, 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np
from django.utils import timezone
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from django_sessrec.models import TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import INTENTS, LENGTHS, Cases, reciprocal_ranks
from django_sessrec.recsys.recommender import Recommender, learns_from_baskets
from django_sessrec.training import split
from django_sessrec.training.dataset import read_for
from django_sessrec.training.gate import FEWEST_CASES

K = 20
Z_95 = 1.96
MOST_CASES = 2_000  # a page waits for it: about four seconds of the slowest model
LONGEST = timedelta(days=30)
EARLIER = timedelta(days=7)  # from which intents are learnt
MOST_CLICKS = 200_000  # read in all, about: a busy shop's last days are enough


class NotComparable(Exception):  # noqa: N818
    """Why there is nothing to compare; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Hit rates of both on the same cases, as shares of 1, their difference and half its 95 % interval."""

    cases: int
    one: float
    other: float
    margin: float

    @property
    def difference(self) -> float:
        return self.one - self.other

    @property
    def is_chance(self) -> bool:
        return abs(self.difference) <= self.margin


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs do with the same clicks.

    since, until: of the sessions
    baskets: whether the cases are what is put into baskets, in place of clicks
    by_length, by_intents: of the products new to the session
    """

    since: datetime
    until: datetime
    baskets: bool
    overall: Pair
    new: Pair
    by_length: Mapping[str, Pair]
    by_intents: Mapping[str, Pair]


def comparable(run: TrainingRun) -> bool:
    """Whether both of a run's models are still on disk."""
    return bool(run.artifact) and run.folder.exists() and run.hold_out_folder.exists()


def compare(one: TrainingRun, other: TrainingRun) -> Comparison:
    """Test the hold-out models on clicks that neither has seen.

    Two models of baskets are tested on what is put into these. Raises NotComparable for too few clicks, for a
    model that does not open, and for two of which one predicts clicks and the other baskets.
    """
    days = days_of(MOST_CLICKS, one, other)
    since = max(_unseen_from(one), _unseen_from(other), timezone.now() - days)
    tested = opened(one, other, hold_out=True)
    baskets = learns_from_baskets(type(tested[0]))
    sessions = read_for(type(tested[0]), since - min(EARLIER, days), timezone.now())
    cut = int(np.searchsorted(sessions.started, since.timestamp()))
    earlier, unseen = sessions.slice(0, cut), sessions.slice(cut, len(sessions))
    cases = Cases.from_log(unseen).thinned(MOST_CASES)
    if len(cases) < FEWEST_CASES:
        few = _(
            "Only %(cases)d clicks since %(since)s are new to both; %(fewest)d are needed. "
            "Wait for more visits, or choose an older run."
        )
        few_in_baskets = _(
            "Only %(cases)d products put into baskets since %(since)s are new to both; %(fewest)d are needed."
            " Wait for more visits, or choose an older run."
        )
        raise NotComparable(
            (few_in_baskets if baskets else few)
            % {
                "cases": len(cases),
                "since": f"{timezone.localtime(since):%Y-%m-%d %H:%M}",
                "fewest": FEWEST_CASES,
            }
        )
    ranks = [reciprocal_ranks(each, cases.reindexed(each.index), K)[0] for each in tested]
    found = [ranked > 0 for ranked in ranks]  # (2, n_cases) each: among all, among new ones
    new = cases.new
    intents = split.intents(earlier if len(earlier) else unseen, cases)
    every = np.ones(len(cases), np.bool_)

    def pair(of: NDArray[np.bool_], among: int) -> Pair:
        return _pair(found[0][among, of], found[1][among, of], cases.starts[of])

    def by(groups: Mapping[str, tuple[int, int]], values: NDArray[np.int64]) -> dict[str, Pair]:
        chosen = {name: (values >= least) & (values <= most) & new for name, (least, most) in groups.items()}
        return {name: pair(of, 1) for name, of in chosen.items() if of.any()}

    return Comparison(
        since=since,
        until=datetime.fromtimestamp(int(unseen.times.max()), UTC),
        baskets=baskets,
        overall=pair(every, 0),
        new=pair(new, 1),
        by_length=by(LENGTHS, cases.lengths),
        by_intents=by(INTENTS, intents),
    )


def _unseen_from(run: TrainingRun) -> datetime:
    if (since := split.unseen_from(run)) is None:
        raise NotComparable(_("%(run)s has read no clicks.") % {"run": run})
    return since


def days_of(clicks: int, *runs: TrainingRun) -> timedelta:
    """How long the shop takes for so many clicks, as these runs met them: an hour to a month."""
    taken = (
        (run.window_end - run.window_start) * (clicks / run.counts["clicks"])
        for run in runs
        if run.window_start and run.window_end and run.counts.get("clicks")
    )
    shortest: timedelta = min([LONGEST, *taken])
    return max(shortest, timedelta(hours=1))


def opened(one: TrainingRun, other: TrainingRun, *, hold_out: bool = False) -> list[Recommender]:
    """Both models; NotComparable for one that does not open, and where one learns from baskets alone."""
    models = [_opened(run, hold_out=hold_out) for run in (one, other)]
    if len({each.learns_from for each in models}) > 1:
        baskets, clicks = (one, other) if learns_from_baskets(type(models[0])) else (other, one)
        raise NotComparable(
            _(
                "%(baskets)s predicts what else goes into a basket, %(clicks)s the next click: no figure is"
                " the same for both. Compare two runs of one kind."
            )
            % {"baskets": baskets, "clicks": clicks}
        )
    return models


def _opened(run: TrainingRun, *, hold_out: bool) -> Recommender:
    try:
        return run.open(hold_out=hold_out)
    except artifact.ArtifactError as error:
        raise NotComparable(
            _("The artifact of %(run)s can't be opened: %(error)s. Choose another run, or train again.")
            % {"run": run, "error": error}
        ) from error


def _pair(one: NDArray[np.bool_], other: NDArray[np.bool_], session: NDArray[np.int64]) -> Pair:
    """one, other: (n,) hits on the same cases; session: (n,) which session each case is of."""
    n = len(one)
    if not n:
        return Pair(0, 0.0, 0.0, 0.0)
    difference = one.astype(np.float64) - other
    _sessions, of_case = np.unique(session, return_inverse=True)
    of_session = np.bincount(of_case, weights=difference - difference.mean())
    return Pair(n, float(one.mean()), float(other.mean()), Z_95 * sqrt(float(of_session @ of_session)) / n)
