"""Samplers of the items that a batch's targets are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from django_sessrec.recsys.items import ItemIndex


@dataclass(frozen=True, eq=False)
class Negatives:
    """A uniform sampler of rows.

    n_items: items there are to draw from, the padding not counted
    count:   rows of a draw; all items, each once, where that is as many
    """

    n_items: int
    count: int

    @classmethod
    def uniform(cls, index: ItemIndex, count: int) -> Self:
        """At most `count` items of the index in each draw."""
        n_items = len(index) - 1
        return cls(n_items, min(count, n_items))

    def to(self, device: torch.device) -> Negatives:
        """The sampler with its tensors, if a subclass has any, on `device`."""
        return self

    def draw(self, device: torch.device, count: int | None = None) -> Tensor:
        """(K,) rows; `count` of them where a recipe wants another number in each batch."""
        wanted = self.count if count is None else count
        if count is None and wanted == self.n_items:
            return torch.arange(1, self.n_items + 1, device=device)
        return torch.randint(1, self.n_items + 1, (wanted,), device=device)
