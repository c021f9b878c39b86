"""The networks before and after training: padding, prefixes, the exported network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.accuracy.published_recipes import GRU4RecPaper, SASRecPaper, SRGNNPaper
from django_sessrec.neural import SRGNN, GRU4Rec, SASRec
from django_sessrec.neural.encoder import SessionEncoder, Unit
from django_sessrec.neural.errors import ExportMismatch
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.export import LENGTHS, check, exported, trained_vectors
from django_sessrec.recsys.sessions import SessionLog

N_ROWS = 301
ESTIMATORS: list[NeuralEstimator] = [
    GRU4Rec(embedding_size=16),
    SASRec(embedding_size=16),
    SRGNN(embedding_size=16),
    GRU4RecPaper(embedding_size=16),
    SASRecPaper(embedding_size=16),
    SRGNNPaper(embedding_size=16),
]


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def encoder(request: pytest.FixtureRequest) -> SessionEncoder:
    torch.manual_seed(1)
    return request.param.encoder(F.normalize(torch.randn(N_ROWS, 16), dim=1)).eval()


def session_of(length: int) -> torch.Tensor:
    """(1, length) rows with repeats."""
    return torch.randint(1, max(2, length), (1, length)) + 7


@pytest.mark.parametrize("length", [1, 2, 3, 7, 13])
def test_padding_changes_nothing(encoder: SessionEncoder, length: int) -> None:
    items = session_of(length)
    padded = F.pad(items, (0, 20 - length))
    lengths = torch.tensor([length])
    with torch.no_grad():
        torch.testing.assert_close(encoder(items, lengths), encoder(padded, lengths), atol=2e-5, rtol=1e-5)


def test_the_vector_after_each_click_is_that_of_the_prefix(encoder: SessionEncoder) -> None:
    items = session_of(9)
    with torch.no_grad():
        after = encoder.after_each_click(items, encoder.item_vectors(items))[0]
        for length in range(1, 10):
            prefix = encoder(items[:, :length], torch.tensor([length]))[0]
            torch.testing.assert_close(after[length - 1], prefix, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("length", LENGTHS)
def test_exported_answers_like_trained(
    encoder: SessionEncoder, logs: tuple[SessionLog, SessionLog], length: int
) -> None:
    net = exported(encoder, logs[0], window=20)
    sessions = [session_of(length)[0].numpy().astype(np.int32) for _ in range(4)]
    trained = trained_vectors(encoder, sessions, 20) @ net.items.T
    served = net.scores(sessions)
    seen = np.isfinite(served[0])
    np.testing.assert_allclose(served[:, seen], trained[:, seen], atol=1e-4)


def test_a_net_that_exports_wrong_is_refused(
    encoder: SessionEncoder, logs: tuple[SessionLog, SessionLog]
) -> None:
    net = exported(encoder, logs[0], window=20)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.1
    with pytest.raises(ExportMismatch, match="differ by up to"):
        check(net, encoder, logs[0])


def test_unit_vectors_and_their_gradients_are_those_of_normalize() -> None:
    vectors = torch.randn(50, 16, requires_grad=True)
    pull = torch.randn(50, 16)
    torch.testing.assert_close(Unit.apply(vectors), F.normalize(vectors, dim=1))
    made = torch.autograd.grad((Unit.apply(vectors) * pull).sum(), vectors)
    torch.testing.assert_close(made, torch.autograd.grad((F.normalize(vectors, dim=1) * pull).sum(), vectors))
