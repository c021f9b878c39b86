"""Visitors whose minds we know: what each came for, what each looks at next, when each leaves.

The simulated history and the simulated traffic both draw from here, so a recommender can be held against the
truth: `ShopVisitors.next_item_odds` is what it has to discover from the clicks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Odds = NDArray[np.float32]

LEAVES_AFTER_ONE = 0.32
GOES_ON = 0.78  # after each further click
GOES_BACK = 0.1  # share of clicks
HAS_SECOND_INTENT = 0.15
CLICKS_AT_MOST = 40

# Log odds of what is clicked next. 25 of 1,200 products are of the same kind: 5.5 gives them half of the
# clicks, 4.5 gives what goes with them a third, and one click in ten goes anywhere.
SAME_KIND = 5.5
GOES_WITH = 4.5
SAME_COLLECTION = 1.2
SAME_COLOUR = 1.0
PRICE_APART = -2.0  # from the cheapest to the dearest of a kind
OFTEN_NEXT = 2.5  # for four products that visitors have settled on, after each
TASTE = 1.2
CAME_FOR_IT = 1.6


class Goods(NamedTuple):
    """What a visitor sees of a product."""

    item_id: str
    kind: str
    collection: str
    colour: str
    price: float


@dataclass(frozen=True)
class Intent:
    """What somebody came for; `pull` is the log odds that it adds to each product, (n,)."""

    kind: str
    colour: str
    price_place: float  # 0 cheapest of its kind, 1 dearest
    pull: Odds


class ShopVisitors:
    """The visitors of one range of goods; the same goods and seed make the same people."""

    def __init__(self, goods: Sequence[Goods], goes_with: Mapping[str, Sequence[str]], seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self.goods = goods
        self.kinds = sorted({each.kind for each in goods})
        self._kind = np.array([self.kinds.index(each.kind) for each in goods])
        self._colour = np.array([each.colour for each in goods])
        self._price_place = _places([each.price for each in goods], self._kind)
        self._kind_odds = _zipf(len(self.kinds), draw)
        self._appeal = draw.gumbel(0, 0.6, len(goods)).astype(np.float32)
        self._after = self._transitions(goes_with, draw)
        self._absent = np.zeros(len(goods), np.float32)

    def offer(self, there: NDArray[np.bool_]) -> None:
        """From now on the shop has these products only, (n,): nobody sees one that has not arrived yet."""
        self._absent = np.where(there, 0, -np.inf).astype(np.float32)

    def next_item_odds(self, row: int, intent: Intent | None = None) -> Odds:
        """(n,) log odds of each product after `row`, for one intent or, without, for nobody in particular."""
        odds = self._after[row] + self._absent
        return odds if intent is None else odds + intent.pull

    def intent(self, draw: np.random.Generator) -> Intent:
        kind = int(draw.choice(len(self.kinds), p=self._kind_odds))
        colour = str(draw.choice(self._colour[self._kind == kind]))
        price_place = float(draw.random())
        likes = TASTE * (self._colour == colour) - TASTE * np.abs(self._price_place - price_place)
        pull = likes + self._appeal + CAME_FOR_IT * (self._kind == kind)
        return Intent(self.kinds[kind], colour, price_place, pull.astype(np.float32))

    def first(self, intent: Intent, draw: np.random.Generator) -> int:
        """The product somebody lands on: of the kind she came for."""
        here = np.flatnonzero(self._kind == self.kinds.index(intent.kind))
        return int(here[_pick((intent.pull + self._absent)[here], draw)])

    def next(self, row: int, intent: Intent, seen: Sequence[int], draw: np.random.Generator) -> int:
        """The product after this one: a new one, or now and then one that she goes back to."""
        if len(seen) > 1 and draw.random() < GOES_BACK:
            return int(draw.choice(seen[:-1]))
        odds = self.next_item_odds(row, intent)  # a new array: the intent has been added
        odds[list(seen)] = -np.inf
        return _pick(odds, draw)

    def companion(self, row: int) -> int | None:
        """The product that most people use this one with, of another kind; None where none goes with it."""
        others = np.flatnonzero(self._companions[self._kind[row], self._kind])
        return int(others[self._after[row, others].argmax()]) if len(others) else None

    def suits(self, row: int, candidate: int, intent: Intent) -> float:
        """How welcome a suggestion is after this product: 0 not at all, 1 like the likeliest next."""
        odds = self.next_item_odds(row, intent)
        return float(np.exp((odds[candidate] - odds.max()) / 2))

    def stays(self, clicks: int, draw: np.random.Generator) -> bool:
        chance = 1 - LEAVES_AFTER_ONE if clicks == 1 else GOES_ON
        return clicks < CLICKS_AT_MOST and bool(draw.random() < chance)

    def intents(self, draw: np.random.Generator) -> Iterator[Intent]:
        """What somebody has in mind before each click: one thing, or after a while another."""
        intent = self.intent(draw)
        changes_mind = int(draw.integers(2, 6)) if draw.random() < HAS_SECOND_INTENT else CLICKS_AT_MOST
        for click in range(CLICKS_AT_MOST):
            if click == changes_mind:
                intent = self.intent(draw)
            yield intent

    def visit(self, draw: np.random.Generator) -> list[int]:
        """The products of one whole visit, as rows of `goods`."""
        seen: list[int] = []
        mind = None
        for intent in self.intents(draw):
            goes_on = intent is mind
            seen.append(self.next(seen[-1], intent, seen, draw) if goes_on else self.first(intent, draw))
            mind = intent
            if not self.stays(len(seen), draw):
                break
        return seen

    def _transitions(self, goes_with: Mapping[str, Sequence[str]], draw: np.random.Generator) -> Odds:
        """(n, n) log odds of the column after the row."""
        collection = np.array([each.collection for each in self.goods])
        kind = self._kind
        companions = np.zeros((len(self.kinds), len(self.kinds)), dtype=bool)
        for name, others in goes_with.items():
            companions[self.kinds.index(name), [self.kinds.index(other) for other in others]] = True
        self._companions = companions
        odds = (
            SAME_KIND * (kind[:, None] == kind)
            + GOES_WITH * companions[kind[:, None], kind]
            + SAME_COLLECTION * (collection[:, None] == collection)
            + SAME_COLOUR * (self._colour[:, None] == self._colour)
            + PRICE_APART * np.abs(self._price_place[:, None] - self._price_place)
        ).astype(np.float32)
        for row, likely in enumerate(odds):
            near = np.flatnonzero(likely > GOES_WITH / 2)
            likely[draw.choice(near, min(4, len(near)), replace=False)] += OFTEN_NEXT
            likely[row] = -np.inf
        return odds


def _pick(odds: Odds, draw: np.random.Generator) -> int:
    chances = np.cumsum(np.exp(odds - odds.max()))
    return int(np.searchsorted(chances, draw.random() * chances[-1], side="right"))


def _places(prices: Sequence[float], kind: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where each price stands among those of its kind: 0 the lowest, 1 the highest."""
    places = np.zeros(len(prices))
    for each in np.unique(kind):
        rows = np.flatnonzero(kind == each)
        places[rows] = np.argsort(np.argsort(np.take(prices, rows))) / max(1, len(rows) - 1)
    return places


def _zipf(count: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """(count,) chances that fall like 1 / rank ** 0.6, handed out in a drawn order."""
    chances = draw.permutation(np.arange(1, count + 1) ** -0.6)
    return chances / chances.sum()
