"""What a visitor means to buy, kept in one signed cookie of her own: no row, no session."""

import json
from dataclasses import dataclass
from decimal import Decimal

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse

from example_shop.shop.models import Product

COOKIE = "basket"
MOST_PER_PRODUCT = 20
MOST_PRODUCTS = 50  # a cookie holds 4 KB


@dataclass(frozen=True)
class Line:
    product: Product
    quantity: int

    @property
    def total(self) -> Decimal:
        return self.quantity * self.product.price

    @property
    def short_of_stock(self) -> bool:
        return self.quantity > self.product.stock


class Basket:
    """Quantities by product; read from the request, saved on the response."""

    def __init__(self, quantities: dict[int, int]) -> None:
        self._quantities = quantities

    @classmethod
    def of(cls, request: HttpRequest) -> "Basket":
        try:
            pairs = json.loads(request.get_signed_cookie(COOKIE, default="[]"))
        except BadSignature:
            pairs = []
        return cls(dict(pairs))

    def save(self, request: HttpRequest, response: HttpResponse) -> None:
        pairs = json.dumps(list(self._quantities.items()), separators=(",", ":"))
        response.set_signed_cookie(
            COOKIE,
            pairs,
            max_age=14 * 24 * 3600,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )

    def __len__(self) -> int:
        return sum(self._quantities.values())

    @property
    def products(self) -> list[int]:
        """Keys of the products, in the order in which they came."""
        return list(self._quantities)

    def quantity(self, product: Product) -> int:
        return self._quantities.get(product.pk, 0)

    def put(self, product: Product, quantity: int) -> int:
        """Hold this many of a product, none at all for 0; tells by how many the basket grew."""
        before = self.quantity(product)
        wanted = min(quantity, product.stock, MOST_PER_PRODUCT)
        if wanted <= 0:
            self._quantities.pop(product.pk, None)
        elif before or len(self._quantities) < MOST_PRODUCTS:
            self._quantities[product.pk] = wanted
        return self.quantity(product) - before

    def lines(self, *, lock: bool = False) -> list[Line]:
        """One query; a product that left the catalogue leaves the basket.

        lock: nobody else changes these products until the transaction ends
        """
        products = Product.objects.select_for_update().order_by("pk") if lock else Product.objects.all()
        found = products.in_bulk(self._quantities)  # one order of locks: no deadlock
        return [Line(found[pk], quantity) for pk, quantity in self._quantities.items() if pk in found]
