"""The papers' own recipes: their losses, their negatives, and that they learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.accuracy.published_recipes import (
    GRU4RecPaper,
    PopularNegatives,
    SASRecPaper,
    SRGNNPaper,
    binary,
    bpr_max,
    cross_entropy,
)
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop


@pytest.mark.parametrize(
    "paper",
    [
        GRU4RecPaper(embedding_size=16, epochs=2, threads=1),
        GRU4RecPaper(embedding_size=16, epochs=2, threads=1, objective="bpr_max"),
        SASRecPaper(embedding_size=16, epochs=6, learning_rate=0.01, threads=1),
        SRGNNPaper(embedding_size=16, epochs=2, learning_rate=0.01, threads=1),
    ],
    ids=["gru4rec cross-entropy", "gru4rec bpr-max", "sasrec", "srgnn"],
)
def test_they_learn(paper: NeuralEstimator) -> None:
    seen: list[float] = []
    paper.fit(synthetic_shop().log.slice(0, 1500), progress=lambda _, shown: seen.append(shown["loss"]))
    assert seen[-1] < 0.97 * seen[0]


def test_log_q_makes_an_uneven_sample_stand_for_all_items() -> None:
    torch.manual_seed(0)
    vectors, targets, items = torch.randn(1, 4), torch.randn(1, 4), torch.randn(50, 4)
    chances = torch.rand(50).softmax(0)
    drawn = torch.multinomial(chances, 200_000, replacement=True)
    weights, everything = torch.ones(1), torch.zeros(50)
    exact = cross_entropy(vectors, targets, items, weights, log_expected=everything)
    log_expected = (chances * len(drawn)).log()[drawn]
    sampled = cross_entropy(vectors, targets, items[drawn], weights, log_expected=log_expected)
    torch.testing.assert_close(sampled, exact, atol=0.01, rtol=0.01)


def test_popular_negatives_are_clicked_items_as_often_as_expected() -> None:
    torch.manual_seed(0)
    rows = np.repeat([2, 3, 5], [1, 4, 16]).astype(np.int32)
    index = ItemIndex(["a", "b", "c", "d", "e", "f"])
    log = SessionLog.from_rows(np.arange(21), rows, np.arange(21), index)
    negatives = PopularNegatives.of(log, 70_000, alpha=0.5)
    drawn = negatives.draw(torch.device("cpu"))
    counts = torch.bincount(drawn, minlength=7)
    assert counts[[0, 1, 4, 6]].sum() == 0
    torch.testing.assert_close(counts[[2, 3, 5]] / 10_000, torch.tensor([1.0, 2.0, 4.0]), atol=0.1, rtol=0)
    expected = negatives.log_expected(drawn).exp()
    torch.testing.assert_close(expected[drawn == 5].mean(), torch.tensor(40_000.0))


@pytest.mark.parametrize("loss", [partial(bpr_max, regularisation=0.0), binary], ids=["bpr_max", "binary"])
def test_pairwise_losses_fall_as_the_target_rises(loss: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    vectors = 14 * F.normalize(torch.randn(300, 16), dim=1)
    targets, negatives = (F.normalize(torch.randn(300, 16), dim=1) for _ in range(2))
    weights = torch.rand(300)
    better = loss(vectors, F.normalize(vectors, dim=1), negatives, weights)
    assert better < loss(vectors, targets, negatives, weights)


def test_sr_gnn_keeps_its_learning_rate() -> None:
    assert {SRGNNPaper().learning_rate_schedule(9)(step) for step in range(9)} == {1}
