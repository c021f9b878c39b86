"""The test shop's pages."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control

from tests.demo.models import Product


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/home.html")


def product(request: HttpRequest, pk: int) -> HttpResponse:
    """A product page with the tag."""
    return _page(request, pk, "demo/product.html")


def plain(request: HttpRequest, pk: int) -> HttpResponse:
    """The same page without the tag: what the tag is weighed against."""
    return _page(request, pk, "demo/page.html")


def scripted(request: HttpRequest, pk: int) -> HttpResponse:
    """The page with the tag and the script."""
    return _page(request, pk, "demo/scripted.html")


@cache_control(public=True, max_age=60)
def cached(request: HttpRequest, pk: int) -> HttpResponse:
    """The same page with a placeholder, so that a shared cache may keep it."""
    return _page(request, pk, "demo/cached.html")


def _page(request: HttpRequest, pk: int, template: str) -> HttpResponse:
    return render(request, template, {"product": get_object_or_404(Product, pk=pk)})
