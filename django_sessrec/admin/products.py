"""Products as pages show them to staff: picture and name in place of an id."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from django_sessrec.catalogue import get_catalogue
from django_sessrec.safety import never_raises

NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ShownProduct:
    """One product; of what the catalogue does not offer now only the id is known."""

    item_id: str
    title: str
    image: str = ""
    url: str = ""
    price: Any = None
    offered: bool = True


def shown_products(item_ids: Iterable[str]) -> dict[str, ShownProduct]:
    """Id -> product, of all these, in one query of the catalogue; what raises there is shown by its id."""
    wanted = list(dict.fromkeys(item_ids))
    resolved = _resolved(wanted)
    return {item_id: _described(item_id, resolved.get(item_id)) for item_id in wanted}


@never_raises("look up products", default=NOTHING)
def _resolved(item_ids: Collection[str]) -> dict[str, Any]:
    return get_catalogue().resolve(item_ids)


def _described(item_id: str, item: Any) -> ShownProduct:
    fields = _fields(item) if item is not None else None
    if not fields:
        return ShownProduct(item_id, _("%(item)s (not offered now)") % {"item": item_id}, offered=False)
    return ShownProduct(
        item_id, str(fields["title"]), fields.get("image") or "", str(fields["url"]), fields.get("price")
    )


@never_raises("describe a product", default=NOTHING)
def _fields(item: Any) -> dict[str, Any]:
    return get_catalogue().describe(item)
