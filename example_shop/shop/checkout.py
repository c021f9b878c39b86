"""From basket to order: prices fixed, stock taken, in one transaction."""

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from example_shop.shop.basket import Line
from example_shop.shop.models import Order, OrderLine, Product
from example_shop.shop.recommendations import record


class OutOfStockError(Exception):
    """Somebody else was quicker: the basket asks for more than is left."""


def place_order(request: HttpRequest, lines: list[Line]) -> Order:
    """The order of these lines; raises OutOfStockError, and then nothing has changed or been recorded."""
    with transaction.atomic(using="default"):
        order = Order.objects.create()
        for line in sorted(lines, key=lambda line: line.product.pk):  # one order of locks: no deadlock
            taken = Product.objects.filter(pk=line.product.pk, stock__gte=line.quantity).update(
                stock=F("stock") - line.quantity
            )
            if not taken:
                raise OutOfStockError(line.product.name)
            OrderLine.objects.create(
                order=order, product=line.product, quantity=line.quantity, price=line.product.price
            )
            record(request, "purchase", line.product, line.quantity)
    return order
