"""Products as pages show them to staff: picture and name in place of an id."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from django.db.models import Sum
from django.utils.translation import gettext as _

from django_sessrec.admin.formatting import money, period, whole
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.figure_models import DailyItem
from django_sessrec.measuring.kpis import counted_days
from django_sessrec.safety import never_raises

DAYS = 28

NOTHING: dict[str, Any] = {}
NO_FACTS: list[tuple[str, str]] = []


@dataclass(frozen=True, slots=True)
class ShownProduct:
    """One product; offered: whether the catalogue offers it now. One that it does not know has an id only."""

    item_id: str
    title: str
    image: str = ""
    url: str = ""
    offered: bool = True


def shown_products(item_ids: Iterable[str]) -> dict[str, ShownProduct]:
    """Id -> product, of all these; what raises in the shop's catalogue is shown by its id.

    A family, which models name in place of its variants, is shown as the variant that lists show first. One
    query, and one or two more where some are not offered now, or are families.
    """
    wanted = list(dict.fromkeys(item_ids))
    offered = _looked_up(wanted, "resolve")
    missing = [item_id for item_id in wanted if item_id not in offered]
    offered |= _of_families(missing)
    hidden = _looked_up([item_id for item_id in missing if item_id not in offered], "known")
    return {
        item_id: _described(item_id, offered.get(item_id) or hidden.get(item_id), item_id in offered)
        for item_id in wanted
    }


@never_raises("look up families", default=NOTHING)
def _of_families(ids: Collection[str]) -> dict[str, Any]:
    """Family -> its first variant, of the families among these."""
    catalogue = get_catalogue()
    if not (ids and catalogue.has_families):
        return {}
    first = {family: items[0] for family, items in catalogue.variants(ids).items() if items}
    found = catalogue.resolve(list(first.values()))
    return {family: found[item_id] for family, item_id in first.items() if item_id in found}


@never_raises("look up products", default=NOTHING)
def _looked_up(item_ids: Collection[str], method: Literal["resolve", "known"]) -> dict[str, Any]:
    found: dict[str, Any] = getattr(get_catalogue(), method)(item_ids)
    return found


def _described(item_id: str, item: Any, offered: bool) -> ShownProduct:
    fields = _fields(item) if item is not None else {}
    title = str(fields["title"]) if fields else item_id
    if not offered:
        title = _("%(item)s (not offered now)") % {"item": title}
    image, url = (str(fields.get(name) or "") for name in ("image", "url"))
    return ShownProduct(item_id, title, image, url, offered)


@never_raises("describe a product", default=NOTHING)
def _fields(item: Any) -> dict[str, Any]:
    return get_catalogue().describe(item)


@never_raises("look up a product's price and stock", default=NO_FACTS)
def product_facts(item_id: str) -> list[tuple[str, str]]:
    """Price and stock as the catalogue has them now, each with its label; those that it tells."""
    catalogue = get_catalogue()
    item = catalogue.known([item_id]).get(item_id)
    if item is None:
        return []
    price, stock = catalogue.describe(item).get("price"), catalogue.attributes(item).stock
    if isinstance(price, int | float | Decimal):
        price = money({sessrec_settings.CURRENCY: Decimal(str(price))})
    facts = {_("Price"): price, _("In stock"): None if stock is None else whole(int(stock))}
    return [(label, str(fact)) for label, fact in facts.items() if fact is not None]


def product_figures(item_id: str) -> tuple[list[tuple[str, str]], str]:
    """What became of a product in lists and orders, each with its label; and of which days that is."""
    names = {
        "shown": _("Shown in lists"),
        "seen": _("Seen"),
        "clicked": _("Clicked"),
        "bought": _("Bought after a click"),
        "sold": _("Bought in all"),
    }
    days = counted_days(DAYS)
    rows = DailyItem.objects.filter(item_id=item_id, day__range=days)
    sums = rows.aggregate(**{name: Sum(name) for name in names})
    return [(label, whole(sums[name] or 0)) for name, label in names.items()], period(*days)
