"""A shop's pages, each as a sync and as an async view: all that a page asks of django_sessrec."""

from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from django.views.decorators.cache import cache_control

from tests.demo.models import Product

LISTS = """
<!-- slot -->{% sessrec_recommendations "product_page" item=product %}<!-- /slot -->
<!-- slot -->{% sessrec_recommendations "rows" item=product %}<!-- /slot -->
<!-- slot -->{% sessrec_why "product_page" %}<!-- /slot -->
<!-- slot -->{% sessrec_list "product_page" item=product limit=3 as recs %}
{% for rec in recs.items %}{{ rec.url }}{% endfor %}<!-- /slot -->
"""
MORE_LISTS = """
<!-- slot -->{% sessrec_recommendations "basket" %}<!-- /slot -->
<!-- slot -->{% sessrec_recommendations "seen" %}<!-- /slot -->
<!-- slot -->{% sessrec_recommendations "everywhere" category="kind 1" query="tea 9" %}<!-- /slot -->
<!-- slot -->{% sessrec_categories "rows" item=product exclude="kind 1" %}<!-- /slot -->
"""
PLACEHOLDER = """
<!-- slot -->{% sessrec_placeholder "product_page" item=product %}<!-- /slot -->
<!-- slot -->{% sessrec_categories_placeholder "rows" item=product %}<!-- /slot -->
"""
FRAME = """{% load sessrec %}
<!-- slot -->{% sessrec_styles %}{% sessrec_scripts %}<!-- /slot -->
<h1>{{ product.name }}</h1>
{% if request.sessrec.switched_off %}as you like{% endif %}
<!-- slot -->{% sessrec_toggle %}<!-- /slot -->
"""


def page(request: HttpRequest, template: str, pk: int | None = None) -> HttpResponse:
    context = {"product": Product.objects.get(pk=pk)} if pk else {}
    return HttpResponse(engines["django"].from_string(template).render(context, request))


def product(request: HttpRequest, pk: int) -> HttpResponse:
    return page(request, FRAME + LISTS, pk)


def shelf(request: HttpRequest, pk: int) -> HttpResponse:
    return page(request, FRAME + MORE_LISTS, pk)


@cache_control(public=True)
def cached(request: HttpRequest, pk: int) -> HttpResponse:
    return page(request, FRAME + PLACEHOLDER, pk)


def about(request: HttpRequest) -> HttpResponse:
    return page(request, FRAME)


def basket(request: HttpRequest, pk: int) -> HttpResponse:
    request.sessrec.record("add_to_cart", pk, price="9.90", currency="EUR")
    request.sessrec.record("add_to_cart", pk, quantity="many")  # refused, and kept with the reason
    return HttpResponse("in the basket")


def order(request: HttpRequest, pk: int) -> HttpResponse:
    with transaction.atomic():
        bought = Product.objects.select_for_update().get(pk=pk)
        bought.visit = request.sessrec.session_id
        bought.save()
        request.sessrec.record("purchase", pk, price=bought.price, currency="EUR")
    return HttpResponse(f"order of {bought.name}")


def decline(request: HttpRequest) -> HttpResponse:
    request.sessrec.withdraw()
    return HttpResponse("as you like")


def _addresses(prefix: str, kind: Callable) -> list:
    return [
        path(f"{prefix}/product/<int:pk>/", kind(product), name=f"{prefix}_product"),
        path(f"{prefix}/shelf/<int:pk>/", kind(shelf), name=f"{prefix}_shelf"),
        path(f"{prefix}/cached/<int:pk>/", kind(cached), name=f"{prefix}_cached"),
        path(f"{prefix}/basket/<int:pk>/", kind(basket)),
        path(f"{prefix}/order/<int:pk>/", kind(order)),
        path(f"{prefix}/about/", kind(about)),
        path(f"{prefix}/decline/", kind(decline)),
    ]


urlpatterns = [
    *_addresses("sync", lambda view: view),
    *_addresses("async", sync_to_async),
    path("demo/", include("tests.demo.urls")),
    path("sessrec/", include("django_sessrec.urls")),
]
