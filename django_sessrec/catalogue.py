"""The shop's answer to: which items exist, may be shown, and look how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from django_sessrec.conf import sessrec_settings


class Catalogue(ABC):
    """Subclass this for an unusual shop; ModelCatalogue covers one product model."""

    @abstractmethod
    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> Mapping[str, Any]:
        """Item id -> the object the template gets, in one query; what is left out is not shown."""

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        """JSON-able fields of one resolved item for the default template and the REST view."""
        return {"title": str(item), "url": self.url(item)}

    def item_id(self, item: Any) -> str:
        """The id of one of the shop's objects, as a template hands it to a tag."""
        return str(item.pk)

    def url(self, item: Any) -> str:
        return str(item.get_absolute_url())

    def category(self, item: Any) -> str | None:
        """What MAX_PER_CATEGORY counts."""
        return None

    def related(self, item_id: str, limit: int) -> list[str]:
        """Item ids beside this one in its category, best first: the ladder's category step."""
        return []

    def fallback(self, limit: int) -> list[str]:
        """Item ids to show when nothing else is known: the ladder's last step."""
        return list(sessrec_settings.STATIC_ITEMS)[:limit]

    def search(self, text: str, limit: int) -> list[str]:
        """Item ids of products called like the text: staff finds their events by it in the admin."""
        return []

    def sensitive(self, item_ids: Collection[str]) -> Collection[str]:
        """Those of the ids that are never captured, trained, recommended or named as a reason."""
        return ()


class ModelCatalogue(Catalogue):
    """A catalogue that is one Django model: name the model, narrow `available`, done."""

    model: str  # "shop.Product"
    id_field = "pk"
    category_field: str | None = None
    title_field: str | None = None
    image_field: str | None = None
    price_field: str | None = None

    @cached_property
    def _model(self) -> type[Model]:
        if not getattr(self, "model", None):
            raise ImproperlyConfigured(f'{type(self).__name__}.model is missing; set it to "app_label.Model"')
        return apps.get_model(self.model)

    def queryset(self) -> QuerySet[Any]:
        """Every product, with what the template needs joined in."""
        return self._model._default_manager.all()

    def available(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to what may be shown now: in stock, published."""
        return queryset

    def item_id(self, item: Any) -> str:
        return str(getattr(item, self.id_field))

    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> Mapping[str, Any]:
        items = self.available(self.queryset()).filter(**{f"{self.id_field}__in": self._usable(item_ids)})
        return {self.item_id(item): item for item in items}

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        fields = {"title": self.title_field, "image": self.image_field, "price": self.price_field}
        described = {name: getattr(item, field) for name, field in fields.items() if field}
        if hasattr(described.get("image"), "url"):
            described["image"] = described["image"].url
        return {"title": str(item), "url": self.url(item)} | described

    def category(self, item: Any) -> str | None:
        return str(getattr(item, self.category_field)) if self.category_field else None

    def related(self, item_id: str, limit: int) -> list[str]:
        ids = self._usable([item_id])
        if not (self.category_field and ids):
            return []
        here = self.queryset().filter(**{self.id_field: ids[0]}).values(self.category_field)[:1]
        beside = self.available(self.queryset()).filter(**{f"{self.category_field}__in": here})
        return self._ids(beside.exclude(**{self.id_field: ids[0]})[:limit])

    def fallback(self, limit: int) -> list[str]:
        return super().fallback(limit) or self._ids(self.available(self.queryset()).order_by("-pk")[:limit])

    def search(self, text: str, limit: int) -> list[str]:
        """Those whose title_field holds the text, sold-out ones too."""
        if not self.title_field:
            return []
        return self._ids(self.queryset().filter(**{f"{self.title_field}__icontains": text})[:limit])

    def _ids(self, items: Iterable[Any]) -> list[str]:
        return [self.item_id(item) for item in items]

    def _usable(self, item_ids: Collection[str]) -> list[Any]:
        """The ids as the id field's own type; text that can't be one names no product."""
        field = self._model._meta.pk if self.id_field == "pk" else self._model._meta.get_field(self.id_field)
        usable = []
        for item_id in item_ids:
            try:
                value = field.to_python(item_id)
                field.run_validators(value)
            except (ValidationError, ValueError, TypeError):
                continue
            usable.append(value)
        return usable


def get_catalogue() -> Catalogue:
    """The shop's catalogue, as SESSREC["CATALOGUE"] names it."""
    catalogue = sessrec_settings.imported("CATALOGUE")
    if catalogue is None:
        raise ImproperlyConfigured(
            'SESSREC["CATALOGUE"] is missing; set it to the dotted path of a Catalogue subclass'
        )
    return catalogue()
