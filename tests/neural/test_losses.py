"""The losses against the plain formulas they stand for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from django_sessrec.neural import losses
from django_sessrec.neural.negatives import Negatives
from django_sessrec.recsys.items import ItemIndex

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


def test_uniform_negatives_are_all_items_where_they_fit() -> None:
    index = ItemIndex(["a", "b", "c"])
    assert Negatives.uniform(index, 8).draw(torch.device("cpu")).tolist() == [1, 2, 3]
    assert set(Negatives.uniform(index, 2).draw(torch.device("cpu"), 99).tolist()) == {1, 2, 3}
