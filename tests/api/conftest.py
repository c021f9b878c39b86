"""Visitors' browsers and their events."""

import pytest
from django.core.cache import cache
from django.test import Client

from django_sessrec.serving import active_models, popular
from tests.demo.models import Product
from tests.support.api import BROWSER


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
