"""The shop that serving is weighed on: Django's usual middleware, a product page with and without the tag.

Settings, addresses and views in one module, for a web server's workers. From the environment:
DATABASE_URL, SESSREC_ARTIFACTS, and WITHOUT_SESSREC=1 for the same shop without the app.
"""

from __future__ import annotations

import os
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from benchmarks import one_page_shop
from django_sessrec.catalogue import ModelCatalogue
from example_shop.stack.environment import django_database

WITH_APP = not os.environ.get("WITHOUT_SESSREC")

_settings = one_page_shop.settings(django_database(os.environ["DATABASE_URL"]))
DATABASES = _settings["DATABASES"]
INSTALLED_APPS = ["django.contrib.staticfiles", *_settings["INSTALLED_APPS"]]
MIDDLEWARE = [*one_page_shop.MIDDLEWARE]
ROOT_URLCONF = __name__
SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
STATIC_URL = "static/"
USE_TZ = True
LOGGING_CONFIG = None
PAGE = "<!doctype html><title>{{ product.name }}</title><h1>{{ product.name }}</h1>"
TAG = '{% load sessrec %}{% sessrec_recommendations "product_page" item=product limit=8 %}'
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                ("django.template.loaders.locmem.Loader", {"plain.html": PAGE, "tagged.html": PAGE + TAG}),
                "django.template.loaders.app_directories.Loader",
            ],
            "context_processors": ["django.template.context_processors.request"],
        },
    }
]
TEMPLATES[0]["OPTIONS"]["loaders"] = [
    ("django.template.loaders.cached.Loader", TEMPLATES[0]["OPTIONS"]["loaders"])
]
SESSREC: dict[str, Any] = {
    "CATALOGUE": f"{__name__}.GroupCatalogue",
    "CONSENT": "benchmarks.one_page_shop.consent",
    "TRACKED_VIEWS": {"plain": "pk", "tagged": "pk"},
    "ARTIFACTS": os.environ.get("SESSREC_ARTIFACTS"),
    "THROTTLE_RECOMMENDATIONS": "10000000/min",
}
if WITH_APP:
    INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework"]
    MIDDLEWARE = [*MIDDLEWARE, one_page_shop.CAPTURE]
else:
    INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "django_sessrec"]


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
    path("plain/<int:pk>/", product_page, {"template": "plain.html"}, name="plain"),
    path("tagged/<int:pk>/", product_page, {"template": "tagged.html"}, name="tagged"),
]
if WITH_APP:
    urlpatterns.append(path("sessrec/", include("django_sessrec.api.urls")))
