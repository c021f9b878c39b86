"""The losses against the plain formulas they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from django_sessrec.neural import losses
from django_sessrec.neural.negatives import Negatives
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog

N, K, D = 300, 64, 16


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors of length 14, unit targets and negatives, weights."""
    torch.manual_seed(0)
    vectors = (14 * F.normalize(torch.randn(N, D), dim=1)).requires_grad_()
    targets = F.normalize(torch.randn(N, D), dim=1).requires_grad_()
    negatives = F.normalize(torch.randn(K, D), dim=1).requires_grad_()
    return vectors, targets, negatives, torch.rand(N)


def plain(vectors: Tensor, targets: Tensor, negatives: Tensor, weights: Tensor, n_items: int) -> Tensor:
    hits = (vectors * targets).sum(1, keepdim=True)
    stands_for = math.log((n_items - 1) / len(negatives))
    logits = torch.cat((hits, vectors @ negatives.t() + stands_for), 1)
    return (weights * (logits.logsumexp(1) - hits[:, 0])).mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bounded_softmax_is_the_corrected_softmax(
    inputs: tuple[Tensor, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "fast_dtype", lambda device: dtype)
    near = {"atol": 1e-6, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 2e-3, "rtol": 0.05}
    loss = losses.bounded_softmax(*inputs, n_items=1_000)
    expected = plain(*inputs, n_items=1_000)
    torch.testing.assert_close(loss, expected, atol=1e-2, rtol=near["rtol"])
    made = torch.autograd.grad(loss * 2, inputs[:3])
    for gradient, right in zip(made, torch.autograd.grad(expected * 2, inputs[:3]), strict=True):
        torch.testing.assert_close(gradient, right, **near)


@pytest.mark.parametrize(
    "size", [1, 30]
)  # of the vectors: logits of 60 and more need their maximum taken off
def test_full_softmax_is_torchs(
    inputs: tuple[Tensor, ...], size: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "fast_dtype", lambda device: torch.float32)
    monkeypatch.setattr(losses, "CHUNK_LOGITS", {"cpu": 3 * K})
    vectors, _, items, weights = inputs
    rows = torch.arange(N) % K
    expected = (weights * F.cross_entropy(size * vectors @ items.t(), rows, reduction="none")).mean()
    loss = losses.full_softmax(size * vectors, items[rows], items, weights)
    torch.testing.assert_close(loss, expected)
    made = torch.autograd.grad(loss, (vectors, items))
    for gradient, right in zip(made, torch.autograd.grad(expected, (vectors, items)), strict=True):
        torch.testing.assert_close(gradient, right, atol=1e-5, rtol=1e-4)


def test_bounded_softmax_over_all_items_is_the_full_softmax(
    inputs: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "fast_dtype", lambda device: torch.float32)
    vectors, _, items, weights = inputs
    targets = items[torch.arange(N) % K]
    loss = losses.bounded_softmax(vectors, targets, items, weights, n_items=K)
    torch.testing.assert_close(loss, losses.full_softmax(vectors, targets, items, weights))


def test_log_q_makes_an_uneven_sample_stand_for_all_items() -> None:
    torch.manual_seed(0)
    vectors, targets, items = torch.randn(1, 4), torch.randn(1, 4), torch.randn(50, 4)
    chances = torch.rand(50).softmax(0)
    drawn = torch.multinomial(chances, 200_000, replacement=True)
    weights, everything = torch.ones(1), torch.zeros(50)
    exact = losses.cross_entropy(vectors, targets, items, weights, log_expected=everything)
    log_expected = (chances * len(drawn)).log()[drawn]
    sampled = losses.cross_entropy(vectors, targets, items[drawn], weights, log_expected=log_expected)
    torch.testing.assert_close(sampled, exact, atol=0.01, rtol=0.01)


def test_popular_negatives_are_clicked_items_as_often_as_expected() -> None:
    torch.manual_seed(0)
    rows = np.repeat([2, 3, 5], [1, 4, 16]).astype(np.int32)
    index = ItemIndex(["a", "b", "c", "d", "e", "f"])
    log = SessionLog.from_rows(np.arange(21), rows, np.arange(21), index)
    negatives = Negatives.popular(log, 70_000, alpha=0.5)
    drawn = negatives.draw(torch.device("cpu"))
    counts = torch.bincount(drawn, minlength=7)
    assert counts[[0, 1, 4, 6]].sum() == 0
    torch.testing.assert_close(counts[[2, 3, 5]] / 10_000, torch.tensor([1.0, 2.0, 4.0]), atol=0.1, rtol=0)
    expected = negatives.log_expected(drawn).exp()
    torch.testing.assert_close(expected[drawn == 5].mean(), torch.tensor(40_000.0))


def test_uniform_negatives_are_all_items_where_they_fit() -> None:
    index = ItemIndex(["a", "b", "c"])
    assert Negatives.uniform(index, 8).draw(torch.device("cpu")).tolist() == [1, 2, 3]
    assert set(Negatives.uniform(index, 2).draw(torch.device("cpu"), 99).tolist()) == {1, 2, 3}


@pytest.mark.parametrize("loss", ["bpr_max", "binary"])
def test_pairwise_losses_fall_as_the_target_rises(inputs: tuple[Tensor, ...], loss: str) -> None:
    vectors, targets, _, weights = inputs
    negatives = F.normalize(torch.randn(N, D), dim=1)
    options = {"regularisation": 0.0} if loss == "bpr_max" else {}
    worse = getattr(losses, loss)(vectors, targets, negatives, weights, **options)
    better = getattr(losses, loss)(vectors, F.normalize(vectors, dim=1), negatives, weights, **options)
    assert better < worse
