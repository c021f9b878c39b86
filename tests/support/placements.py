"""What a merchant does to a placement in the admin."""

from django.test import Client
from django.urls import reverse

from django_sessrec.recommendations import get_recommendations
from tests.demo.models import Product

NAME = "product_page"
WHY = {"reason": "Advent begins"}
YES = WHY | {"confirmed": "1"}


def url(view: str, *args) -> str:
    return reverse(f"admin:sessrec_placement_{view}", args=args)


def first(shop) -> Product:
    return get_recommendations(None, NAME, item=shop[8]).items[0].item


def add(client: Client, kind: str, status: int = 302, **given) -> str:
    answer = client.post(url("add", NAME, kind), WHY | given)
    assert answer.status_code == status, answer.content.decode()
    return answer.content.decode()


def confirmed(client: Client, view: str, *args) -> None:
    asked = client.post(url(view, NAME, *args))
    assert "Why?" in asked.content.decode(), "every act asks"
    answer = client.post(url(view, NAME, *args), {"confirmed": "1", "reason": "the season begins"})
    assert answer.status_code == 302
