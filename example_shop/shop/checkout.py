"""From basket to order: prices fixed, stock taken, in one transaction."""

from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from example_shop.shop.basket import Basket
from example_shop.shop.models import Order, OrderLine
from example_shop.shop.recommendations import record


class OutOfStockError(Exception):
    """Somebody else was quicker: the basket asks for more than is left."""


class TotalChangedError(Exception):
    """The basket costs another sum than the checkout page showed."""


def place_order(request: HttpRequest, basket: Basket, number: UUID, total: Decimal) -> Order:
    """The order of this number, made from the basket unless it exists: a second click orders nothing.

    total: what the checkout page showed

    Raises OutOfStockError or TotalChangedError, and then nothing has changed or been recorded.
    """
    with transaction.atomic(using="default"):
        order, new = Order.objects.get_or_create(number=number)
        if not new:
            return order
        lines = basket.lines(lock=True)
        for line in lines:
            if line.short_of_stock:
                raise OutOfStockError(line.product.name)
        if not lines or sum(line.total for line in lines) != total:
            raise TotalChangedError(total)
        for line in lines:
            product, quantity = line.product, line.quantity
            product.stock -= quantity
            product.save(update_fields=["stock"])
            OrderLine.objects.create(order=order, product=product, quantity=quantity, price=product.price)
            record(request, "purchase", product, quantity)
    return order
