"""The engine on NumPy and C: sessions, items, recommenders, evaluation and artifacts. It knows no Django.

A model of your own needs only the names exported here; docs/reference/models.md has an example.
"""

from django_sessrec.recsys.blend import Blend
from django_sessrec.recsys.bought_together import BoughtTogether
from django_sessrec.recsys.evaluation import Cases, Report, evaluate
from django_sessrec.recsys.itemknn import ItemKNN
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.neighbours import Neighbours, RecentNeighbours
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import (
    Estimator,
    NotEnoughData,
    Reason,
    Recommendation,
    Recommender,
    Refreshable,
    Resumable,
    Source,
    best,
)
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.tuning import TunedNeighbours

__all__ = [
    "Blend",
    "BoughtTogether",
    "Cases",
    "Estimator",
    "ItemIndex",
    "ItemKNN",
    "Neighbours",
    "NotEnoughData",
    "Popularity",
    "Reason",
    "RecentNeighbours",
    "Recommendation",
    "Recommender",
    "Refreshable",
    "Report",
    "Resumable",
    "SessionLog",
    "Source",
    "TunedNeighbours",
    "best",
    "evaluate",
]
