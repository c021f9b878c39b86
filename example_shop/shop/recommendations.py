"""What django_sessrec needs to know about this shop: its catalogue and its visitors' consent."""

from collections.abc import Collection
from functools import cache
from typing import Any

from django.db.models import Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest

from django_sessrec.catalogue import ModelCatalogue
from example_shop.shop.assortment import departments
from example_shop.shop.basket import Basket
from example_shop.shop.consent import answer
from example_shop.shop.models import Category, Product, ProductQuerySet


class ProductCatalogue(ModelCatalogue):
    model = "shop.Product"
    title_field = "name"
    image_field = "picture_url"
    price_field = "price"
    category_field = "category_id"
    brand_field = "maker"
    stock_field = "stock"
    parent_field = "family"

    def available(self, queryset: ProductQuerySet) -> ProductQuerySet:
        return queryset.in_stock()

    def fallback(self, limit: int) -> list[int]:
        """The newest of each kind, then the second newest of each: the newest of all are of two kinds."""
        place = Window(RowNumber(), partition_by="category_id", order_by="-pk")
        products = Product.objects.in_stock().order_by(place, "category_id")
        return list(products.values_list("pk", flat=True)[:limit])

    def basket(self, request: HttpRequest) -> list[int]:
        return Basket.of(request).products

    def kind(self, item: Product) -> str:
        return _names_of_kinds()[item.category_id]

    def describe_categories(
        self, categories: Collection[str], request: HttpRequest | None = None
    ) -> dict[str, dict[str, Any]]:
        kinds = Category.objects.filter(slug__in=categories)
        return {
            kind.slug: {"title": kind.name, "url": kind.get_absolute_url(), "image": kind.picture_url}
            for kind in kinds
        }

    def describe(self, item: Product, request: HttpRequest | None = None) -> dict[str, Any]:
        return {**super().describe(item, request), "maker": item.maker}


@cache
def _names_of_kinds() -> dict[str, str]:
    return {kind.slug: kind.name.lower() for department in departments() for kind in department.kinds}


def consent(request: HttpRequest) -> str | None:
    """The visitor's answer to the banner. A click on "Accept" is her own yes, which beats Sec-GPC."""
    given = answer(request)
    return "opt-in" if given == "session" else given


def record(request: HttpRequest, name: str, product: Product, quantity: int) -> None:
    """Tell django_sessrec what happened to a product; inside a transaction it counts when that commits."""
    request.sessrec.record(name, product, quantity=quantity, price=product.price, currency="EUR")
