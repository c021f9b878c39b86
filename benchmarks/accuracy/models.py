"""The models that the accuracy benchmark can fit, by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django_sessrec.recsys.recommender import import_object

MODELS = {
    "popularity": "django_sessrec.recsys.Popularity",
    "itemknn": "django_sessrec.recsys.ItemKNN",
    "neighbours": "django_sessrec.recsys.Neighbours",
    "neighbours_tuned": "django_sessrec.recsys.TunedNeighbours",
    "gru4rec": "django_sessrec.neural.GRU4Rec",
    "sasrec": "django_sessrec.neural.SASRec",
    "srgnn": "django_sessrec.neural.SRGNN",
    "blend": "django_sessrec.recsys.Blend",
    "ranked": "django_sessrec.neural.Ranked",
    "gru4rec_paper": "benchmarks.accuracy.published_recipes.GRU4RecPaper",
    "gru4rec_bpr_max": "benchmarks.accuracy.published_recipes.GRU4RecPaper",
    "sasrec_paper": "benchmarks.accuracy.published_recipes.SASRecPaper",
    "srgnn_paper": "benchmarks.accuracy.published_recipes.SRGNNPaper",
}
OPTIONS: dict[str, dict[str, Any]] = {"gru4rec_bpr_max": {"objective": "bpr_max"}}


def estimators_named(name: str, seeds: int) -> list[Any]:
    """The model's estimator with its defaults, once for each seed if it has any."""
    estimator = import_object(MODELS[name])(**OPTIONS.get(name, {}))
    if not hasattr(estimator, "seed"):
        return [estimator]
    return [replace(estimator, seed=seed) for seed in range(seeds)]
