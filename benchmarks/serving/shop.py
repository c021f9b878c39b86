"""The shop that serving is weighed on: a product page with and without the tag, and what else it might do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from django_sessrec.catalogue import ModelCatalogue

SHELF = 100  # products of one category


class GroupCatalogue(ModelCatalogue):
    """Django's groups stand in for products: a table with a name, and no model of our own to migrate."""

    model = "auth.Group"
    title_field = "name"

    def url(self, item: Any) -> str:
        return f"/tagged/{item.pk}/"


def product_page(request: HttpRequest, pk: int, template: str) -> HttpResponse:
    """One row by its key, one template."""
    from django.contrib.auth.models import Group

    return render(request, template, {"product": Group.objects.get(pk=pk)})


def by_hand(request: HttpRequest, pk: int) -> HttpResponse:
    """What a developer of the shop would write in the tag's place: eight products of the same shelf.

    One query by the primary key's index and a plain loop of cards, without reasons.
    """
    from django.contrib.auth.models import Group

    shelf = pk - pk % SHELF
    alike = Group.objects.filter(pk__gte=shelf, pk__lt=shelf + SHELF).exclude(pk=pk)[:8]
    return render(request, "by_hand", {"product": Group.objects.get(pk=pk), "alike": alike})


def floor(request: HttpRequest, pk: int) -> HttpResponse:
    """The page without the tag, and three trivial round trips: a list's reading, looking up and writing."""
    with connection.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT 1")
            cursor.fetchall()
    return product_page(request, pk, "plain")


async def async_product_page(request: HttpRequest, pk: int) -> HttpResponse:
    """product_page() on the event loop."""
    from django.contrib.auth.models import Group

    return render(request, "plain", {"product": await Group.objects.aget(pk=pk)})


async def async_tagged_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The same with a list, which an async view awaits and hands to its template."""
    from django.contrib.auth.models import Group

    from django_sessrec.recommendations import aget_recommendations
    from django_sessrec.recommendations import render as rendered

    product = await Group.objects.aget(pk=pk)
    found = await aget_recommendations(request, "product_page", item=product, limit=8)
    return render(request, "with_list", {"product": product, "list": rendered(found, request)})


urlpatterns = [
    path("plain/<int:pk>/", product_page, {"template": "plain"}, name="plain"),
    path("tagged/<int:pk>/", product_page, {"template": "tagged"}, name="tagged"),
    path("by_hand/<int:pk>/", by_hand, name="by_hand"),
    path("floor/<int:pk>/", floor, name="floor"),
    path("async_plain/<int:pk>/", async_product_page, name="async_plain"),
    path("async_tagged/<int:pk>/", async_tagged_page, name="async_tagged"),
]
if settings.WITH_APP:
    urlpatterns.append(path("sessrec/", include("django_sessrec.urls")))
