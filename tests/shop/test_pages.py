"""Every page answers, under the strict policy, and in a form that everybody can use."""

import re

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.urls import reverse

from django_sessrec.catalogue import ModelCatalogue
from example_shop.shop.models import Category, Order, OrderLine, Product
from example_shop.shop.views import PRODUCTS_PER_PAGE
from tests.shop.test_buying import buy
from tests.support.markup import Markup

pytestmark = pytest.mark.usefixtures("goods")


PAGES = {
    "home": "/",
    "kind": "/c/teapots/",
    "department": "/c/kitchen/?page=2",
    "search": "/search/?q=wool+fjord&sort=cheap",
    "nothing found": "/search/?q=submarine",
    "basket": "/basket/",
    "checkout": "/checkout/",
    "privacy": "/privacy/",
    "my visit": "/sessrec/my-visit/",
}


@pytest.fixture(params=[*PAGES, "product"])
def page(request, visitor):
    """Each of the shop's pages, asked for with something in the basket."""
    product = Product.objects.in_stock().first()
    visitor.post(reverse("shop:add_to_basket", args=[product.pk]))
    return visitor.get(PAGES.get(request.param, product.get_absolute_url()))


def test_a_page_answers_under_a_policy_that_it_keeps(page):
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert Markup(page.content.decode()).inline == []


def test_a_page_can_be_used_without_eyes(page):
    markup = Markup(page.content.decode())
    assert markup.headings == 1
    assert markup.unlabelled == []
    assert markup.without_alt == []
    assert '<html lang="en' in page.content.decode()
    assert "#main" in markup.links


def test_the_shop_passes_every_check():
    assert run_checks() == []


def test_a_wrong_address_leads_back_into_the_shop(visitor):
    page = visitor.get("/product/99999999999999999999/gone/")
    assert page.status_code == 404
    assert "/" in Markup(page.content.decode()).links
    assert "Departments" in page.content.decode()


def test_pages_without_a_product_of_their_own_name_kinds_of_goods(visitor):
    for address in ("/", "/search/?q=submarine", "/no/such/page/"):
        html = visitor.get(address).content.decode()
        [section] = re.findall(r'<section class="sessrec-categories".*?</section>', html, re.DOTALL)
        kinds = re.findall(r'href="/c/([\w-]+)/"', section)
        assert len(kinds) == len(set(kinds)) == 6, "before the first visit, too"
        assert set(kinds) <= set(Product.objects.values_list("category", flat=True))
    teapots = visitor.get("/search/?q=green+teapot+submarine").content.decode()
    assert re.findall(r'<section class="sessrec-categories".*?href="/c/([\w-]+)/"', teapots, re.DOTALL) == [
        "teapots"
    ]


def test_rows_that_a_category_field_points_to_are_described_without_a_line():
    class Plain(ModelCatalogue):
        model = "shop.Product"
        category_field = "category"

    teapots = {"title": "Teapots", "url": "/c/teapots/"}
    assert Plain().describe_categories(["teapots", "gone", "x" * 300]) == {"teapots": teapots}
    Plain.category_field = "category_id"
    assert Plain().describe_categories(["teapots"]) == {"teapots": teapots}
    Plain.category_field = "maker"
    assert Plain().describe_categories(["teapots"]) == {}


def test_a_category_shows_no_product_twice(visitor):
    html = visitor.get("/c/teapots/").content.decode()
    shown = re.findall(r'<li class="card[^"]*"[^>]*>\s*<a href="/product/(\d+)/', html)
    assert len(shown) == PRODUCTS_PER_PAGE + 4, "the page's own, and a full list"
    assert len(set(shown)) == len(shown)


