"""Small models, fitted and published in one line."""

from collections.abc import Sequence
from pathlib import Path

from django_sessrec.models import TrainingRun
from django_sessrec.recsys.bought_together import BoughtTogether
from django_sessrec.recsys.itemknn import ItemKNN
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import Estimator, Recommender
from django_sessrec.recsys.sessions import SessionLog

ESTIMATORS: dict[str, Estimator] = {
    "neighbours": Neighbours(),
    "itemknn": ItemKNN(),
    "ranked": ItemKNN(),
    "bought_together": BoughtTogether(),
    "popularity": Popularity(),
}


def log_of_trails(trails: Sequence[Sequence[str]]) -> SessionLog:
    clicks = [(n, item_id, 1_750_000_000 + 100 * n) for n, trail in enumerate(trails) for item_id in trail]
    return SessionLog.from_clicks(*zip(*clicks, strict=True))


def fitted(trails: Sequence[Sequence[str]], estimator: Estimator) -> Recommender:
    return estimator.fit(log_of_trails(trails))


def folder_of(run: TrainingRun, settings) -> Path:
    return settings.SESSREC["ARTIFACTS"] / run.artifact
