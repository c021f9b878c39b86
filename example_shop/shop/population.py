"""The visitors of the shop as it stands in the database."""

from example_shop.shop.assortment import departments
from example_shop.shop.models import Product
from example_shop.shop.visitors import Goods, ShopVisitors


def visitors_of(products: list[Product]) -> ShopVisitors:
    """People who shop among these products; the truth about them is the same in every simulation."""
    if not products:
        raise ValueError("the shop is empty: fill it with `manage.py fill_shop`")
    goods = [Goods(str(p.pk), p.category_id, p.collection, p.colour, float(p.price)) for p in products]
    return ShopVisitors(goods, {kind.slug: kind.goes_with for d in departments() for kind in d.kinds})