@pytest.mark.django_db(transaction=True)
def test_what_was_viewed_stands_once_on_a_page(visitor):
    """What the page itself shows, "More from …" and "New on the shelves", is left out of the lists."""
    visitor.post("/consent/", {"answer": "session", "next": "/"})
    product, tent = (
        Product.objects.in_stock().filter(category=kind).first() for kind in ("teapots", "tents")
    )
    for address, shown in ((product.get_absolute_url(), "collection"), ("/", "new_in")):
        others = list(visitor.get(address).context[shown])
        for each in (*others, tent):
            visitor.get(each.get_absolute_url())
        html = visitor.get(address).content.decode()
        listed = re.findall(r'data-sessrec-item="(\d+)"', html)
        assert others
        assert str(tent.pk) in listed
        assert not set(listed) & {str(each.pk) for each in others}


def test_before_the_first_visit_a_list_has_products_of_many_kinds(visitor):
    found = visitor.get("/search/?q=submarine").content.decode()
    [section] = re.findall(r'<section class="recommendations".*?</section>', found, re.DOTALL)
    items = re.findall(r'data-sessrec-item="(\d+)"', section)
    assert len(set(Product.objects.filter(pk__in=items).values_list("category"))) == len(items) == 4


def test_the_shop_speaks_its_own_language_and_the_admin_the_browsers(visitor, admin_client):
    german = {"HTTP_ACCEPT_LANGUAGE": "de"}
    assert 'lang="de' in admin_client.get("/admin/", **german).content.decode()
    html = visitor.get("/", **german).content.decode()
    assert '<html lang="en' in html
    assert "Beliebt" not in html


def test_filters_narrow_and_sorting_sorts(visitor):
    found = visitor.get("/c/kitchen/?price=50&sort=cheap&in_stock=on&colour=clay").context["page"].object_list
    prices = [product.price for product in found]
    assert prices
    assert prices == sorted(prices)
    assert 25 <= prices[0] <= prices[-1] < 50
    assert all(product.stock and product.colour == "clay" for product in found)


def test_a_nonsense_filter_is_no_filter(visitor):
    page = visitor.get("/c/kitchen/?price=free&sort=upwards&page=seven").context["page"]
    assert page.paginator.count == 100


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/search/?q=submarine&sort=cheap", "Try another spelling"),
        ("/search/?q=submarine&colour=clay", "Try fewer filters"),
        ("/c/kitchen/?price=more&colour=clay&in_stock=on", "Try fewer filters"),
        ("/c/empty/", "There is nothing here"),
    ],
)
def test_a_page_without_products_says_what_helps(visitor, address, said):
    Category.objects.create(slug="empty", name="Empty", position=99, picture_of="teapots", colour="clay")
    html = visitor.get(address).content.decode()
    said_all = ("Try another spelling", "Try fewer filters", "There is nothing here")
    assert [each for each in said_all if each in html] == [said]


def test_search_finds_every_word_in_name_maker_or_kind(visitor):
    product = Product.objects.filter(category="teapots").first()
    words = f"{product.maker.split()[0]} {product.collection} teapots"
    assert product in visitor.get("/search/", {"q": words}).context["page"].paginator.object_list


def test_a_search_is_cut_to_what_the_field_takes(visitor):
    asked = "teapot " + "x" * 74
    page = visitor.get("/search/", {"q": asked})
    assert page.context["page"].paginator.count == 0
    assert page.context["words"] == asked[:80]
    kept = visitor.get("/search/", {"q": "teapot".ljust(80) + "x"})
    assert kept.context["words"] == "teapot"
    assert kept.context["page"].paginator.count > 0


def test_a_sold_out_product_says_so_and_cannot_be_bought(visitor):
    product = Product.objects.filter(stock=0).first()
    page = visitor.get(product.get_absolute_url())
    assert "Sold out" in page.content.decode()
    assert "Add to basket" not in page.content.decode()
    visitor.post(reverse("shop:add_to_basket", args=[product.pk]))
    assert visitor.get("/basket/").context["lines"] == []


def test_a_product_has_one_address(visitor):
    product = Product.objects.first()
    moved = visitor.get(f"/product/{product.pk}/an-older-name/")
    assert (moved.status_code, moved.headers["Location"]) == (301, product.get_absolute_url())


