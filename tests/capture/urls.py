"""A shop of a few lines: what a middleware sees of product pages, others, forms and failures."""

from collections.abc import Iterator

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import include, path

from django_sessrec.capture.session_events import session_events
from django_sessrec.models import Heartbeat
from django_sessrec.recommendations import get_recommendations
from django_sessrec.safety import isolated


def product(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(f"product {pk}")


async def async_product(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(f"product {pk}")


async def async_basket(request: HttpRequest) -> HttpResponse:
    await request.sessrec.aview("1")
    await request.sessrec.arecord("add_to_cart", "2", quantity=3)
    return HttpResponse("added")


def remembered(request: HttpRequest, pk: str) -> HttpResponse:
    """A page that reads what the session did, as one with recommendations does."""
    with isolated("read the session's events"):
        session_events(request.sessrec.session_id)
    return HttpResponse(f"product {pk}")


def listed(request: HttpRequest, pk: str) -> HttpResponse:
    """A page with recommendations, which asks for models, rules, experiments and what is popular."""
    return HttpResponse(
        f"product {pk}, {len(get_recommendations(request, 'product_page', item=pk).items)} more"
    )


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


def checkout(request: HttpRequest) -> HttpResponse:
    """Keep the session with an order that a webhook confirms later; here the cookie stands for the order."""
    response = HttpResponse("pay here")
    response.set_cookie("order", request.sessrec.session_id or "")
    return response


async def async_checkout(request: HttpRequest) -> HttpResponse:
    """The same on the event loop, asked in either way."""
    sessrec = request.sessrec
    awaited = request.GET.get("how") == "awaited"
    response = HttpResponse("pay here")
    response.set_cookie("order", (await sessrec.asession_id() if awaited else sessrec.session_id) or "")
    return response


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


class Tea:
    """An object of the shop's."""

    pk = "tea"


def named(request: HttpRequest, pk: str) -> HttpResponse:
    """A page that names the item it shows."""
    item = Tea() if "object" in request.GET else None if "nothing" in request.GET else pk
    request.sessrec.view(item)
    if again := request.GET.get("again"):
        request.sessrec.view(again)
    return HttpResponse(f"product {pk}", status=int(request.GET.get("status", 200)))


def recorded(request: HttpRequest, pk: str) -> HttpResponse:
    """A page that records its view itself."""
    request.sessrec.record("view_item", pk)
    return HttpResponse(f"product {pk}")


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    """A page whose body is made after the response."""

    def body() -> Iterator[str]:
        yield "one"
        request.sessrec.record(request.GET.get("name", "add_to_cart"), request.GET.get("item", "5"))
        yield "two"

    return StreamingHttpResponse(body())


urlpatterns = [
    path("product/<str:pk>/", product, name="product"),
    path("async/<str:pk>/", async_product, name="async_product"),
    path("async-basket/", async_basket, name="async_basket"),
    path("remembered/<str:pk>/", remembered, name="remembered"),
    path("listed/<str:pk>/", listed, name="listed"),
    path("gone/<str:pk>/", gone, name="gone"),
    path("broken/<str:pk>/", broken, name="broken"),
    path("account/<str:pk>/", account, name="account"),
    path("about/", about, name="about"),
    path("basket/", basket, name="basket"),
    path("checkout/", checkout, name="checkout"),
    path("async-checkout/", async_checkout, name="async_checkout"),
    path("order/", order, name="order"),
    path("named/<str:pk>/", named, name="named"),
    path("recorded/<str:pk>/", recorded, name="recorded"),
    path("streamed/", streamed, name="streamed"),
    path("decline/", decline, name="decline"),
    path("sessrec/", include("django_sessrec.urls")),
]
