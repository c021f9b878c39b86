"""The shop that serving is weighed on: a product page with and without the tag."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from django_sessrec.catalogue import ModelCatalogue


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


urlpatterns = [
    path("plain/<int:pk>/", product_page, {"template": "plain"}, name="plain"),
    path("tagged/<int:pk>/", product_page, {"template": "tagged"}, name="tagged"),
]
if settings.WITH_APP:
    urlpatterns.append(path("sessrec/", include("django_sessrec.urls")))