def test_a_product_shows_its_other_colours_and_lists_one_of_a_family(visitor):
    product = Product.objects.in_stock().exclude(family="").first()
    html = visitor.get(product.get_absolute_url()).content.decode()
    assert "Also in" in html
    assert all(other.get_absolute_url() in html for other in product.other_colours)
    alone = Product.objects.filter(family="").first()
    assert "Also in" not in visitor.get(alone.get_absolute_url()).content.decode()
    shown = re.findall(r'data-sessrec-item="(\d+)"', html)
    families = [each.family for each in Product.objects.filter(pk__in=shown) if each.family]
    assert len(shown) >= 8
    assert len(set(families)) == len(families)
    assert product.family not in families


def test_looking_around_sets_no_cookie(visitor):
    for address in ["/", "/c/tents/", Product.objects.first().get_absolute_url(), "/search/?q=tent"]:
        assert not visitor.get(address).cookies, address


def test_a_product_is_of_a_kind_not_of_a_department(admin_client):
    page = admin_client.get("/admin/shop/product/add/").content.decode()
    [select] = re.findall(r'<select name="category".*?</select>', page, re.DOTALL)
    kinds = set(Category.objects.exclude(parent=None).values_list("pk", flat=True))
    assert set(re.findall(r'value="([\w-]+)"', select)) == kinds


def test_every_change_of_the_models_has_its_migration(db):
    call_command("makemigrations", "shop", check=True, dry_run=True)


def test_the_privacy_page_tells_of_every_cookie(visitor):
    product = Product.objects.in_stock().first()
    Product.objects.filter(pk=product.pk).update(stock=1)
    told = {
        "consent": "Your answer, yes or no, is kept for half a year",
        "basket": "What you put into your basket is kept for two weeks",
        "messages": "A notice about it is in another one until you have seen it",
        "sessrec_off": "switch personal suggestions off for good, with one click. A cookie remembers that.",
    }
    visitor.post("/consent/", {"answer": "none", "next": "/"})
    for _ in range(2):
        visitor.post(reverse("shop:add_to_basket", args=[product.pk]))
    form = "application/x-www-form-urlencoded"
    visitor.post(reverse("sessrec:personalisation"), "personalisation=off&next=/", content_type=form)
    assert {name for name, cookie in visitor.cookies.items() if cookie.value} == set(told)
    html = visitor.get("/privacy/").content.decode()
    assert [words for words in told.values() if words not in html] == []
    days = {name: int(visitor.cookies[name]["max-age"]) / 86_400 for name in ("consent", "basket")}
    assert days == {"consent": 182, "basket": 14}


def test_staff_read_that_their_visit_is_not_remembered(admin_client):
    admin_client.cookies["consent"] = "session"
    html = admin_client.get("/privacy/").content.decode()
    assert "You are signed in as staff: nothing is remembered, whatever you choose here." in html
    assert "this visit is remembered" not in html


def test_the_admin_lists_products_and_orders(admin_client):
    admin_client.defaults["HTTP_SEC_FETCH_SITE"] = "same-origin"
    product = Product.objects.in_stock().first()
    admin_client.post(reverse("shop:add_to_basket", args=[product.pk]))
    buy(admin_client)
    assert product.name in admin_client.get("/admin/shop/product/?q=" + product.name).content.decode()
    orders = admin_client.get("/admin/shop/order/")
    assert str(product.price) in orders.content.decode()
    assert Markup(orders.content.decode()).inline == []


def test_the_admin_reads_an_orders_products_at_once(admin_client, django_assert_max_num_queries):
    order = Order.objects.create()
    for each in Product.objects.all()[:20]:
        OrderLine.objects.create(order=order, product=each, quantity=1, price=each.price)
    with django_assert_max_num_queries(10):
        page = admin_client.get(f"/admin/shop/order/{order.pk}/change/")
    assert all(line.product.name in page.content.decode() for line in order.lines.all())
