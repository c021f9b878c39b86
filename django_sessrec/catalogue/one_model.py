"""The catalogue of a shop whose products are one Django model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache, reduce
from operator import or_
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    CharField,
    Count,
    F,
    Field,
    ForeignObjectRel,
    IntegerField,
    Lookup,
    Model,
    Q,
    QuerySet,
    TextField,
)
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpRequest

from django_sessrec.catalogue.base import Catalogue
from django_sessrec.safety import isolated

NAMES_READ: Final = 200  # rows whose names are compared with a text that one of their fields contains


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
    - `created_field`: by which products are new; the key by default, which says it where it counts up
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
    created_field: str = "pk"

    def queryset(self) -> QuerySet[Any]:
        """Every product, with what the template needs joined in: add select_related here."""
        products = self._model._default_manager.all()
        named = {self.category_field: self._category, self.brand_field: self._brand}
        several = [name for name, field in named.items() if name and _has_many(field)]
        return products.prefetch_related(*several) if several else products

    def available(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to what may be shown now: in stock, published. To hide a brand everywhere, exclude it."""
        return queryset

    def item_id(self, item: Any) -> Any:
        return getattr(item, self.id_field)

    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> Mapping[Any, Any]:
        products = self._among(self._available(self.queryset()), item_ids)
        return {self.item_id(item): item for item in products}

    def known(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        return {self.item_id(item): item for item in self._among(self.queryset(), item_ids)}

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        title = getattr(item, self.title_field) if self.title_field else str(item)
        described = {"title": title, "url": self.url(item)}
        if self.image_field:
            described["image"] = _url_of(getattr(item, self.image_field))
        if self.price_field:
            described["price"] = getattr(item, self.price_field)
        return described

    def category(self, item: Any) -> str | Collection[str] | None:
        return _keys(item, self.category_field, self._category) if self.category_field else None

    def attributes(self, item: Any) -> Mapping[str, Any]:
        """Category, brand, price and stock; a brand in a table of its own by its key, as a category is."""
        fields = {"price": self.price_field, "stock": self.stock_field}
        found = {name: getattr(item, field) for name, field in fields.items() if field}
        if self.brand_field:
            found["brand"] = _keys(item, self.brand_field, self._brand)
        return {"category": self.category(item)} | found

    def attribute_values(self, attribute: str, text: str, limit: int) -> Iterable[tuple[str, str]]:
        """Those of category_field and brand_field, as far as they are fields of the model.

        What is called exactly so comes first: of many names that contain it, it is the one that is meant.
        """
        name = {"category": self.category_field, "brand": self.brand_field}.get(attribute)
        field = self._field(name or "")
        if name is None or field is None:
            return []
        if field.related_model is not None:
            return _named(field, text, limit)
        values = self._model._default_manager.order_by(name).values_list(name, flat=True).distinct()
        found = [values.filter(**{f"{name}__iexact": text}), values.filter(**{f"{name}__icontains": text})]
        distinct = dict.fromkeys(str(value) for asked in found for value in asked[:limit])
        return [(value, value) for value in distinct][:limit]

    def field_values(self, attribute: str, values: Collection[str]) -> Mapping[str, str] | None:
        """Value -> its name, of those that category_field or brand_field holds, in one query.

        None where the field can't tell: it is none of the model's, or holds more than a text or a number.
        """
        name = {"category": self.category_field, "brand": self.brand_field}.get(attribute)
        field = self._field(name or "")
        if name is None or field is None:
            return None
        if field.related_model is not None:
            key: Any = field.target_field  # type: ignore[union-attr]  # of every relation
            rows = field.related_model._base_manager.filter(**{f"{key.name}__in": _cleaned(key, values)})
            return {str(getattr(row, key.attname)): str(row) for row in rows}
        if not isinstance(field, CharField | TextField | IntegerField) or hasattr(field, "from_db_value"):
            return None
        products = self.queryset().prefetch_related(None).order_by()
        held = products.filter(**{f"{name}__in": _cleaned(field, values)}).values_list(name, flat=True)
        return {str(value): str(value) for value in held.distinct()}

    def families(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        if not self.parent_field:
            return {}
        products = self._model._default_manager.filter(**{f"{self.id_field}__in": self.native_ids(item_ids)})
        found = products.order_by().values_list(self.id_field, self.parent_field)
        of = self._family_prefix
        return {item_id: f"{of}{parent}" for item_id, parent in found if parent not in (None, "")}

    def variants(self, families: Collection[str]) -> Mapping[Any, Iterable[Any]]:
        """In the order of `available`; those with the most in stock first where there is a stock_field."""
        if not self.parent_field:
            return {}
        of = self._family_prefix
        parents = [each.removeprefix(of) for each in families if each.startswith(of)]
        values = _cleaned(self._field(self.parent_field), parents)
        asked = self._available(self.queryset()).filter(**{f"{self.parent_field}__in": values})
        if self.stock_field and self._field(self.stock_field) is not None:
            asked = asked.order_by(F(self.stock_field).desc(nulls_last=True), "pk")
        found: dict[str, list[Any]] = {}
        for item_id, parent in asked.values_list(self.id_field, self.parent_field):
            found.setdefault(f"{of}{parent}", []).append(item_id)
        return found

    def related(self, item_id: str, limit: int) -> Iterable[Any]:
        ids = self.native_ids([item_id])
        if not (self.category_field and ids):
            return []
        products = self._model._default_manager
        here = products.filter(**{self.id_field: ids[0]}).values(self.category_field)
        beside = self._available(self.queryset()).filter(**{f"{self.category_field}__in": here})
        if _has_many(self._category):
            beside = beside.distinct()
        return self._ids(beside.exclude(**{self.id_field: ids[0]})[:limit])

    def in_category(self, categories: Collection[str], limit: int) -> Iterable[Any]:
        if not self.category_field or (field := self._category) is None:
            return []
        within = {f"{self.category_field}__in": _cleaned(field, categories)}
        found = self._newest_first(self._available(self._model._default_manager.all()).filter(**within))
        return (found.distinct() if _has_many(field) else found).values_list(self.id_field, flat=True)[:limit]

    def describe_categories(
        self, categories: Collection[str], request: HttpRequest | None = None
    ) -> Mapping[Any, Mapping[str, Any]]:
        """Rows of the model that category_field points to, if it has get_absolute_url; none of plain text."""
        field = self._category
        model: Any = getattr(field, "related_model", None)
        if not hasattr(model, "get_absolute_url"):
            return {}
        key = field.target_field  # type: ignore[union-attr]  # of a relation
        rows = model._default_manager.filter(**{f"{key.name}__in": _cleaned(field, categories)})
        described = {}
        for row in rows.order_by():
            with isolated("describe a category", savepoints=False):
                described[getattr(row, key.attname)] = {"title": str(row), "url": row.get_absolute_url()}
        return described

    def main_categories(self, limit: int) -> Iterable[str]:
        """Those with the most products that may be shown; none where category_field is a property."""
        if not self.category_field or self._category is None:
            return []
        name = self.category_field
        products = self._available(self._model._default_manager.all()).exclude(**{name: None})
        counted = products.order_by().values(name).annotate(sessrec_products=Count("pk"))
        largest = counted.order_by("-sessrec_products", name).values_list(name, flat=True)
        return [str(category) for category in largest[:limit]]

    def newest(self, limit: int) -> Iterable[Any]:
        """By created_field."""
        newest = self._newest_first(self._available(self._model._default_manager.all()))
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
        return _cleaned(self._id_field, item_ids)

    def _available(self, products: QuerySet[Any]) -> QuerySet[Any]:
        narrowed: QuerySet[Any] | None = self.available(products)
        if narrowed is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__}.available() returns None: let it return the queryset that it narrows."
            )
        return narrowed

    def _among(self, products: QuerySet[Any], item_ids: Collection[str]) -> QuerySet[Any]:
        """The products with these ids, in no order where none is needed to tell which they are."""
        ids = self.native_ids(item_ids)
        if products.ordered and not products.query.distinct_fields:
            products = products.order_by()
        on_postgres = ids and connections[products.db].vendor == "postgresql"
        if on_postgres and _whole_numbers(self._id_field) is not None:
            return products.filter(**{f"{self.id_field}__{Among.lookup_name}": ",".join(map(str, ids))})
        return products.filter(**{f"{self.id_field}__in": ids})

    def _newest_first(self, products: QuerySet[Any]) -> QuerySet[Any]:
        if self.created_field == "pk":
            return products.order_by("-pk")
        return products.order_by(F(self.created_field).desc(nulls_last=True), "-pk")

    @cached_property
    def _id_field(self) -> Field[Any, Any]:
        name = self._model._meta.pk.name if self.id_field == "pk" else self.id_field
        field = self._model._meta.get_field(name)
        if not isinstance(field, Field):
            raise ImproperlyConfigured(f"{type(self).__name__}.id_field = {self.id_field!r} is a relation.")
        return field

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

    @cached_property
    def _family_prefix(self) -> str:
        """What a family's id begins with, so that key 10 of a table of families is not product 10."""
        related = getattr(self._field(self.parent_field or ""), "related_model", None)
        return "" if related is None or issubclass(self._model, related) else f"{self.parent_field}:"

    @cached_property
    def _brand(self) -> Field[Any, Any] | ForeignObjectRel | None:
        return self._field(self.brand_field or "")

    def _ids(self, items: Iterable[Any]) -> list[Any]:
        return [self.item_id(item) for item in items]


