"""Which items a batch's targets are compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog


@dataclass(frozen=True, eq=False)
class Negatives:
    """Draws rows for a batch: uniformly, or with chances in proportion to popularity^alpha.

    n_items: items there are to draw from, the padding not counted
    count:   how many to draw; all items, each once, where that is as many
    chances: (n_items,) cumulative chance of each row from 1 up; None for uniform
    """

    n_items: int
    count: int
    chances: Tensor | None = None

    @classmethod
    def uniform(cls, index: ItemIndex, count: int) -> Negatives:
        n_items = len(index) - 1
        return cls(n_items, min(count, n_items))

    @classmethod
    def popular(cls, sessions: SessionLog, count: int, alpha: float) -> Negatives:
        """Clicked items with chances clicks^alpha; alpha 1 is as popular, 0 as if all were alike."""
        clicks = np.bincount(sessions.items, minlength=len(sessions.index))[1:]
        chances = np.where(clicks > 0, clicks.astype(np.float64) ** alpha, 0)
        cumulative = np.cumsum(chances)
        return cls(len(chances), count, torch.from_numpy(cumulative / cumulative[-1]))

    def to(self, device: torch.device) -> Negatives:
        return Negatives(self.n_items, self.count, None if self.chances is None else self.chances.to(device))

    def draw(self, device: torch.device, count: int | None = None) -> Tensor:
        """(K,) rows, `count` of them where the batch asks for its own number."""
        wanted = self.count if count is None else count
        if self.chances is not None:
            drawn = torch.rand(wanted, dtype=torch.float64, device=device)
            return torch.searchsorted(self.chances, drawn, right=True) + 1
        if count is None and wanted == self.n_items:
            return torch.arange(1, self.n_items + 1, device=device)
        return torch.randint(1, self.n_items + 1, (wanted,), device=device)

    def log_expected(self, rows: Tensor) -> Tensor:
        """(K,) log of how often each drawn row is expected among K draws."""
        if self.chances is None:
            return torch.full(rows.shape, math.log(len(rows) / self.n_items), device=rows.device)
        chance = torch.diff(self.chances, prepend=self.chances.new_zeros(1))[rows - 1]
        return (chance * len(rows)).log().float()
