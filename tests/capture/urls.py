"""A shop of a few lines: what a middleware sees of product pages, others, forms and failures."""

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path

from django_sessrec.models import Heartbeat


def product(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(f"product {pk}")


async def async_product(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(f"product {pk}")


def gone(request: HttpRequest, pk: str) -> HttpResponse:
    raise Http404


def broken(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse("sorry", status=500)


def about(request: HttpRequest) -> HttpResponse:
    return HttpResponse("about us")


def account(request: HttpRequest, pk: str) -> HttpResponse:
    """A product page that greets its visitor, and so knows whether she is staff."""
    return HttpResponse(f"hello {request.user}")


def basket(request: HttpRequest) -> HttpResponse:
    request.sessrec.record(
        "add_to_cart", request.POST["item"], quantity=int(request.POST.get("quantity", 1)), price="9.90"
    )
    return HttpResponseRedirect("/about/")


def order(request: HttpRequest) -> HttpResponse:
    """Buy two items in one transaction, which fails with the payment. Heartbeats stand for orders."""
    try:
        with transaction.atomic():
            Heartbeat.objects.update_or_create(name="order")
            request.sessrec.record("purchase", "7", quantity=2, price=5, currency="EUR")
            request.sessrec.record("purchase", "8", price=3, currency="EUR")
            charge(request.POST.get("card", ""))
    except PermissionError:
        return HttpResponse("try again", status=409)
    return HttpResponse("thank you")


def charge(card: str) -> None:
    if card == "refused":
        raise PermissionError("the bank says no")


def decline(request: HttpRequest) -> HttpResponse:
    request.sessrec.record("add_to_cart", "5")
    request.sessrec.withdraw()
    request.sessrec.record("add_to_cart", "6")
    return HttpResponse("as you like")


urlpatterns = [
    path("product/<str:pk>/", product, name="product"),
    path("async/<str:pk>/", async_product, name="async_product"),
    path("gone/<str:pk>/", gone, name="gone"),
    path("broken/<str:pk>/", broken, name="broken"),
    path("account/<str:pk>/", account, name="account"),
    path("about/", about, name="about"),
    path("basket/", basket, name="basket"),
    path("order/", order, name="order"),
    path("decline/", decline, name="decline"),
]
