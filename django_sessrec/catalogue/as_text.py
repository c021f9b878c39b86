"""The shop's catalogue with every id as text, as the rest of this package asks it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from math import isfinite
from numbers import Integral
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from django_sessrec.catalogue.base import Catalogue
from django_sessrec.catalogue.one_model import ModelCatalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import swallowed

VALUES_ASKED = 5  # of those that contain a value, among which the value itself comes first
NO_IDS = (bool, float, complex, bytes, bytearray, tuple, list, dict, set, frozenset)


class Attributes(NamedTuple):
    """What rules ask of an item: its texts by attribute, and its numbers; None where they are unknown."""

    texts: Mapping[str, frozenset[str]]
    price: float | None = None
    stock: float | None = None


class TextCatalogue:
    """The shop's catalogue as this package uses it: every id is text.

    Raises TypeError where the catalogue names an item by what is no id, such as 1.5 or the one-tuples of
    values_list("pk"): a sensitive item that is not recognised as one would be captured in silence.
    """

    def __init__(self, shop: Catalogue) -> None:
        self.shop = shop

    def id_of(self, item: Any) -> str:
        """The id of what a tag, a view or the catalogue names: an id, or one of the shop's own objects."""
        if type(item) is str:
            return item
        if type(item) is int or isinstance(item, str):
            return str(item)
        if item is None or isinstance(item, NO_IDS):
            remedy = "ids are text, whole numbers or UUIDs, or name the shop's own object"
            raise TypeError(f"{item!r} of type {type(item).__name__} names no item: {remedy}")
        if isinstance(item, Integral | UUID):
            return str(item)
        return self.id_of(self.shop.item_id(item))

    def ids_of(self, items: Iterable[Any]) -> list[str]:
        """Ids of several items, each once; a value that names no item is logged and left out."""
        ids: dict[str, None] = {}
        for item in items:
            try:
                ids[self.id_of(item)] = None
            except Exception as error:
                if not swallowed("tell the id of an item", error):
                    raise
        return list(ids)

    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> dict[str, Any]:
        """Id -> the shop's object, of those that may be shown now."""
        if not item_ids:
            return {}
        found = self.shop.resolve(item_ids, request)
        return {self.id_of(item_id): item for item_id, item in found.items()}

    def known(self, item_ids: Collection[str]) -> dict[str, Any]:
        """Id -> the shop's object, those that may not be shown now included."""
        found = self.shop.known(item_ids) if item_ids else {}
        return {self.id_of(item_id): item for item_id, item in found.items()}

    def sensitive(self, item_ids: Collection[str]) -> set[str]:
        """Those of the ids that are sensitive."""
        return {self.id_of(each) for each in self.shop.sensitive(item_ids)} if item_ids else set()

    def related(self, item_id: str, limit: int) -> list[str]:
        """Ids of items of the same category, best first."""
        return [self.id_of(each) for each in self.shop.related(item_id, limit)][:limit]

    def in_category(self, categories: Collection[str], limit: int) -> list[str]:
        """Ids of items of the categories, newest first."""
        return [self.id_of(each) for each in self.shop.in_category(categories, limit)][:limit]

    def main_categories(self, limit: int) -> list[str]:
        """The shop's main categories, best first."""
        return [str(each) for each in islice(self.shop.main_categories(limit), limit)]

    def newest(self, limit: int) -> list[str]:
        """Ids of the newest items."""
        return [self.id_of(each) for each in self.shop.newest(limit)][:limit]

    def fallback(self, limit: int) -> list[str]:
        """Ids of items to show when nothing else is known."""
        return [self.id_of(each) for each in self.shop.fallback(limit)][:limit]

    def search(self, text: str, limit: int) -> list[str]:
        """Ids of products called like the text."""
        return [self.id_of(each) for each in self.shop.search(text, limit)][:limit]

    def categories(self, item: Any) -> set[str]:
        """The categories of a resolved item, none or several."""
        return set(_texts(self.shop.category(item)))

    def describe_categories(
        self, categories: Collection[str], request: HttpRequest | None = None
    ) -> dict[str, dict[str, Any]]:
        """Category -> its fields, of those among these that have a title and a page."""
        if not categories:
            return {}
        found = self.shop.describe_categories(categories, request)
        return {str(name): dict(fields) for name, fields in found.items() if _has_page(fields)}

    @property
    def has_families(self) -> bool:
        """Whether the shop names families at all."""
        if type(self.shop).families in (Catalogue.families, ModelCatalogue.families):
            return bool(getattr(self.shop, "parent_field", None))
        return True

    def families(self, item_ids: Collection[str]) -> dict[str, str]:
        """Id -> the family's id, of those that have one."""
        if not item_ids:
            return {}
        found = self.shop.families(item_ids)
        return {self.id_of(item_id): self.id_of(family) for item_id, family in found.items()}

    def variants(self, families: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Family's id -> its items that may be shown now, best first."""
        if not families:
            return {}
        found = self.shop.variants(families)
        return {self.id_of(family): tuple(map(self.id_of, items)) for family, items in found.items()}

    def attributes(self, item: Any) -> Attributes:
        """What a merchant's rules may ask of a resolved item."""
        given = dict(self.shop.attributes(item))
        price, stock = _number(given.pop("price", None)), _number(given.pop("stock", None))
        return Attributes({name: _texts(value) for name, value in given.items()}, price, stock)

    def attribute_values(self, attribute: str, text: str, limit: int) -> list[tuple[str, str]]:
        """Values of an attribute that contain the text, each with its name."""
        found = islice(self.shop.attribute_values(attribute, text, limit), limit)
        return [(str(value), str(name)) for value, name in found]

    def named_values(self, attribute: str, values: Collection[str]) -> Iterator[tuple[str, str | None]]:
        """Each value with its name, or with None where no product has it; one of which nothing is known is
        left out.

        The fields of one model are asked once for all. A catalogue with an `attribute_values` of its own is
        asked for each when it is its turn, so that who has no more time may stop.
        """
        shop = self.shop
        if isinstance(shop, ModelCatalogue) and _is_inherited(shop, "attribute_values"):
            names = shop.field_values(attribute, values)
            if names is None:
                return
            products_answer_fields = _is_inherited(shop, "attributes") and (
                attribute != "category" or _is_inherited(shop, "category")
            )
            for value in values:
                if value in names or products_answer_fields:
                    yield value, names.get(value)
        elif self.attribute_values(attribute, "", 1):
            for value in values:
                found = self.attribute_values(attribute, value, VALUES_ASKED)
                name = dict(found).get(value)
                if name is not None or len(found) < VALUES_ASKED:
                    yield value, name

    @property
    def has_basket(self) -> bool:
        """Whether the shop tells of a basket of its own at all."""
        return type(self.shop).basket is not Catalogue.basket

    def basket(self, request: HttpRequest | None) -> list[str] | None:
        """Ids of the lines of the shop's own basket; None where it has none to tell."""
        lines = None if request is None else self.shop.basket(request)
        return None if lines is None else self.ids_of(lines)

    def kind(self, item: Any) -> str:
        """What the item is one of, in the plural; empty where the shop does not say."""
        return str(self.shop.kind(item) or "")

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        """The item's fields, "title" and "url" among them; KeyError where the shop names no value."""
        fields = self.shop.describe(item, request)
        for name in ("title", "url"):
            if fields.get(name) is None:
                raise KeyError(name)
        return fields


def get_catalogue() -> TextCatalogue:
    """The shop's catalogue, as SESSREC["CATALOGUE"] names it, with every id as text."""
    catalogue = sessrec_settings.imported("CATALOGUE")
    if catalogue is None:
        raise ImproperlyConfigured(
            'SESSREC["CATALOGUE"] is missing; set it to the dotted path of a Catalogue subclass'
        )
    return TextCatalogue(catalogue())


def _is_inherited(shop: ModelCatalogue, method: str) -> bool:
    return getattr(type(shop), method) is getattr(ModelCatalogue, method)


def _has_page(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("title") and fields.get("url"))


def _texts(value: Any) -> frozenset[str]:
    """One text or several; nothing for None."""
    if type(value) is str and value:  # asked for each attribute of each candidate of a list with rules
        return frozenset((value,))
    if value is None or value == "":
        return frozenset()
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return frozenset(map(str, value)) if several else frozenset((str(value),))


def _number(value: Any) -> float | None:
    """A number that rules can compare; None for anything else, such as a formatted price."""
    try:
        number = float(value)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return number if isfinite(number) else None