@Field.register_lookup
class Among(Lookup):
    """`number__sessrec_among="1,2"`: rows whose whole number is one of these, on PostgreSQL.

    IN takes each number through ten functions of the ORM, which is a fifth of a list's query.
    """

    lookup_name = "sessrec_among"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        of_column = self.lhs.output_field.rel_db_type(connection)  # compared across types, each takes longer
        return f"{column} = ANY(%s::{of_column}[])", (*values, f"{{{self.rhs}}}")


def _cleaned(field: Any, texts: Collection[str]) -> list[Any]:
    """The texts as the field's own type; those that can't be one are left out."""
    target = getattr(field, "target_field", field)  # of a ForeignKey: the other model's key
    if (numbers := _whole_numbers(target)) is not None:
        with suppress(ValueError):
            return [number for number in map(int, texts) if number in numbers]
    native = []
    for text in texts:
        try:
            text.encode()  # half a character is no text
            value = target.to_python(text)
            target.run_validators(value)
        except (ValidationError, ValueError, TypeError):
            continue
        if "\0" not in text:  # which Postgres refuses with the whole query
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


def _has_many(field: Field[Any, Any] | ForeignObjectRel | None) -> bool:
    return bool(field and (field.many_to_many or field.one_to_many))


def _keys(item: Any, name: str, field: Field[Any, Any] | ForeignObjectRel | None) -> str | set[str] | None:
    """Values of a field of the item as text, one or several; of a relation the keys of its rows."""
    if _has_many(field):
        return {str(each.pk) for each in getattr(item, name).all()}
    value = getattr(item, getattr(field, "attname", name))
    if isinstance(value, list | tuple | set | frozenset):  # of an array's field, or a property
        return set(map(str, value))
    return None if value is None else str(value)


