"""Items bought together: complements from baskets and orders by lift, without what visitors choose between.

Lift is how much more often two items are in one basket than if they were put there independently (Brin et al.
1997). Substitutes are told from complements by co-views: whoever compares two kettles looks at both and buys
one (McAuley et al. 2015: what is viewed together are substitutes, what is bought together complements).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.itemknn import ItemKNNRecommender, distinct_items, pairs, strongest
from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import NotEnoughData, Progress, Source, gettext_noop
from django_sessrec.recsys.sessions import SessionLog

WINDOW = 200  # lines of a basket: pairs further apart do not count
MAX_LINES = 200  # of a basket that is asked about


@dataclass(frozen=True, slots=True)
class BoughtTogether:
    """Complements of items: pairs of one basket, by lift.

    min_support: baskets with both that a pair needs
    min_lift:    of a pair; 1 is chance
    substitutes: two items are substitutes if, for each time that they are viewed together, they are bought
                 together less than this much of the mean pair; 0 takes none for substitutes
    similar:     complements that each item keeps
    """

    learns_from: ClassVar[str] = "baskets"

    min_support: int = 3
    min_lift: float = 1.5
    substitutes: float = 0.25
    similar: int = 100

    def __post_init__(self) -> None:
        if min(self.min_support, self.similar) < 1:
            raise ValueError(f"min_support and similar must be at least 1, not {self}")
        if self.min_lift < 1 or self.substitutes < 0:
            raise ValueError(f"min_lift must be at least 1 and substitutes at least 0, not {self}")

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        views: SessionLog | None = None,
    ) -> BoughtTogetherRecommender:
        """sessions: the baskets. views: clicks over the same index; without them no pair is a substitute.

        Raises NotEnoughData where no pair has the support.
        """
        n_rows = len(sessions.index)
        basket, item = distinct_items(sessions)
        first, second, together = pairs(basket, item, WINDOW, n_rows)
        of_item = np.bincount(item, minlength=n_rows).astype(np.float64)
        lift = together * len(sessions) / np.maximum(of_item[first] * of_item[second], 1)
        kept = (together >= self.min_support) & (lift >= self.min_lift)
        if views is not None and self.substitutes:
            kept &= ~self._are_substitutes(first, second, together, views)
        if not kept.any():
            raise NotEnoughData(
                f"no two items are in {self.min_support} baskets together more often than by chance: "
                "collect more orders"
            )
        first, second, together, lift = first[kept], second[kept], together[kept], lift[kept]
        score = np.log(lift) * together / (together + self.min_support)  # little support counts little
        complements = strongest(first, second, score, together, self.similar, n_rows)
        return BoughtTogetherRecommender(Popularity().fit(sessions), *complements, MAX_LINES)

    def _are_substitutes(
        self,
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        together: NDArray[np.int64],
        views: SessionLog,
    ) -> NDArray[np.bool_]:
        """Whether each pair is viewed together much more often than it is bought."""
        one, other, viewed = pairs(*distinct_items(views), WINDOW, len(views.index))
        known = one * len(views.index) + other  # ascending
        wanted = first * len(views.index) + second
        place = np.searchsorted(known, wanted).clip(max=max(0, len(known) - 1))
        found = known[place] == wanted if len(known) else np.zeros(len(wanted), bool)
        if not found.any():
            return found
        rate = together / np.where(found, viewed[place], 1)  # baskets for each session that viewed both
        substitutes: NDArray[np.bool_] = found & (rate < self.substitutes * rate[found].mean())
        return substitutes


class BoughtTogetherRecommender(ItemKNNRecommender):
    """Complements of all lines of a basket, summed; an empty basket is answered with what is bought most."""

    kind = "bought_together"
    learns_from: ClassVar[str] = "baskets"
    source: ClassVar[Source] = Source.BOUGHT_TOGETHER

    def _speakers(self, session: Rows) -> list[tuple[float, int]]:
        """(weight, row) of the newest distinct lines: each line counts as much."""
        return [(1.0, row) for row in list(dict.fromkeys(session[::-1].tolist()))[: self.clicks]]

    @property
    def known(self) -> int:
        """Number of items that it knows a complement of."""
        return int(np.count_nonzero(np.diff(self.offsets)))

    def describe(self) -> str:
        return gettext_noop("products that are often bought together")
