"""From the product to the order, and what django_sessrec hears of it."""

import html
import re
from decimal import Decimal

import pytest
from django.urls import reverse

from django_sessrec.models import Event
from example_shop.shop.basket import MOST_PRODUCTS
from example_shop.shop.browser import Page
from example_shop.shop.models import Order, Product

pytestmark = pytest.mark.usefixtures("goods")


@pytest.fixture
def product():
    product = Product.objects.in_stock().first()
    Product.objects.filter(pk=product.pk).update(stock=5)
    return Product.objects.get(pk=product.pk)


def add(visitor, product):
    return visitor.post(reverse("shop:add_to_basket", args=[product.pk]))


def change(visitor, product, *quantities):
    return visitor.post(reverse("shop:change_basket", args=[product.pk]), {"quantity": quantities})


def hidden(page):
    """The hidden fields of the page's forms."""
    return Page(page.status_code, page.content.decode()).hidden_fields()


def said(page):
    """The notices on the page."""
    notices = re.findall(r'<p class="notice"[^>]*>(.*?)</p>', page.content.decode(), re.DOTALL)
    return [html.unescape(each) for each in notices]


def buy(visitor):
    """Press the checkout page's button."""
    return visitor.post("/checkout/place/", hidden(visitor.get("/checkout/")), follow=True)


def quantities(visitor):
    return [line.quantity for line in visitor.get("/basket/").context["lines"]]


def test_a_basket_counts_changes_and_empties(visitor, product):
    add(visitor, product)
    add(visitor, product)
    assert quantities(visitor) == [2]
    change(visitor, product, 4)
    assert quantities(visitor) == [4]
    change(visitor, product, 4, 0)  # what the button "Remove" sends
    assert quantities(visitor) == []


@pytest.mark.parametrize(("asked", "held"), [(6, 5), (21, 1), (-1, 1), ("many", 1)])
def test_a_basket_holds_no_more_than_there_is_and_ignores_nonsense(visitor, product, asked, held):
    add(visitor, product)
    change(visitor, product, asked)
    assert quantities(visitor) == [held]


@pytest.mark.parametrize(
    ("stock", "asked", "notice"),
    [
        (5, 4, None),
        (5, 15, "Only 5 of “{name}” are left: your basket has all of them."),
        (1, 2, "Only 1 of “{name}” is left: it is in your basket."),
        (50, 20, None),
        (50, 21, "The quantity has to be a whole number from 0 to 20."),
        (50, "many", "The quantity has to be a whole number from 0 to 20."),
    ],
)
def test_a_basket_says_once_why_it_holds_less(visitor, product, stock, asked, notice):
    Product.objects.filter(pk=product.pk).update(stock=stock)
    add(visitor, product)
    change(visitor, product, asked)
    assert said(visitor.get("/basket/")) == ([notice.format(name=product.name)] if notice else [])
    assert said(visitor.get("/basket/")) == []


def test_what_cannot_be_added_is_named(visitor, product):
    Product.objects.filter(pk=product.pk).update(stock=50)
    change(visitor, product, 20)
    add(visitor, product)
    assert said(visitor.get("/basket/")) == [f"An order has at most 20 of “{product.name}”."]
    Product.objects.filter(pk=product.pk).update(stock=0)
    change(visitor, product, 0)
    assert said(visitor.get("/basket/")) == []
    add(visitor, product)
    assert said(visitor.get("/basket/")) == [f"“{product.name}” is sold out."]


def test_a_full_basket_names_the_product_that_it_has_no_place_for(visitor):
    *held, last = Product.objects.in_stock()[: MOST_PRODUCTS + 1]
    for each in (*held, last):
        add(visitor, each)
    page = visitor.get("/basket/")
    assert [line.product for line in page.context["lines"]] == held
    assert said(page) == [f"“{last.name}” is not in your basket, which holds at most 50 products."]


def test_remove_minds_no_quantity_that_the_browser_would_refuse(visitor, product):
    add(visitor, product)
    [button] = re.findall(r'<button [^>]*value="0"[^>]*>', visitor.get("/basket/").content.decode())
    assert "formnovalidate" in button


def test_a_tampered_basket_is_an_empty_one(visitor, product):
    add(visitor, product)
    visitor.cookies["basket"] = '[["1", 99]]'
    assert quantities(visitor) == []


def test_an_order_keeps_prices_takes_stock_and_empties_the_basket(visitor, product):
    add(visitor, product)
    change(visitor, product, 3)
    thanks = buy(visitor)
    order = Order.objects.get()
    assert thanks.redirect_chain == [(order.get_absolute_url(), 302)]
    assert order.total == 3 * product.price > Decimal(0)
    assert Product.objects.get(pk=product.pk).stock == 2
    assert quantities(visitor) == []


def test_whoever_comes_second_is_told_and_nothing_is_sold(visitor, product):
    add(visitor, product)
    change(visitor, product, 5)
    shown = hidden(visitor.get("/checkout/"))
    Product.objects.filter(pk=product.pk).update(stock=4)
    page = visitor.post("/checkout/place/", shown, follow=True)
    assert page.redirect_chain == [("/basket/", 302)], "a page that can be loaded again, as after the banner"
    assert f"There is less of “{product.name}”" in html.unescape(page.content.decode())
    assert not Order.objects.exists()
    assert Product.objects.get(pk=product.pk).stock == 4


def test_nobody_pays_another_sum_than_the_checkout_showed(visitor, product):
    add(visitor, product)
    shown = hidden(visitor.get("/checkout/"))
    Product.objects.filter(pk=product.pk).update(price=product.price + 100)
    page = visitor.post("/checkout/place/", shown, follow=True)
    assert not Order.objects.exists()
    assert Product.objects.get(pk=product.pk).stock == 5
    assert page.redirect_chain == [("/checkout/", 302)]
    assert said(page) == ["The total has changed. Please look at it before you order."]
    visitor.post("/checkout/place/", hidden(page))
    assert Order.objects.get().total == product.price + 100


