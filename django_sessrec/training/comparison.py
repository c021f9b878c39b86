"""Two runs on the same clicks: what neither was fitted on, and how the lists of past sessions would differ.

The difference is of pairs, each click predicted by both, and its margin takes the session as the unit, since
the clicks of one session are alike (cluster-robust variance; Cameron and Miller, Journal of Human Resources
50, 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training import split
from django_sessrec.training.dataset import read_for
from django_sessrec.training.gate import FEWEST_CASES

K = 20
Z_95 = 1.96
MOST_CASES = 2_000  # a page waits for it: about four seconds of the slowest model
LATEST_SESSIONS = 300  # whose lists are made by both
SHOWN = 8  # items of such a list
EXAMPLES = 5
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
class Example:
    """A past session and the lists that both would show after it, by item id, best first."""

    clicked: Sequence[str]
    one: Sequence[str]
    other: Sequence[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs do with the same clicks.

    since, until: of the sessions
    by_length, by_intents: of the products new to the session
    starts_differ: sessions, of `sessions`, whose lists start with another product
    reached: share of the products in any of these lists, by each
    """

    since: datetime
    until: datetime
    overall: Pair
    new: Pair
    by_length: Mapping[str, Pair]
    by_intents: Mapping[str, Pair]
    sessions: int
    starts_differ: int
    reached: tuple[float, float]
    examples: Sequence[Example]


def comparable(run: TrainingRun) -> bool:
    """Whether both of a run's models are still on disk."""
    return bool(run.artifact) and run.folder.exists() and run.hold_out_folder.exists()


def compare(one: TrainingRun, other: TrainingRun) -> Comparison:
    """Test the hold-out models on clicks that neither has seen, and make lists by the published ones.

    Two models of baskets are tested on what is put into these. Raises NotComparable for too few clicks, for a
    model that does not open, and for two of which one predicts clicks and the other baskets.
    """
    days = min(_days_of(MOST_CLICKS, run) for run in (one, other))
    since = max(_unseen_from(one), _unseen_from(other), timezone.now() - days)
    tested = [_opened(run, hold_out=True) for run in (one, other)]
    if len({each.learns_from for each in tested}) > 1:
        baskets, clicks = (one, other) if learns_from_baskets(type(tested[0])) else (other, one)
        raise NotComparable(
            _(
                "%(baskets)s predicts what else goes into a basket, %(clicks)s the next click: no figure is"
                " the same for both. Compare two runs of one kind."
            )
            % {"baskets": baskets, "clicks": clicks}
        )
    sessions = read_for(type(tested[0]), since - min(EARLIER, days), timezone.now())
    cut = int(np.searchsorted(sessions.started, since.timestamp()))
    earlier, unseen = sessions.slice(0, cut), sessions.slice(cut, len(sessions))
    cases = Cases.from_log(unseen).thinned(MOST_CASES)
    if len(cases) < FEWEST_CASES:
        raise NotComparable(
            _(
                "Only %(cases)d clicks since %(since)s are new to both; %(fewest)d are needed. "
                "Wait for more visits, or choose an older run."
            )
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

    starts_differ, reached, examples, made = _lists(one, other, unseen)
    return Comparison(
        since=since,
        until=datetime.fromtimestamp(int(unseen.times.max()), UTC),
        overall=pair(every, 0),
        new=pair(new, 1),
        by_length=by(LENGTHS, cases.lengths),
        by_intents=by(INTENTS, intents),
        sessions=made,
        starts_differ=starts_differ,
        reached=reached,
        examples=examples,
    )


def _unseen_from(run: TrainingRun) -> datetime:
    """The first moment that the run's hold-out model knows nothing of."""
    if tested_from := run.counts.get("tested_from"):
        return datetime.fromtimestamp(tested_from, UTC)
    if run.window_end is None:
        raise NotComparable(_("%(run)s has read no clicks.") % {"run": run})
    return run.window_end


def _days_of(clicks: int, run: TrainingRun) -> timedelta:
    """How long the shop takes for so many clicks, as the run met them; an hour at least, a month at most."""
    if not (run.window_start and run.window_end and run.counts.get("clicks")):
        return LONGEST
    taken: timedelta = (run.window_end - run.window_start) * (clicks / run.counts["clicks"])
    return min(max(taken, timedelta(hours=1)), LONGEST)


def _opened(run: TrainingRun, *, hold_out: bool = False) -> Recommender:
    try:
        return run.open(hold_out=hold_out)
    except artifact.ArtifactError as error:
        raise NotComparable(
            _("The artifact of %(run)s can't be opened: %(error)s") % {"run": run, "error": error}
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


def _lists(
    one: TrainingRun, other: TrainingRun, log: SessionLog
) -> tuple[int, tuple[float, float], list[Example], int]:
    """Of the latest sessions: how many lists start differently, the share of products reached, examples, and
    how many sessions these are."""
    published = [_opened(run) for run in (one, other)]
    reached: list[set[str]] = [set(), set()]
    differ, examples, made = 0, list[Example](), 0
    for clicked in _latest(log):
        made += 1
        lists = [
            [each.item_id for each in model.recommend(clicked, SHOWN, exclude=clicked)] for model in published
        ]
        for ids, items in zip(reached, lists, strict=True):
            ids.update(items)
        if lists[0][:1] != lists[1][:1]:
            differ += 1
            if len(examples) < EXAMPLES:
                examples.append(Example(clicked, *lists))
    known = [max(1, len(model.index) - 1) for model in published]
    shares = tuple(len(ids) / of for ids, of in zip(reached, known, strict=True))
    return differ, (shares[0], shares[1]), examples, made


def _latest(log: SessionLog) -> Iterator[list[str]]:
    """Item ids of the newest sessions, the newest first."""
    for session in range(len(log) - 1, max(-1, len(log) - 1 - LATEST_SESSIONS), -1):
        yield log.index.item_ids(log[session])
