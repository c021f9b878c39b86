"""The catalogue: which items exist, may be shown, how they look, and which belong together.

A shop writes one class and names it in SESSREC["CATALOGUE"]. Where its products are one Django model, that
is a ModelCatalogue of a few lines:

    class ProductCatalogue(ModelCatalogue):
        model = "shop.Product"
        title_field = "name"
        price_field = "price"
        image_field = "photo"
        category_field = "category"

        def available(self, queryset):
            return queryset.filter(published=True, stock__gt=0)

Any other shop subclasses Catalogue, whose one required method is `resolve`.

Item ids are text everywhere in this package: they are stored in events, learnt by models and sent as JSON.
A catalogue may answer with whole numbers, UUIDs or its own objects wherever an id is asked for:
get_catalogue() brings every answer to text, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import islice
from math import isfinite
from numbers import Integral
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import CharField, Field, ForeignObjectRel, IntegerField, Model, Q, QuerySet, TextField
from django.http import HttpRequest

from django_sessrec.conf import sessrec_settings

NO_IDS = (bool, float, complex, bytes, bytearray, tuple, list, dict, set, frozenset)


class Catalogue(ABC):
    """Base class of a shop's catalogue.

    Methods may raise: on a page, an item whose `describe` or `category` raises is left out and its place
    is filled by another; where `resolve` or `sensitive` raises, the list stays empty. The error is logged.
    A new instance is made for each list, so attributes set in a method live as long as that list.
    """

    @abstractmethod
    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> Mapping[Any, Any]:
        """The items that may be shown now: id -> the object that templates get as `item.item`.

        What is left out (deleted, sold out, unpublished) is not shown. Make it one query: it is called
        once for a list, and a second time only where too many candidates were left out.

        `item_ids` are text. `request` is the page's, for shops whose range differs by visitor; it is None
        where a list is made without one, such as in a preview.
        """

    def known(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        """As `resolve`, with those that are not offered now: staff read their names in the admin."""
        return self.resolve(item_ids)

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        """Fields of a resolved item for the default templates and the REST view, where they become JSON.

        "title" and "url" are required. The default templates also use "image" (a URL, or None) and
        "price"; further keys reach the shop's own templates as `item.fields.<key>`.
        """
        return {"title": str(item), "url": self.url(item)}

    def item_id(self, item: Any) -> Any:
        """The id of one of the shop's objects, which tags and views may name instead of an id."""
        return item.pk

    def url(self, item: Any) -> str:
        """The address of the item's page."""
        return str(item.get_absolute_url())

    def category(self, item: Any) -> str | Collection[str] | None:
        """What MAX_PER_CATEGORY counts: a category, several of them, or None for an item without one."""
        return None

    def attributes(self, item: Any) -> Mapping[str, Any]:
        """What a merchant's rules may ask of a resolved item: name -> a text, several texts, or None.

        "price" and "stock" are numbers; the admin names "brand", "category" and "tags", and rules take any
        further key of the shop's own. Called for each candidate of a list that has rules: no query here.
        """
        return {"category": self.category(item)}

    def attribute_values(self, attribute: str, text: str, limit: int) -> Iterable[tuple[str, str]]:
        """Values of an attribute that contain the text, each with its name: what the rules' editor offers."""
        return []

    def basket(self, request: HttpRequest) -> Iterable[Any] | None:
        """Ids, or objects, of what is in the visitor's basket, the line added last at the end.

        None: the session's own add_to_cart and remove_from_cart events tell it. Asked with consent only, once
        for each list, so answer from the request, a cookie or a cache.
        """
        return None

    def kind(self, item: Any) -> str | None:
        """What the item is one of, in the plural and in the page's language, such as "tents".

        Heading of a row of a placement whose INTENTS are "rows": "More tents". Without it the row is named
        after a product that the visitor looked at. Called once for a row: no query for each item.
        """
        return None

    def families(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        """Id -> the family's id, of those that are variants of something, such as the sizes of a shirt.

        A list shows one of a family, and a view of a variant counts for all of it. Items that are sold out
        or gone have families too. The answer is kept for a minute.
        """
        return {}

    def variants(self, families: Collection[str]) -> Mapping[Any, Iterable[Any]]:
        """Family's id -> ids of its items that may be shown now, best first; of the families among these."""
        return {}

    def related(self, item_id: str, limit: int) -> Iterable[Any]:
        """Ids of items of the same category, best first, at most `limit`.

        Shown where no model knows the item on the page, such as a new product.
        """
        return []

    def in_category(self, categories: Collection[str], limit: int) -> Iterable[Any]:
        """Ids of items of any of the categories that may be shown, newest first, at most `limit`.

        For lists on the pages of categories. The answer is kept for a minute.
        """
        return []

    def newest(self, limit: int) -> Iterable[Any]:
        """Ids of the newest items that may be shown, at most `limit`: what the step "new" shows."""
        return []

    def fallback(self, limit: int) -> Iterable[Any]:
        """Ids of items to show when nothing else is known, best first, at most `limit`."""
        return []

    def search(self, text: str, limit: int) -> Iterable[Any]:
        """Ids of products called like the text, at most `limit`: staff find events by it in the admin."""
        return []

    def sensitive(self, item_ids: Collection[str]) -> Iterable[Any]:
        """Ids, among these, of items that are never captured, trained on, recommended or given as a reason.

        For goods that tell of health, faith, sex life and the like. Called with the ids of each request's
        events and of each list's candidates, so make it one indexed query.
        """
        return ()


class ModelCatalogue(Catalogue):
    """A catalogue of one Django model: name the model and its fields, and narrow `available`.

    - `model`: "app_label.Model"
    - `id_field`: the field whose value is the item id, "pk" by default; a slug or an SKU is as good. It is
      what TRACKED_VIEWS' argument and request.sessrec.record() must give
    - `title_field`: text of the card; without it, str(item)
    - `image_field`: an ImageField or FileField, or a field that holds a URL
    - `price_field`: as the shop shows it; formatted by the template
    - `category_field`: a field, a ForeignKey or a ManyToManyField
    - `parent_field`: a field whose value the variants of one product share; empty for all others
    - `brand_field`, `stock_field`: for a merchant's rules; the stock is a number
    """

    model: str
    id_field: str = "pk"
    category_field: str | None = None
    title_field: str | None = None
    image_field: str | None = None
    price_field: str | None = None
    brand_field: str | None = None
    stock_field: str | None = None
    parent_field: str | None = None

    def queryset(self) -> QuerySet[Any]:
        """Every product, with what the template needs joined in: add select_related here."""
        products = self._model._default_manager.all()
        if self.category_field and self._has_many_categories:
            return products.prefetch_related(self.category_field)
        return products

    def available(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to what may be shown now: in stock, published. To hide a brand everywhere, exclude it."""
        return queryset

    def item_id(self, item: Any) -> Any:
        return getattr(item, self.id_field)

    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> Mapping[Any, Any]:
        wanted = {f"{self.id_field}__in": self.native_ids(item_ids)}
        return {self.item_id(item): item for item in self.available(self.queryset()).filter(**wanted)}

    def known(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        wanted = {f"{self.id_field}__in": self.native_ids(item_ids)}
        return {self.item_id(item): item for item in self.queryset().filter(**wanted)}

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        title = getattr(item, self.title_field) if self.title_field else str(item)
        described = {"title": title, "url": self.url(item)}
        if self.image_field:
            described["image"] = _url_of(getattr(item, self.image_field))
        if self.price_field:
            described["price"] = getattr(item, self.price_field)
        return described

    def category(self, item: Any) -> str | Collection[str] | None:
        if not self.category_field:
            return None
        if self._has_many_categories:
            return {str(each.pk) for each in getattr(item, self.category_field).all()}
        category = getattr(item, getattr(self._category, "attname", self.category_field))
        return None if category is None else str(category)

    def attributes(self, item: Any) -> Mapping[str, Any]:
        fields = {"brand": self.brand_field, "price": self.price_field, "stock": self.stock_field}
        found = {name: getattr(item, field) for name, field in fields.items() if field}
        return {"category": self.category(item)} | found

    def attribute_values(self, attribute: str, text: str, limit: int) -> Iterable[tuple[str, str]]:
        """Those of category_field and brand_field, as far as they are fields of the model."""
        name = {"category": self.category_field, "brand": self.brand_field}.get(attribute)
        field = self._field(name or "")
        if name is None or field is None:
            return []
        if isinstance(field, Field) and field.related_model is not None:
            return _named(field.related_model._default_manager.all(), text, limit)
        found = self._model._default_manager.filter(**{f"{name}__icontains": text})
        values = found.order_by(name).values_list(name, flat=True).distinct()[:limit]
        return [(str(value), str(value)) for value in values]

    def families(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        if not self.parent_field:
            return {}
        products = self._model._default_manager.filter(**{f"{self.id_field}__in": self.native_ids(item_ids)})
        found = products.values_list(self.id_field, self.parent_field)
        return {item_id: parent for item_id, parent in found if parent not in (None, "")}

    def variants(self, families: Collection[str]) -> Mapping[Any, Iterable[Any]]:
        """In the order of `available`; those with the most in stock first where there is a stock_field."""
        if not self.parent_field:
            return {}
        values = _cleaned(self._field(self.parent_field), families)
        asked = self.available(self.queryset()).filter(**{f"{self.parent_field}__in": values})
        if self.stock_field and self._field(self.stock_field) is not None:
            asked = asked.order_by(f"-{self.stock_field}")
        found: dict[str, list[Any]] = {}
        for item_id, parent in asked.values_list(self.id_field, self.parent_field):
            found.setdefault(str(parent), []).append(item_id)
        return found

    def related(self, item_id: str, limit: int) -> Iterable[Any]:
        ids = self.native_ids([item_id])
        if not (self.category_field and ids):
            return []
        products = self._model._default_manager
        here = products.filter(**{self.id_field: ids[0]}).values(self.category_field)
        beside = self.available(self.queryset()).filter(**{f"{self.category_field}__in": here})
        if self._has_many_categories:
            beside = beside.distinct()
        return self._ids(beside.exclude(**{self.id_field: ids[0]})[:limit])

    def in_category(self, categories: Collection[str], limit: int) -> Iterable[Any]:
        if not self.category_field or (field := self._category) is None:
            return []
        within = {f"{self.category_field}__in": _cleaned(field, categories)}
        found = self.available(self._model._default_manager.all()).filter(**within).order_by("-pk")
        return (found.distinct() if self._has_many_categories else found).values_list(
            self.id_field, flat=True
        )[:limit]

    def newest(self, limit: int) -> Iterable[Any]:
        """By primary key."""
        newest = self.available(self._model._default_manager.all()).order_by("-pk")
        return newest.values_list(self.id_field, flat=True)[:limit]

    def fallback(self, limit: int) -> Iterable[Any]:
        """The newest products."""
        return self.newest(limit)

    def search(self, text: str, limit: int) -> Iterable[Any]:
        """Those whose title_field holds every word of the text, sold-out ones too."""
        if not self.title_field:
            return []
        every = [Q(**{f"{self.title_field}__icontains": word}) for word in text.split()]
        return self._ids(self.queryset().filter(*every)[:limit])

    def native_ids(self, item_ids: Collection[str]) -> list[Any]:
        """The ids as `id_field`'s own type, for queries of your own; text that can't be one is left out."""
        name = self._model._meta.pk.name if self.id_field == "pk" else self.id_field
        field = self._model._meta.get_field(name)
        if not isinstance(field, Field):
            raise ImproperlyConfigured(f"{type(self).__name__}.id_field = {self.id_field!r} is a relation.")
        return _cleaned(field, item_ids)

    @cached_property
    def _model(self) -> type[Model]:
        if not getattr(self, "model", None):
            raise ImproperlyConfigured(f'{type(self).__name__}.model is missing; set it to "app_label.Model"')
        return apps.get_model(self.model)

    @cached_property
    def _category(self) -> Field[Any, Any] | ForeignObjectRel | None:
        """The model's field; None where category_field is a property."""
        return self._field(self.category_field or "")

    def _field(self, name: str) -> Field[Any, Any] | ForeignObjectRel | None:
        """The model's field of this name or column; None where it is a property."""
        by_column = {each.attname: each for each in self._model._meta.concrete_fields}
        try:
            return by_column.get(name) or self._model._meta.get_field(name)
        except FieldDoesNotExist:
            return None

    @property
    def _has_many_categories(self) -> bool:
        return bool(self._category and (self._category.many_to_many or self._category.one_to_many))

    def _ids(self, items: Iterable[Any]) -> list[Any]:
        return [self.item_id(item) for item in items]


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

    def basket(self, request: HttpRequest | None) -> list[str] | None:
        """Ids of the lines of the shop's own basket; None where it has none to tell."""
        lines = None if request is None else self.shop.basket(request)
        return None if lines is None else list(dict.fromkeys(self.id_of(each) for each in lines))

    def kind(self, item: Any) -> str:
        """What the item is one of, in the plural; empty where the shop does not say."""
        return str(self.shop.kind(item) or "")

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        """The item's fields, "title" and "url" among them; KeyError where the shop leaves one out."""
        fields = self.shop.describe(item, request)
        return {**fields, "title": fields["title"], "url": fields["url"]}


def get_catalogue() -> TextCatalogue:
    """The shop's catalogue, as SESSREC["CATALOGUE"] names it, with every id as text."""
    catalogue = sessrec_settings.imported("CATALOGUE")
    if catalogue is None:
        raise ImproperlyConfigured(
            'SESSREC["CATALOGUE"] is missing; set it to the dotted path of a Catalogue subclass'
        )
    return TextCatalogue(catalogue())


def _cleaned(field: Any, texts: Collection[str]) -> list[Any]:
    """The texts as the field's own type; those that can't be one are left out."""
    target = getattr(field, "target_field", field)  # of a ForeignKey: the other model's key
    if (numbers := _whole_numbers(target)) is not None:
        with suppress(ValueError):
            return [number for number in map(int, texts) if number in numbers]
    native = []
    for text in texts:
        try:
            value = target.to_python(text)
            target.run_validators(value)
        except (ValidationError, ValueError, TypeError):
            continue
        native.append(value)
    return native


@lru_cache(maxsize=64)
def _whole_numbers(field: Any) -> range | None:
    """The numbers that an integer field takes; None for one that takes anything else or looks closer.

    Text for text, a field's own `to_python` and validators cost a page a tenth of its list.
    """
    if type(field).to_python is not IntegerField.to_python:
        return None
    bounds: dict[type, Any] = {type(each): each.limit_value for each in field.validators if _is_bound(each)}
    if len(bounds) != len(field.validators):
        return None
    low, high = bounds.get(MinValueValidator), bounds.get(MaxValueValidator)
    return range(low, high + 1) if isinstance(low, int) and isinstance(high, int) else None


def _is_bound(validator: Any) -> bool:
    return type(validator) in (MinValueValidator, MaxValueValidator)


def _texts(value: Any) -> frozenset[str]:
    """One text or several; nothing for None."""
    if value is None or value == "":
        return frozenset()
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return frozenset(map(str, value)) if several else frozenset((str(value),))


def _number(value: Any) -> float | None:
    """A number that rules can compare; None for anything else, such as a formatted price."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _named(rows: QuerySet[Any], text: str, limit: int) -> list[tuple[str, str]]:
    """Rows of a table whose key or first text field contains the text, each by its key and its name."""
    fields = [
        each.name for each in rows.model._meta.concrete_fields if isinstance(each, CharField | TextField)
    ]
    if text:
        asked = Q()
        for field in fields:
            asked |= Q(**{f"{field}__icontains": text})
        rows = rows.filter(asked)
    return [(str(each.pk), str(each)) for each in rows.order_by(*fields[:1])[:limit]]


def _url_of(image: Any) -> Any:
    """The URL of an image field's file, None without a file; any other value as it is."""
    try:
        return image.url
    except AttributeError:
        return image
    except ValueError:  # a FieldFile without a file
        return None