def _named(field: Field[Any, Any] | ForeignObjectRel, text: str, limit: int) -> list[tuple[str, str]]:
    """Keys and names of the rows that a relation points to, of those in which a text field contains the text.

    First the row with exactly this key, then those that are called exactly so. The name is str(row), which
    may come from any text field; a text that stands in another field only does not count.
    """
    rows: QuerySet[Any] = field.related_model._default_manager.all()  # type: ignore[union-attr]
    key: Any = field.target_field  # type: ignore[union-attr]  # of every relation
    fields = rows.model._meta.concrete_fields
    texts = [each.name for each in fields if isinstance(each, CharField | TextField)]
    asked = [Q()]
    if text:
        asked = [Q(**{f"{key.name}__in": _cleaned(key, [text])})]
        for lookup in ("iexact", "icontains") if texts else ():
            asked.append(reduce(or_, (Q(**{f"{each}__{lookup}": text}) for each in texts)))
    found: dict[str, str] = {}
    for condition in asked:
        for row in rows.filter(condition).order_by(*texts[:1])[:NAMES_READ]:
            value, name = str(getattr(row, key.attname)), str(row)
            if condition is asked[0] or any(text.casefold() in each.casefold() for each in (value, name)):
                found.setdefault(value, name)
            if len(found) == limit:
                return [*found.items()]
    return [*found.items()]


def _url_of(image: Any) -> Any:
    """The URL of an image field's file, None without a file; any other value as it is."""
    try:
        return image.url
    except AttributeError:
        return image
    except ValueError:  # a FieldFile without a file
        return None
