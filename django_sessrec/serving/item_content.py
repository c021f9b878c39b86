"""Content of the shop's products, as cold start hears it: from the catalogue, or the shop's own vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.content import Content
from django_sessrec.safety import isolated


def contents_of(catalogue: TextCatalogue, items: Mapping[str, Any]) -> dict[str, Content]:
    """Id -> content, of the shop's objects by id; one that the catalogue can't describe is left out.

    Raises what the function of ITEM_VECTORS raises.
    """
    vectors_of = sessrec_settings.imported("ITEM_VECTORS")
    if vectors_of is not None:
        found = {catalogue.id_of(item_id): vector for item_id, vector in vectors_of(items).items()}
        return {
            item_id: Content(vector=list(found[item_id]))
            for item_id in items
            if found.get(item_id) is not None
        }
    contents = {}
    for item_id, item in items.items():
        with isolated("tell an item's content", about=f"item {item_id!r}", savepoints=False):
            attributes = catalogue.attributes(item)
            title = catalogue.describe(item)["title"]
            contents[item_id] = Content(str(title), attributes.texts, attributes.price)
    return contents
