"""A net that starts from the one in service is as good sooner, and has a place for new items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from django_sessrec.neural import SRGNN, GRU4Rec, Ranked, SASRec
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.recsys import artifact
from django_sessrec.recsys.blend import Blend
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop

SMALL = GRU4Rec(embedding_size=32, threads=1)
NET = {"embedding_size": 32, "threads": 1}
BLEND = Blend(sources={"django_sessrec.recsys.ItemKNN": {}, "django_sessrec.neural.GRU4Rec": NET})


@pytest.fixture(scope="module")
def days() -> tuple[SessionLog, SessionLog, Cases]:
    """What the model in service has seen, all that there is to learn now, and what comes next."""
    log, later = synthetic_shop().log.split_last(0.1)
    return log.split_last(0.1)[0].compacted(), log, Cases.from_log(later)


@pytest.fixture(scope="module")
def in_service(days: tuple[SessionLog, SessionLog, Cases]) -> OnnxRecommender:
    return SMALL.fit(days[0])


def test_a_third_of_the_training_is_enough(
    days: tuple[SessionLog, SessionLog, Cases], in_service: OnnxRecommender
) -> None:
    _, log, cases = days
    anew = evaluate(SMALL.fit(log), cases)
    steps: list[float] = []
    refreshed = SMALL.fit(log, warm_start=in_service, progress=lambda _, shown: steps.append(shown["epoch"]))
    refreshed_figures = evaluate(refreshed, cases)
    assert max(steps) == SMALL.refresh_epochs == SMALL.epochs / 3
    assert refreshed_figures.hr > 0.97 * anew.hr
    assert refreshed_figures.mrr > 0.97 * anew.mrr
    short = evaluate(replace(SMALL, epochs=1).fit(log), cases)
    assert refreshed_figures.mrr > short.mrr


@pytest.mark.parametrize("recipe", [SASRec, SRGNN, GRU4Rec], ids=lambda recipe: recipe.__name__)
def test_it_starts_from_all_that_was_learnt(
    recipe: type[NeuralEstimator], days: tuple[SessionLog, SessionLog, Cases], tmp_path: Path
) -> None:
    """With a trainer rate of next to nothing, what is refreshed answers as what was saved."""
    still = recipe(embedding_size=16, epochs=1, learning_rate=1e-9, threads=1)
    log = days[0].slice(0, 500)
    artifact.save(replace(still, learning_rate=2e-3).fit(log), tmp_path / "model", card={})
    saved = artifact.load(tmp_path / "model")
    sessions = [log[s] for s in range(20)]
    same = still.fit(log, warm_start=saved)
    np.testing.assert_allclose(same.scores(sessions), saved.scores(sessions), atol=1e-4)


def test_a_new_item_lies_amid_those_that_it_is_clicked_with(
    days: tuple[SessionLog, SessionLog, Cases], in_service: OnnxRecommender
) -> None:
    shop = synthetic_shop()
    new = np.flatnonzero(shop.group_of == 3)[:2]
    others = [each for s in range(len(shop.log)) if not np.isin(each := shop.log[s], new).any() and len(each)]
    rows = np.concatenate(others)
    ids = np.repeat(np.arange(len(others)), [len(each) for each in others])
    known = SMALL.fit(SessionLog.from_rows(ids, rows, np.arange(len(rows)), shop.log.index).compacted())
    refreshed = SMALL.fit(shop.log, warm_start=known)
    mates = {shop.log.index.ids[row] for row in np.flatnonzero(shop.group_of == 3)}
    for item_id in shop.log.index.item_ids(new):
        assert item_id not in known.index
        near = {each.item_id for each in refreshed.recommend([item_id], 8)}
        assert len(near & mates) >= 6


def test_the_served_keeps_its_ranker_and_refreshes_its_net(
    days: tuple[SessionLog, SessionLog, Cases],
) -> None:
    before, log, cases = days
    recipe = Ranked(network={"embedding_size": 16, "epochs": 2}, periods=1, epochs=1, threads=1)
    served = recipe.fit(before)
    refreshed = recipe.fit(log, warm_start=served)
    assert refreshed.ranker == served.ranker
    assert refreshed.index == log.index
    assert evaluate(refreshed, cases).mrr > 0.97 * evaluate(served, cases.reindexed(served.index)).mrr


def test_a_blend_keeps_its_weights_and_refreshes_the_sources_that_can_be(
    days: tuple[SessionLog, SessionLog, Cases],
) -> None:
    before, log, cases = days
    blend = BLEND.fit(before)
    told: list[dict[str, Any]] = []
    refreshed = BLEND.fit(
        log, warm_start=blend, progress=lambda share, shown: told.append({**shown, "at": share})
    )
    assert refreshed.weights == blend.weights
    assert refreshed.index == log.index
    assert max(shown.get("epoch", 0) for shown in told) == SMALL.refresh_epochs
    assert told[-1]["at"] == 1
    assert evaluate(refreshed, cases).mrr > 0.97 * evaluate(blend, cases.reindexed(blend.index)).mrr


def test_another_kind_of_start_is_refused(
    days: tuple[SessionLog, SessionLog, Cases], in_service: OnnxRecommender
) -> None:
    with pytest.raises(ValueError, match="another network; train from scratch"):
        replace(SMALL, embedding_size=16).fit(days[1], warm_start=in_service)
    with pytest.raises(TypeError, match="not from PopularityRecommender"):
        SMALL.fit(days[1], warm_start=Popularity().fit(days[0]))
    with pytest.raises(TypeError, match="not from PopularityRecommender"):
        Ranked().fit(days[1], warm_start=Popularity().fit(days[0]))
    with pytest.raises(TypeError, match="not from PopularityRecommender"):
        BLEND.fit(days[1], warm_start=Popularity().fit(days[0]))
