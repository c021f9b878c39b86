"""What every page of the shop shows: the departments, the basket's count, and whether to ask for consent."""

from typing import Any

from django.http import HttpRequest

from example_shop.shop.basket import Basket
from example_shop.shop.consent import answer
from example_shop.shop.models import Category


def shop(request: HttpRequest) -> dict[str, Any]:
    return {
        "departments": Category.objects.filter(parent=None),
        "basket_count": len(Basket.of(request)),
        "consent_answer": answer(request),
    }
