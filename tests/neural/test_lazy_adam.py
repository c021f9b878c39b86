"""Training pays for the rows that a batch reads, and ends where Adam over the whole table would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from django_sessrec.neural import GRU4Rec, estimator
from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.lazy_adam import LazyAdam, LazyTable
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.sessions import SessionLog

BETAS = (0.9, 0.98)
ROWS, SIZE, READ, STEPS, RATE = 200, 8, 20, 300, 0.01


def batches() -> list[tuple[Tensor, Tensor]]:
    """Rows, some often and some seldom, and what their vectors should come to."""
    rng = torch.Generator().manual_seed(0)
    chances = 1 / torch.arange(1, ROWS + 1)
    return [
        (torch.multinomial(chances, READ, generator=rng), torch.randn(READ, SIZE, generator=rng))
        for _ in range(STEPS)
    ]


def dense(make: type[torch.optim.Optimizer], *, sparse: bool = False) -> Tensor:
    table = nn.Embedding.from_pretrained(torch.zeros(ROWS, SIZE), freeze=False, sparse=sparse)
    optimiser = make(table.parameters(), RATE, BETAS)  # type: ignore[call-arg]
    for rows, goals in batches():
        optimiser.zero_grad()
        (table(rows) - goals).square().sum().backward()
        optimiser.step()
    return table.weight.detach()


def lazy() -> Tensor:
    embedding = nn.Embedding.from_pretrained(torch.zeros(ROWS, SIZE), freeze=False)
    table = LazyTable(embedding, BETAS)
    for rows, goals in batches():
        (table(rows) - goals).square().sum().backward()
        table.step(RATE)
    table(torch.arange(ROWS))  # all rows make up for what they missed
    return table.vectors


def test_unread_rows_end_where_adam_takes_them() -> None:
    with_adam = dense(torch.optim.Adam)
    away = (lazy() - with_adam).norm() / with_adam.norm()
    away_without = (dense(torch.optim.SparseAdam, sparse=True) - with_adam).norm() / with_adam.norm()
    assert away < 0.05
    assert away_without > 10 * away


class TestInTraining:
    recipe = GRU4Rec(embedding_size=16, epochs=2, negatives=16, threads=1)

    def test_a_small_catalogue_is_moved_whole_and_a_large_one_by_row(
        self, logs: tuple[SessionLog, SessionLog]
    ) -> None:
        def optimiser(recipe: GRU4Rec) -> torch.optim.Optimizer:
            encoder: SessionEncoder = recipe.encoder(recipe.initial_vectors(logs[0]))
            return recipe.optimizer(encoder)

        assert isinstance(optimiser(self.recipe), LazyAdam)
        assert not isinstance(optimiser(replace(self.recipe, negatives=8192)), LazyAdam)

    def test_both_rank_alike(
        self, logs: tuple[SessionLog, SessionLog], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cases = Cases.from_log(logs[1])
        by_row = evaluate(self.recipe.fit(logs[0]), cases)
        monkeypatch.setattr(estimator, "LAZY_FROM", np.inf)
        whole = evaluate(self.recipe.fit(logs[0]), cases)
        assert by_row.hr == pytest.approx(whole.hr, abs=1)
        assert by_row.mrr == pytest.approx(whole.mrr, abs=0.5)
