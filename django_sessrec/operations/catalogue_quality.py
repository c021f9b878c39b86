"""Quality of the catalogue as lists meet it: what has no picture, is sold out, or is shown in vain."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db.models import Sum
from django.utils.translation import gettext as _

from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.figure_models import DailyItem
from django_sessrec.measuring.days import last_days
from django_sessrec.safety import isolated
from django_sessrec.serving.families import families_of, family_of

DAYS: Final = 28
MOST: Final = 2_000  # products looked at of those shown most, and of the catalogue's own
FEW: Final = 3  # expected clicks without one from which that is hardly chance (1 in 20)
NAMED: Final = 12  # of each group


@dataclass(frozen=True, slots=True)
class Group:
    """Products with one flaw: how many, the first of them by id, and what to do."""

    key: str
    title: str
    remedy: str
    count: int
    item_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Quality:
    """looked_at: products of the catalogue that were looked at, the most shown and the newest ones."""

    looked_at: int
    groups: Sequence[Group]


def quality() -> Quality:
    """Every group that has a product in it. Raises what the shop's catalogue raises in `resolve`."""
    catalogue = get_catalogue()
    start, end = last_days(DAYS)
    figures = {
        row["item_id"]: row
        for row in DailyItem.objects.filter(day__range=(start, end))
        .values("item_id")
        .annotate(shown=Sum("shown"), clicked=Sum("clicked"))
        .order_by("-shown")[:MOST]
    }
    own = catalogue.fallback(MOST)
    wanted = list(dict.fromkeys([*figures, *own]))
    offered = catalogue.resolve(wanted)
    flaws = {item_id: set(_flaws(catalogue, item)) for item_id, item in offered.items()}
    never = _never_shown(catalogue, [each for each in own if each in offered], start)
    shown, clicked = (sum(row[name] for row in figures.values()) for name in ("shown", "clicked"))
    enough = FEW * shown / clicked if clicked else float("inf")  # times shown until a click is due
    found = {
        "unoffered": [item_id for item_id in figures if item_id not in offered],
        **{
            name: [item_id for item_id in wanted if name in flaws.get(item_id, ())]
            for name in ("undescribed", "picture", "category", "price")
        },
        "never_shown": [item_id for item_id in own if item_id in never],
        "in_vain": [
            item_id
            for item_id, row in figures.items()
            if item_id in offered and not row["clicked"] and row["shown"] >= enough
        ],
    }
    words = _words()
    groups = [Group(key, *words[key], len(ids), ids[:NAMED]) for key, ids in found.items() if ids]
    return Quality(len(offered), groups)


def _never_shown(catalogue: TextCatalogue, offered: Collection[str], since: date) -> set[str]:
    """Those that no list has held since then, nor any variant of their families.

    None in a new shop: there it is true of all, and says nothing.
    """
    lists = DailyItem.objects.filter(day__gte=since, shown__gt=0)
    if not lists.exists():
        return set()
    family = family_of(offered)
    known = families_of(catalogue)
    variants = known.variants(set(family.values())) if known is not None else {}
    asked = {*offered, *(item_id for items in variants.values() for item_id in items)}
    shown = set(lists.filter(item_id__in=asked).values_list("item_id", flat=True))
    shown_families = {name for name, items in variants.items() if not shown.isdisjoint(items)}
    shown_families |= {family[item_id] for item_id in shown if item_id in family}
    return {
        item_id for item_id in offered if item_id not in shown and family.get(item_id) not in shown_families
    }


def _flaws(catalogue: TextCatalogue, item: Any) -> Iterator[str]:
    fields: dict[str, Any] | None = None
    with isolated("describe a product", savepoints=False):
        fields = catalogue.describe(item)
    if fields is None:
        yield "undescribed"
        return
    if not fields.get("image"):
        yield "picture"
    if fields.get("price") is None:
        yield "price"
    with isolated("tell a product's category", savepoints=False):
        if not catalogue.categories(item):
            yield "category"


def _words() -> dict[str, tuple[str, str]]:
    """Each group's title, and what to do."""
    return {
        "unoffered": (
            _("Shown lately, not offered now"),
            _("Sold out or hidden. Lists leave them out by themselves; restock what visitors still want."),
        ),
        "undescribed": (
            _("The catalogue can't describe them"),
            _("They are left out of every list. Correct describe(), or the fields that it reads."),
        ),
        "picture": (_("Without a picture"), _("Visitors hardly click a card without one: add it.")),
        "category": (
            _("Without a category"),
            _("MAX_PER_CATEGORY can't count them, and new ones have no related products."),
        ),
        "price": (_("Without a price"), _("The card shows none. Correct the price, or hide the product.")),
        "never_shown": (
            _("Never shown"),
            _("No list held them in four weeks. New products are found when visitors view them."),
        ),
        "in_vain": (
            _("Shown and never clicked"),
            _("Three clicks were due by now. Look at picture, title and price, or bury them by a rule."),
        ),
    }
