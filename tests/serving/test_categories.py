"""Categories as results: of what a placement may show, the session's own first, each with a page."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.http import HttpResponse
from django.template import Context, Template
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from django_sessrec.catalogue import Catalogue
from django_sessrec.ids import uuid7
from django_sessrec.models import Impression, PlacementRule
from django_sessrec.recommendations import Visit, aget_categories, get_categories, placement_for, render
from django_sessrec.serving import merchant_rules, shop_wide
from django_sessrec.serving.categories import MAX_OF_A_PRODUCT, SPARE, choose_categories
from django_sessrec.serving.merchant_rules import Match, Merchandising, MerchantRule
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.history import happen
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
NAMES = {"tea": "Teas", "cup": "Cups", "pot": "Pots"}


class ShopCatalogue(DemoCatalogue):
    """Names its categories, and has a page for each."""

    def describe_categories(self, categories, request=None):
        return {
            each: {"title": NAMES.get(each, each.title()), "url": f"/c/{each}/", "image": None}
            for each in categories
        }


class Silent(DemoCatalogue):
    """Says nothing of its categories' pages."""

    describe_categories = Catalogue.describe_categories


class NoPots(ShopCatalogue):
    """The page of one of them is gone."""

    def describe_categories(self, categories, request=None):
        found = super().describe_categories(categories, request)
        return {each: fields for each, fields in found.items() if each != "pot"}


class Careless(ShopCatalogue):
    """Leaves a title out here and an address there."""

    def describe_categories(self, categories, request=None):
        return {
            "tea": {"title": "Teas", "url": ""},
            "cup": {"url": "/c/cup/"},
            "pot": {"title": "Pots", "url": "/c/pot/"},
        }


class Broken(ShopCatalogue):
    def describe_categories(self, categories, request=None):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")


class Several(ShopCatalogue):
    """A product stands in its own category, in one that all share, and one of them in ten thousand."""

    asked: int = 0

    def category(self, item):
        if item.name == "tea 0":
            return {f"tag {n}" for n in range(10_000)}
        return {item.category, "everything"}

    def describe_categories(self, categories, request=None):
        Several.asked = len(categories)
        return super().describe_categories([each for each in categories if each != "everything"], request)


class TwoHundred(ShopCatalogue):
    """Ten thousand categories would be as many: a product each."""

    def category(self, item):
        return f"kind {item.pk}"


class Uncategorised(ShopCatalogue):
    def category(self, item):
        if item.category == "pot":
            raise LookupError(item.name)
        return None if item.category == "tea" else item.category


@pytest.fixture(autouse=True)
def shop(products, settings):
    shop_wide.forget()
    settings.SESSREC = settings.SESSREC | {
        "PLACEMENTS": {
            "home": {"MODELS": ["neighbours"], "STEPS": ["model", "trending", "static"], "LIMIT": 6},
            "search": {"STEPS": ["search", "static"], "LIMIT": 6},
        }
    }
    in_shop(settings, ShopCatalogue)


def in_shop(settings, catalogue) -> None:
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"{__name__}.{catalogue.__name__}"}


def seen(*items: Product) -> None:
    for n, item in enumerate(items):
        at = NOW - timedelta(minutes=n + 1)
        happen(uuid7(at), at, "view_item", str(item.pk))
    shop_wide.forget()


def after(*items: Product, consent: str = "yes", **given):
    """The categories for a session that has viewed these."""
    return get_categories(request_of(consent), "home", items=[each.pk for each in items], **given)


def names(found) -> list[str]:
    return [each.category for each in found.categories]


def test_a_visitor_without_a_session_gets_what_is_popular(products):
    seen(products[25], products[26], products[12])
    found = get_categories(None, "home")
    assert names(found)[:2] == ["pot", "cup"]
    assert (found.title, found.personalised, found.consent) == ("Popular categories", False, "contextual")
    first = found.categories[0]
    assert (first.position, first.url, first.fields["title"]) == (1, "/c/pot/", "Pots")
    assert (first.reason, first.reason_text) == ("trending", ""), "the heading says it"
    assert first.items[:2] == (products[25], products[26])


def test_every_category_of_a_new_shop_is_there_in_the_first_minute():
    found = get_categories(None, "home")
    assert set(names(found)) == {"pot", "cup", "tea"}
    assert found.title == "From our range"


