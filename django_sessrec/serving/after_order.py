"""Categories that an order settles: a visitor who has bought a tent is not looking for another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Final

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.safety import isolated
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.visit import Visit


@dataclass(frozen=True, slots=True)
class Settled:
    """Categories of the session's purchases, and of other products viewed since: those are open again.

    A product is settled if all its categories were bought: one shared by half the shop says little.
    """

    bought: Set[str] = frozenset()
    since: Set[str] = frozenset()
    item_ids: Set[str] = frozenset()  # of the session's settled items

    def __bool__(self) -> bool:
        return bool(self.bought)

    def covers(self, categories: Set[str]) -> bool:
        """Whether a product of these categories is settled."""
        return bool(categories) and categories <= self.bought and not categories <= self.since

    def unsettled(self, visit: Visit) -> Visit:
        """The visit as models hear it: without the session's settled items."""
        if not self.item_ids:
            return visit
        return replace(visit, items=[each for each in visit.items if each not in self.item_ids])


NOTHING: Final = Settled()


def settled(visit: Visit, placement: Placement, catalogue: TextCatalogue) -> Settled:
    """The categories that this visit's orders settle for the placement's lists; one query if it has any.

    Nothing on a page that is about a category or a search: there the visitor has asked.
    """
    asks = bool(visit.categories or visit.query)
    if asks or not visit.purchases or not placement.hide_bought_categories:
        return NOTHING
    since = {*visit.since_purchase, visit.current} - {"", *visit.purchases}
    with isolated("tell the categories of what was bought"):
        items = catalogue.known({*visit.purchases, *visit.items, *since})
        of_item = {item_id: catalogue.categories(item) for item_id, item in items.items()}
        found = Settled(_all(visit.purchases, of_item), _all(since, of_item))
        mine = {item_id for item_id, categories in of_item.items() if found.covers(categories)}
        return replace(found, item_ids=frozenset(mine))
    return NOTHING


def _all(item_ids: Iterable[str], of_item: Mapping[str, Set[Any]]) -> frozenset[str]:
    return frozenset().union(*(of_item.get(item_id, ()) for item_id in item_ids))
