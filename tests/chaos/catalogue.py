"""The shop's catalogue, which fails as long as a file says so."""

from example_shop.shop import recommendations
from example_shop.state import STATE

FAILS = "catalogue-fails"  # the file's name, in the shop's folder


class ProductCatalogue(recommendations.ProductCatalogue):
    def resolve(self, item_ids, request=None):
        if (STATE / FAILS).exists():
            raise ArithmeticError("the shop's own mistake")
        return super().resolve(item_ids, request)