def test_a_new_shop_names_more_than_the_categories_of_its_newest_products(products):
    """Of which there may be hundreds of one kind."""
    Product.objects.bulk_create(Product(name=f"plate {n}", category="plate") for n in range(120))
    found = get_categories(None, "home")
    assert names(found)[0] == "plate"
    assert set(names(found)) == {"plate", "pot", "cup", "tea"}
    assert found.title == "From our range"
    Product.objects.filter(category="pot").update(stock=0)
    assert set(names(get_categories(None, "home"))) == {"plate", "cup", "tea"}, "what is sold out has none"


def test_a_placement_without_the_shop_s_own_range_names_what_its_steps_know(settings, products):
    settings.SESSREC["PLACEMENTS"]["home"]["STEPS"] = ["trending"]
    seen(products[25])
    assert names(get_categories(None, "home")) == ["pot"]


class NoRange(ShopCatalogue):
    def main_categories(self, limit):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")


def test_a_catalogue_that_cannot_tell_its_main_categories_keeps_what_was_found(settings, products):
    in_shop(settings, NoRange)
    Product.objects.update(category="tea")
    assert names(get_categories(None, "home")) == ["tea"]


def test_the_main_categories_of_a_model_are_those_with_the_most_to_show(products):
    Product.objects.filter(pk__in=[each.pk for each in products[:9]]).update(stock=0)
    Product.objects.filter(pk=products[10].pk).update(category="pot")
    assert DemoCatalogue().main_categories(2) == ["pot", "cup"]
    assert DemoCatalogue().main_categories(9) == ["pot", "cup", "tea"]


def test_the_visitors_own_come_first_and_the_latest_leads(products):
    seen(products[25], products[26])
    found = after(products[0], products[11])
    assert names(found) == ["cup", "tea", "pot"]
    assert [each.viewed for each in found.categories] == [1, 1, 0]
    assert [each.reason_text for each in found.categories] == [
        "You viewed 1 product", "You viewed 1 product", "",
    ]  # fmt: skip
    assert found.categories[0].because == (str(products[11].pk),)
    assert (found.title, found.personalised, found.consent) == ("Categories for you", True, "session")


def test_what_a_model_proposes_says_whose_click_spoke_for_it(products, promote):
    tea, cup = str(products[0].pk), str(products[11].pk)
    promote([[tea, cup], [tea, cup], [tea, cup], [tea, cup]])
    found = after(products[0])
    assert names(found)[:2] == ["tea", "cup"]
    assert found.categories[1].because == (tea,)
    assert "tea 0" in found.categories[1].reason_text


def test_a_reason_is_said_once(products, promote):
    trail = [str(products[n].pk) for n in (0, 11, 21)]
    promote([trail] * 4)
    found = after(products[0])
    assert [bool(each.reason_text) for each in found.categories] == [True, True, False]


def test_nothing_of_it_is_stored_and_the_page_is_private(products):
    request = request_of()
    assert names(get_categories(request, "home", items=[products[0].pk]))
    response = HttpResponse()
    request.sessrec.finish(response)
    assert "private" in response["Cache-Control"]
    assert not Impression.objects.exists()
    assert request.sessrec.on_page == {}


def test_without_consent_a_page_names_its_product(products, promote):
    promote([[str(products[0].pk), str(products[11].pk)]] * 4)
    found = after(products[21], consent="no", item=products[0])
    assert names(found)[0] == "cup"
    assert (found.personalised, found.consent) == (False, "contextual")


def test_the_words_of_an_empty_search_name_categories(products):
    found = get_categories(None, "search", query="green pot")
    assert names(found)[0] == "pot"
    assert found.title == "More categories"


def test_a_page_leaves_out_its_own_category(products):
    assert "pot" not in names(get_categories(None, "home", exclude="pot"))
    assert names(get_categories(None, "home", exclude=["pot", "cup"])) == ["tea"]
    assert names(get_categories(None, "home", category=["cup", "tea"], exclude="tea")) == ["cup"]


def test_what_is_sold_out_brings_no_category(products):
    Product.objects.filter(category="pot").update(stock=0)
    assert set(names(after(products[0], products[25]))) == {"tea", "cup"}


