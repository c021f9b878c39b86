"""Visitors' browsers and their events."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.cache import cache
from django.test import Client

from django_sessrec.ids import uuid7
from django_sessrec.serving import active_models, popular
from tests.demo.models import Product
from tests.visits import visit_in

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Sec-Fetch-Site": "same-origin",
}


@pytest.fixture(autouse=True)
def fresh_process():
    """What a web process remembers must not reach the next test."""
    cache.clear()
    active_models.forget()
    popular.forget()


@pytest.fixture
def stranger() -> Client:
    """A browser whose visitor has not consented."""
    return Client(headers=BROWSER)


@pytest.fixture
def visitor() -> Client:
    """A browser whose visitor has consented."""
    client = Client(headers=BROWSER)
    client.cookies["consent"] = "yes"
    return client


@pytest.fixture
def products(db) -> list[Product]:
    return Product.objects.bulk_create(Product(name=f"tea {number}") for number in range(20))


def an_event(name: str = "view_item", item_id: Any = "1", **fields: Any) -> dict[str, Any]:
    item = {key: fields.pop(key) for key in ("price", "quantity", "index") if key in fields}
    return {"event_id": str(uuid7()), "event": name, "items": [{"item_id": item_id, **item}], **fields}


def send(client: Client, *events: Any, **headers: str):
    return client.post(
        "/sessrec/events/", {"events": list(events)}, content_type="application/json", headers=headers
    )


def session_of(client: Client) -> UUID:
    return visit_in(client.cookies["sessrec"].value)


def unlike_any() -> str:
    """An id of version 4: no time in it."""
    return str(uuid4())
