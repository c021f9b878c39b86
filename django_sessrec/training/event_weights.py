"""How much each click teaches, by the furthest thing that its session did with the product."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.items import FloatArray
from django_sessrec.training.click_files import NAMES

VIEWED, BASKET, BOUGHT = (NAMES.index(name) for name in ("view_item", "add_to_cart", "purchase"))


@dataclass(frozen=True, slots=True)
class EventWeights:
    """The weight of a click on a product that its session viewed, looked at for long, put into the basket,
    or bought; the last that holds counts. Only their ratios matter.

    dwell_seconds: from which the time to the next click makes a view a long one
    """

    view: float = 1.0
    dwell: float = 1.0
    basket: float = 1.0
    purchase: float = 1.0
    dwell_seconds: float = 30.0

    @classmethod
    def of_model(cls, model: str) -> Self:
        """What the settings say for a model."""
        given = sessrec_settings.model(model)["EVENT_WEIGHTS"]
        return cls(**{key.lower(): float(value) for key, value in given.items()})

    @property
    def alike(self) -> bool:
        """Whether all clicks teach alike."""
        return self.view == self.dwell == self.basket == self.purchase

    def of(self, clicks: NDArray[Any]) -> FloatArray:
        """(n,) the weight of each click.

        clicks: `session`, `kind` (the furthest) and `id_high` of each, in order of session and time
        """
        of_kinds = np.array([self.view, self.basket, self.purchase], np.float32)
        weights: FloatArray = of_kinds[clicks["kind"]]
        milliseconds = (clicks["id_high"] >> np.uint64(16)).astype(np.int64)
        long = np.zeros(len(clicks), np.bool_)
        long[:-1] = (np.diff(milliseconds) >= 1_000 * self.dwell_seconds) & (np.diff(clicks["session"]) == 0)
        weights[long & (clicks["kind"] == VIEWED)] = self.dwell
        return weights

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def furthest(clicks: NDArray[Any]) -> NDArray[np.int8]:
    """(n,) for each event the furthest kind among those of its session with its item."""
    pair = np.lexsort((clicks["row"], clicks["session"]))
    new = np.ones(len(clicks), np.bool_)
    new[1:] = (np.diff(clicks["session"][pair]) != 0) | (np.diff(clicks["row"][pair]) != 0)
    starts = np.flatnonzero(new)
    reached = np.empty(len(clicks), np.int8)
    if len(clicks):
        of_pair = np.maximum.reduceat(clicks["kind"][pair], starts)
        reached[pair] = of_pair[np.cumsum(new) - 1]
    return reached