def test_what_a_merchant_hides_has_no_category(monkeypatch):
    hide = MerchantRule("hide pots", PlacementRule.Kind.HIDE, what=Match("category", frozenset({"pot"})))
    monkeypatch.setattr(merchant_rules, "live", lambda _name: Merchandising(rules=(hide,)))
    assert set(names(get_categories(None, "home"))) == {"tea", "cup"}


def test_a_holdout_gets_none():
    placement = placement_for("home")
    assert choose_categories(Visit(), placement)
    assert choose_categories(Visit(), replace(placement, holdout=True)) == []


def test_a_category_whose_page_is_gone_gives_its_place_to_the_next(settings):
    in_shop(settings, NoPots)
    assert names(get_categories(None, "home", limit=2)) == ["cup", "tea"]


def test_a_category_without_title_or_address_is_left_out(settings):
    in_shop(settings, Careless)
    assert names(get_categories(None, "home")) == ["pot"]


def test_a_catalogue_that_names_no_pages_has_no_list(settings):
    in_shop(settings, Silent)
    found = get_categories(None, "home")
    assert names(found) == []
    settings.DEBUG = True
    assert "describe_categories" in str(render(found))


def test_a_catalogue_that_raises_leaves_the_page_and_its_transaction_alone(settings):
    in_shop(settings, Broken)
    assert names(get_categories(None, "home")) == []
    assert Product.objects.exists()


def test_products_without_a_category_and_those_that_raise_cost_only_themselves(settings):
    in_shop(settings, Uncategorised)
    assert names(get_categories(None, "home")) == ["cup"]


def test_a_shop_of_one_category_shows_that(products):
    Product.objects.update(category="tea")
    assert names(get_categories(None, "home")) == ["tea"]


def test_a_product_of_several_categories_counts_for_each_and_the_work_is_bounded(settings, products):
    in_shop(settings, Several)
    seen(products[0], products[25])
    found = get_categories(None, "home", limit=30)
    assert "pot" in names(found)
    assert "everything" not in names(found), "the shop has no page for it"
    assert Several.asked <= 30 * SPARE
    assert sum(each.startswith("tag ") for each in names(found)) <= MAX_OF_A_PRODUCT


def test_a_shop_of_many_categories_is_asked_for_a_few(settings, products):
    Product.objects.bulk_create(Product(name=f"thing {n}") for n in range(300))
    in_shop(settings, TwoHundred)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = get_categories(None, "home", limit=8)
    assert len(names(found)) == 8
    assert len([each for each in queries if "demo_product" in each["sql"]]) <= 3


def test_a_placement_that_is_unknown_has_none():
    assert names(get_categories(None, "nowhere")) == []


def test_async_views_ask_the_same():
    assert "tea" in names(async_to_sync(aget_categories)(None, "home"))


def rendered(tag: str, request=None, **context) -> str:
    text = "{% load sessrec %}{% " + tag + " %}"
    return Template(text).render(Context(context | {"request": request}))


def test_the_tag_renders_links_with_title_and_reason(products):
    seen(products[25])
    html = rendered("sessrec_categories 'home' limit=2")
    assert html.count("<li") == 2
    assert '<a class="sessrec__card" href="/c/pot/">' in html
    assert "Pots" in html
    assert "data-sessrec-rec" not in html, "nobody counts it as a list that was seen"


def test_markup_in_a_title_stays_text(settings, monkeypatch):
    monkeypatch.setitem(NAMES, "pot", "<b>Pots</b>")
    assert "&lt;b&gt;Pots" in rendered("sessrec_categories 'home'")


def test_the_tag_on_a_page_that_is_fetched_ahead_leaves_a_place(products):
    request = RequestFactory().get("/", headers={"Sec-Purpose": "prefetch"})
    html = rendered("sessrec_categories 'home' exclude='pot'", request)
    assert 'data-sessrec-slot="/sessrec/slot/home/categories/?' in html
    assert "exclude=pot" in html
    assert "Teas" in html, "what is the same for everybody, until then"


def test_the_placeholder_asks_for_the_same():
    html = rendered(
        "sessrec_categories_placeholder 'search' query='green pot' category=both limit=3", both=["a", "b"]
    )
    assert "/sessrec/slot/search/categories/?limit=3" in html
    assert "category=a&amp;category=b&amp;query=green+pot" in html
