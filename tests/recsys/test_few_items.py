"""Shops with a handful of products: each model is fitted, saved, opened, and answers with what there is."""

import numpy as np
import pytest

from django_sessrec.recsys import (
    Blend,
    BoughtTogether,
    ItemKNN,
    Neighbours,
    NotEnoughData,
    Popularity,
    RecentNeighbours,
    SessionLog,
    TunedNeighbours,
    artifact,
)
from django_sessrec.recsys.recommender import Estimator
from tests.recsys.strategies import log_of

ESTIMATORS = (
    Popularity(),
    ItemKNN(),
    Neighbours(),
    RecentNeighbours(),
    TunedNeighbours(),
    Blend(sources={"django_sessrec.recsys.Neighbours": {}, "django_sessrec.recsys.ItemKNN": {}}),
)


def visits_to(items: int) -> SessionLog:
    """120 sessions of two to four clicks on so few items, each of them clicked."""
    draw = np.random.default_rng(items)
    clicks = [draw.integers(1, items + 1, draw.integers(2, 5)).tolist() for _ in range(120)]
    return log_of([[*range(1, items + 1)], *clicks], n_items=items)


@pytest.mark.parametrize("items", [2, 3, 7, 31])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_a_few_items_are_enough(estimator: Estimator, items: int, tmp_path):
    log = visits_to(items)
    names = {f"item-{number}" for number in range(1, items + 1)}
    fitted = estimator.fit(log)
    artifact.save(fitted, tmp_path / "model", card={})
    for model in (fitted, artifact.load(tmp_path / "model")):
        for session in ([], ["item-1"], ["item-1", "item-2", "item-1"], ["gone"]):
            found = [each.item_id for each in model.recommend(session, 20)]
            assert len(found) == len(set(found))
            assert set(found) <= names
            if not isinstance(estimator, ItemKNN):  # which knows nothing like what was never clicked beside
                assert found
            assert not model.recommend(session, 20, exclude=sorted(names))


@pytest.mark.parametrize("items", [2, 3])
def test_baskets_that_chance_fills_teach_nothing_and_that_is_said(items: int):
    with pytest.raises(NotEnoughData, match="collect more orders"):
        BoughtTogether().fit(visits_to(items))