def test_two_clicks_on_one_checkout_page_are_one_order(visitor, product):
    add(visitor, product)
    basket, shown = visitor.cookies["basket"].value, hidden(visitor.get("/checkout/"))
    visitor.post("/checkout/place/", shown)
    visitor.cookies["basket"] = basket
    again = visitor.post("/checkout/place/", shown)
    assert again.headers["Location"] == Order.objects.get().get_absolute_url()
    assert Product.objects.get(pk=product.pk).stock == 4
    assert quantities(visitor) == []


def test_an_empty_basket_has_no_checkout(visitor, product):
    assert visitor.get("/checkout/").headers["Location"] == "/basket/"
    add(visitor, product)
    shown = hidden(visitor.get("/checkout/"))
    change(visitor, product, 0)
    for fields in (shown, shown | {"total": "0"}, {}):
        page = visitor.post("/checkout/place/", fields, follow=True)
        assert page.redirect_chain == [("/checkout/", 302), ("/basket/", 302)]
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://example.com"},
        {"Origin": "https://testserver"},
        {"Origin": "http://testserver:81"},
        {"Origin": "//testserver"},
        {"Origin": "http://["},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_of_another_page_is_refused(client, product, headers):
    assert client.post(reverse("shop:add_to_basket", args=[product.pk]), headers=headers).status_code == 403


def test_an_old_browser_names_its_origin_only(client, product):
    assert add_from(client, product, "http://testserver").status_code == 302


def test_on_https_a_form_on_http_is_another_page_and_cookies_are_secure(client, product):
    assert add_from(client, product, "http://testserver", secure=True).status_code == 403
    assert add_from(client, product, "https://testserver", secure=True).status_code == 302
    headers = {"Origin": "https://testserver"}
    client.post("/consent/", {"answer": "none"}, secure=True, headers=headers)
    assert {name: cookie["secure"] for name, cookie in client.cookies.items() if cookie.value} == {
        "basket": True,
        "consent": True,
    }


def add_from(client, product, origin, *, secure=False):
    address = reverse("shop:add_to_basket", args=[product.pk])
    return client.post(address, secure=secure, headers={"Origin": origin})


@pytest.mark.django_db(transaction=True)
def test_with_consent_the_whole_way_is_recorded(visitor, product):
    visitor.post("/consent/", {"answer": "session", "next": "/"})
    visitor.get(product.get_absolute_url())
    add(visitor, product)
    change(visitor, product, 3)
    change(visitor, product, 2)
    buy(visitor)
    events = Event.objects.order_by("event_id").values_list("name", "item_id", "quantity", "price")
    item = str(product.pk)
    assert list(events) == [
        ("view_item", item, 1, None),
        ("add_to_cart", item, 1, product.price),
        ("add_to_cart", item, 2, product.price),
        ("remove_from_cart", item, 1, product.price),
        ("purchase", item, 2, product.price),
    ]


@pytest.mark.parametrize("answer", ["none", None])
def test_without_consent_the_list_is_full_and_nothing_is_kept(visitor, product, answer):
    if answer:
        visitor.post("/consent/", {"answer": answer, "next": "/"})
    page = visitor.get(product.get_absolute_url())
    add(visitor, product)
    assert page.content.decode().count("card-reason") == 8
    assert not Event.objects.exists()
    kept = {name for name, cookie in visitor.cookies.items() if cookie.value}
    assert kept == ({"basket", "consent"} if answer else {"basket"})


@pytest.mark.django_db(transaction=True)
def test_a_change_of_mind_deletes_what_was_kept(visitor, product):
    visitor.post("/consent/", {"answer": "session", "next": "/"})
    visitor.get(product.get_absolute_url())
    assert "/sessrec/my-visit/" in visitor.get("/privacy/").content.decode()
    assert Event.objects.count() == 1
    visitor.post("/consent/", {"answer": "none", "next": "/privacy/"})
    assert Event.objects.count() == 0
    assert visitor.cookies["sessrec"].value == ""


def test_the_banner_leads_back_to_its_own_page_and_nowhere_else(visitor):
    back = visitor.post("/consent/", {"answer": "none", "next": "/c/tents/?page=2"})
    assert back.headers["Location"] == "/c/tents/?page=2"
    away = visitor.post("/consent/", {"answer": "none", "next": "https://example.com/"})
    assert away.headers["Location"] == "/"
    assert "May we remember" not in visitor.get("/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_after_an_order_the_front_page_offers_other_kinds(visitor):
    """The product that leads the front page of a shop without visits, where each is of another kind."""
    leading = kinds_of_front_page(visitor)[0]
    first = Product.objects.in_stock().filter(category=leading).latest("pk")
    visitor.post("/consent/", {"answer": "session", "next": "/"})
    visitor.get(first.get_absolute_url())
    add(visitor, first)
    buy(visitor)
    kinds = kinds_of_front_page(visitor)
    assert kinds[0] != leading
    assert kinds == sorted(kinds, key=leading.__eq__), "at the end, as nothing else is known"


def kinds_of_front_page(visitor) -> list[str]:
    """The kinds of what the list "Picked for you" shows."""
    html = visitor.get("/").content.decode()
    [section] = re.findall(r'<section[^>]*data-sessrec-placement="home".*?</section>', html, re.DOTALL)
    items = re.findall(r'data-sessrec-item="(\d+)"', section)
    return [Product.objects.get(pk=item).category_id for item in items]
