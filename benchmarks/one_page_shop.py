"""The least shop that capture can be weighed on: Django's usual middleware, a query and a template a page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from django_sessrec.catalogue import Catalogue

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
CAPTURE = "django_sessrec.middleware.SessrecMiddleware"
PAGE = "<!doctype html><title>{{ name }}</title>{% for word in words %}<p>{{ word }}</p>{% endfor %}"


class NothingSensitive(Catalogue):
    """A catalogue for pages without recommendations."""

    def resolve(self, item_ids: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        return {}


def consent(request: HttpRequest) -> str:
    return "session" if request.COOKIES.get("consent") == "yes" else "none"


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """A product page: one row by its key, one template."""
    from django.contrib.auth.models import Group

    product = Group.objects.get(pk=pk)
    return HttpResponse(_rendered(product.name, request))


async def async_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The same on the event loop."""
    from django.contrib.auth.models import Group

    product = await Group.objects.aget(pk=pk)
    return HttpResponse(_rendered(product.name, request))


def _rendered(name: str, request: HttpRequest) -> str:
    return engines["django"].from_string(PAGE).render({"name": name, "words": name.split()}, request)


urlpatterns = [
    path("product/<int:pk>/", page, name="product"),
    path("async/<int:pk>/", async_page, name="async_product"),
    path("about/<int:pk>/", page, name="about"),
    path("async-about/<int:pk>/", async_page, name="async_about"),
]


def settings(database: dict[str, Any]) -> dict[str, Any]:
    """What django.conf.settings.configure() takes."""
    return {
        "DATABASES": {"default": database},
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django_sessrec",
        ],
        "MIDDLEWARE": MIDDLEWARE,
        "ROOT_URLCONF": __name__,
        "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        "SECRET_KEY": "only for benchmarks",
        "ALLOWED_HOSTS": ["shop.example.com"],
        "USE_TZ": True,
        "SESSREC": {
            "CATALOGUE": f"{__name__}.NothingSensitive",
            "CONSENT": f"{__name__}.consent",
            "CONSENT_BLOCKS": False,  # it looks at a cookie
            "TRACKED_VIEWS": {"product": "pk", "async_product": "pk"},
        },
    }
