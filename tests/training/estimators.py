"""Estimators that end badly, or only when told to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from django_sessrec.recsys.popularity import Popularity, PopularityRecommender


@dataclass(frozen=True)
class Unpopular:
    """Recommends what nobody looks at."""

    def fit(self, sessions, *, validation=None, progress=None):
        clicks = Popularity().fit(sessions).clicks
        return WorseThanPopularity(sessions.index, np.where(clicks > -np.inf, -clicks, clicks))


class WorseThanPopularity(PopularityRecommender):
    """Of another kind: the gate compares popularity with anything but itself."""

    kind = "unpopular"


@dataclass(frozen=True)
class Diverging:
    """Scores that are no numbers."""

    def fit(self, sessions, *, validation=None, progress=None):
        return PopularityRecommender(sessions.index, np.full(len(sessions.index), np.nan, np.float32))


@dataclass(frozen=True)
class Incorruptible:
    """Popularity, which wants to know nothing of the days that it is tested on."""

    def fit(self, sessions, *, validation=None, progress=None):
        if validation is not None:
            raise ValueError("these are the days of the test")
        return Popularity().fit(sessions)


@dataclass(frozen=True)
class Raising:
    def fit(self, sessions, *, validation=None, progress=None):
        raise ArithmeticError("the sun was in its eyes")


@dataclass(frozen=True)
class Waiting:
    """Popularity, once the file `until` is there."""

    until: str

    def fit(self, sessions, *, validation=None, progress=None):
        while not Path(self.until).exists():
            progress(0.5, {"loss": np.float32(1), "norm": float("nan")})
            time.sleep(0.02)
        return Popularity().fit(sessions)
