"""The shop's pages."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from example_shop.shop.basket import MOST_PER_PRODUCT, MOST_PRODUCTS, Basket
from example_shop.shop.checkout import OutOfStockError, TotalChangedError, place_order
from example_shop.shop.consent import remember
from example_shop.shop.forms import BrowseForm, CheckoutForm, QuantityForm
from example_shop.shop.models import Category, Order, Product, ProductQuerySet
from example_shop.shop.pictures import draw
from example_shop.shop.recommendations import record
from example_shop.shop.security import same_origin_post

PRODUCTS_PER_PAGE = 24
A_DAY = 24 * 3600
ON_THE_FRONT_PAGE = ["teapots", "armchairs", "tents", "table-lamps", "bears"]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    one_of_each = Product.objects.in_stock().order_by("category_id", "-pk").distinct("category_id")
    hero = one_of_each.filter(category__in=ON_THE_FRONT_PAGE)
    new_in = one_of_each.exclude(category__in=ON_THE_FRONT_PAGE)[:10]
    return render(request, "shop/home.html", {"hero": hero, "new_in": new_in})


@require_safe
def category(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(Category.objects.select_related("parent"), slug=slug)
    department = shown.parent or shown
    kinds = department.children.all()
    slugs = [department.slug, *(kind.slug for kind in kinds)]  # what the page's list is made from
    page = _browse(request, Product.objects.under(shown))
    return render(
        request,
        "shop/category.html",
        {"category": shown, "department": department, "kinds": kinds, "slugs": slugs, **page},
    )


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/search.html", _browse(request, Product.objects.all()))


def _browse(request: HttpRequest, products: ProductQuerySet) -> dict[str, Any]:
    form = BrowseForm(request.GET, label_suffix="")
    page = Paginator(form.narrow(products), PRODUCTS_PER_PAGE).get_page(request.GET.get("page"))
    return {"form": form, "page": page, "words": form.cleaned_data.get("q", "")}


@require_safe
def product_detail(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    product = get_object_or_404(Product.objects.select_related("category__parent"), pk=pk)
    if slug != product.slug:
        return redirect(product, permanent=True)
    others = Product.objects.filter(category=product.category, collection=product.collection).exclude(pk=pk)
    return render(request, "shop/product.html", {"product": product, "collection": others[:5]})


@require_safe
@cache_control(public=True, max_age=30 * A_DAY, immutable=True)
def picture(_request: HttpRequest, kind: str, colour: str, variation: int) -> HttpResponse:
    try:
        svg = draw(kind, colour, variation)
    except LookupError as unknown:
        raise Http404(str(unknown)) from unknown
    return HttpResponse(svg, content_type="image/svg+xml")


@require_safe
def basket(request: HttpRequest) -> HttpResponse:
    lines = Basket.of(request).lines()
    context = {
        "lines": lines,
        "short": [line.product.name for line in lines if line.short_of_stock],
        "in_basket": [line.product for line in lines],
        "total": sum(line.total for line in lines),
    }
    return render(request, "shop/basket.html", context)


@same_origin_post
def add_to_basket(request: HttpRequest, pk: int) -> HttpResponse:
    product = get_object_or_404(Product, pk=pk)
    return _hold(request, product, Basket.of(request).quantity(product) + 1)


@same_origin_post
def change_basket(request: HttpRequest, pk: int) -> HttpResponse:
    product = get_object_or_404(Product, pk=pk)
    form = QuantityForm(request.POST)  # "Remove" sends a second quantity, 0: the last one counts
    if not form.is_valid():
        limits = {"most": MOST_PER_PRODUCT}
        messages.warning(request, _("The quantity has to be a whole number from 0 to %(most)d.") % limits)
        return redirect("shop:basket")
    return _hold(request, product, form.cleaned_data["quantity"])


def _hold(request: HttpRequest, product: Product, quantity: int) -> HttpResponse:
    """Have this many of the product in the basket, as far as there is stock, and show the basket."""
    basket = Basket.of(request)
    grown = basket.put(product, quantity)
    if grown:
        record(request, "add_to_cart" if grown > 0 else "remove_from_cart", product, abs(grown))
    if basket.quantity(product) < quantity:
        messages.warning(request, _why_fewer(product, basket.quantity(product)))
    response = redirect("shop:basket")
    basket.save(request, response)
    return response


def _why_fewer(product: Product, held: int) -> str:
    """Say why the basket holds only so many of the product."""
    facts = {"name": product.name, "held": held, "most": MOST_PRODUCTS}
    if not product.stock:
        return _("“%(name)s” is sold out.") % facts
    if not held:
        return _("“%(name)s” is not in your basket, which holds at most %(most)d products.") % facts
    if held == product.stock:
        words = ngettext(
            "Only %(held)d of “%(name)s” is left: it is in your basket.",
            "Only %(held)d of “%(name)s” are left: your basket has all of them.",
            held,
        )
        return words % facts
    return _("An order has at most %(held)d of “%(name)s”.") % facts


@require_safe
def checkout(request: HttpRequest) -> HttpResponse:
    lines = Basket.of(request).lines()
    if not lines:
        return redirect("shop:basket")
    total = sum(line.total for line in lines)
    form = CheckoutForm(initial={"number": uuid4(), "total": total})
    return render(request, "shop/checkout.html", {"lines": lines, "total": total, "form": form})


@same_origin_post
def place(request: HttpRequest) -> HttpResponse:
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        return redirect("shop:checkout")
    try:
        order = place_order(request, Basket.of(request), **form.cleaned_data)
    except OutOfStockError:
        return redirect("shop:basket")  # which says what is short
    except TotalChangedError:
        messages.warning(request, _("The total has changed. Please look at it before you order."))
        return redirect("shop:checkout")
    response = redirect(order)
    Basket({}).save(request, response)
    return response


@require_safe
def thanks(request: HttpRequest, number: str) -> HttpResponse:
    order = get_object_or_404(Order.objects.prefetch_related("lines__product"), number=number)
    return render(request, "shop/thanks.html", {"order": order})


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/privacy.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001, named by Django
    return render(request, "shop/404.html", status=HTTPStatus.NOT_FOUND)


@same_origin_post
def set_consent(request: HttpRequest) -> HttpResponse:
    accepted = request.POST.get("answer") == "session"
    if not accepted:
        request.sessrec.withdraw()
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = "/"
    response = redirect(back)
    remember(request, response, "session" if accepted else "none")
    return response
