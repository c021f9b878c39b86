"""Lists that the past days' product pages showed, and the clicks on them: what the report has figures of."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np

from django_sessrec.capture.rows import EventRow
from django_sessrec.ids import seen_id, uuid7
from django_sessrec.models import EventName, Impression, Source
from django_sessrec.serving.fallback import CATEGORY
from example_shop.shop.history import Happening
from example_shop.shop.models import Product

PRODUCTS_SHOWN = 8
VISITS_WITH_LISTS = 0.2  # enough for the report, and a second of the shop's first start
SEEN = 0.6  # share of lists that visitors scroll down to


class ShownLists:
    """Other products of the same kind below each product, as before the first training run.

    shown: the lists so far, unsaved
    """

    def __init__(self, products: Sequence[Product], draw: np.random.Generator) -> None:
        self.shown: list[Impression] = []
        self._products = products
        self._draw = draw
        self._visit: UUID | None = None
        self._has_lists = False
        self._of_kind: dict[int, list[str]] = defaultdict(list)
        for product in products:
            self._of_kind[product.category_id].append(str(product.pk))

    def view(self, happening: Happening) -> Iterator[EventRow]:
        """A view's list; the events that it was seen, and that the click on the list before it led here."""
        if happening.session_id != self._visit:
            self._visit = happening.session_id
            self._has_lists = self._draw.random() < VISITS_WITH_LISTS
        if not self._has_lists:
            return
        product = self._products[happening.row]
        item_id = str(product.pk)
        before = self.shown[-1] if self.shown else None
        if before and before.session_id == happening.session_id and item_id in before.item_ids:
            yield EventRow(
                uuid7(happening.at),
                happening.at,
                happening.session_id,
                EventName.SELECT_ITEM.value,
                item_id,
                before.impression_id,
                before.item_ids.index(item_id) + 1,
                source=Source.SERVER.value,
            )
        others = [each for each in self._of_kind[product.category_id] if each != item_id]
        item_ids = self._draw.permutation(others)[:PRODUCTS_SHOWN].tolist()
        impression = Impression(
            impression_id=uuid7(happening.at),
            shown_at=happening.at,
            session_id=happening.session_id,
            placement="product_page",
            step=CATEGORY,
            item_ids=item_ids,
            reasons=["same_category"] * len(item_ids),
        )
        self.shown.append(impression)
        if self._draw.random() < SEEN:
            yield EventRow(
                seen_id(impression.impression_id),
                happening.at,
                happening.session_id,
                EventName.VIEW_ITEM_LIST.value,
                "",
                impression.impression_id,
                source=Source.BROWSER.value,
            )
