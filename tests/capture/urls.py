"""A shop of a few lines: what a middleware sees of tracked pages, others, forms and failures."""

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path


def product(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(f"product {pk}")


urlpatterns = [path("product/<str:pk>/", product, name="product")]
