"""A simulated shop's sessions: what is skewed, alike or rare in a real one is so here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from django_sessrec.measuring.comparison import Squares
from django_sessrec.measuring.sequences import Ratio

Array = NDArray[np.float64]
MEASURES = ("clicks", "orders", "revenue")


@dataclass(frozen=True, slots=True)
class Shop:
    """What its sessions are drawn from.

    Lists of one session are alike: each session has a taste of its own for clicking. Baskets are log-normal,
    and one in fifty is a Pareto's with an infinite variance.
    """

    lists: float = 3.0  # a session, on average; geometric
    clicked: float = 0.2  # of lists
    converted: float = 0.03  # of sessions
    basket: float = 60.0  # its median
    spread: float = 1.2  # of the logarithm
    tail: float = 1.5  # exponent of the Pareto

    def better(self, measure: str, by: float) -> Shop:
        """The shop with one truth raised by this share; revenue rises with the number of orders."""
        name = {"clicks": "clicked", "orders": "converted", "revenue": "converted"}[measure]
        return replace(self, **{name: getattr(self, name) * (1 + by)})

    def sessions(self, draw: np.random.Generator, number: int) -> dict[str, Array]:
        """Lists, clicked lists, orders and uncapped revenue of each session."""
        lists = draw.geometric(1 / self.lists, number)
        taste = draw.beta(0.5, 0.5 / self.clicked - 0.5, number)
        orders = draw.random(number) < self.converted
        baskets = self.basket * np.exp(self.spread * draw.standard_normal(number))
        rare = draw.random(number) < 0.02
        baskets[rare] *= 1 + draw.pareto(self.tail, int(rare.sum()))
        return {
            "lists": lists.astype(float),
            "clicks": draw.binomial(lists, taste).astype(float),
            "orders": orders.astype(float),
            "revenue": orders * baskets,
        }


def cap(sessions: dict[str, Array], share: float = 0.99) -> float:
    """The revenue that so many of the sessions with an order stay below."""
    return float(np.quantile(sessions["revenue"][sessions["orders"] > 0], share))


def ratio_of(hits: Array, trials: Array) -> Ratio:
    """The ratio over all sessions, from one value each."""
    squares = Squares(float(hits @ hits), float(hits @ trials), float(trials @ trials))
    with_trials = int(np.count_nonzero(trials))
    return Ratio(float(hits.sum()), float(trials.sum()), len(hits), squares, with_trials)


def measured(sessions: dict[str, Array], measure: str, capped_at: float) -> tuple[Array, Array]:
    """Hits and trials of each session."""
    hits = np.minimum(sessions[measure], capped_at) if measure == "revenue" else sessions[measure]
    return hits, sessions["lists"] if measure == "clicks" else np.ones_like(hits)


def looks(hits: Array, trials: Array, number: int) -> list[Ratio]:
    """The ratio as it stands at each of `number` looks, evenly spaced over the sessions in their order."""
    ends = np.linspace(0, len(hits), number + 1).astype(int)[1:]
    columns = (hits, trials, hits * hits, hits * trials, trials * trials)
    sums = np.stack([np.cumsum(column)[ends - 1] for column in columns])
    return [
        Ratio(h, t, int(end), Squares(hh, ht, tt), int(end))
        for (h, t, hh, ht, tt), end in zip(sums.T.tolist(), ends, strict=True)
    ]
