"""Lists for every page: trending, watched, bought, new, of a category, found: each from the first minute."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext

from django_sessrec.catalogue import get_catalogue
from django_sessrec.ids import uuid7
from django_sessrec.models import Quarantine
from django_sessrec.recommendations import Visit, choose, get_recommendations, placement_for
from django_sessrec.serving import shop_wide
from django_sessrec.serving.shop_wide import risen
from tests.demo.models import Product
from tests.support.history import NOON, buy, happen, minutes, order_line

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _placements(products, settings):
    steps = {name: [name] for name in ("trending", "watched", "best_sellers", "new")}
    settings.SESSREC = settings.SESSREC | {
        "PLACEMENTS": {
            **{name: {"STEPS": [*given, "static"], "LIMIT": 3} for name, given in steps.items()},
            "category": {"STEPS": ["trending", "category", "static"], "LIMIT": 4},
            "search": {"STEPS": ["search", "trending", "static"], "LIMIT": 6},
        }
    }


def before_now(**length) -> datetime:
    """Asked when it is needed: the suite may take longer than what is counted here."""
    return datetime.now(UTC) - timedelta(**length)


def seen(item: Product, *, session=None, **ago) -> None:
    at = before_now(**ago)
    happen(session or uuid7(at), at, "view_item", str(item.pk))


def listed(placement: str, **given) -> list[Product]:
    return [each.item for each in get_recommendations(None, placement, **given).items]


@pytest.mark.parametrize("placement", ["trending", "watched", "best_sellers", "new", "category", "search"])
def test_every_list_is_full_in_the_first_minute_of_a_new_shop(placement):
    assert len(listed(placement)) == placement_for(placement).limit


def test_what_rises_stands_before_what_is_only_popular(products):
    steady, rising = products[5], products[7]
    for day in range(6):
        for hour in range(4):
            seen(steady, days=day, hours=hour + 1)
    for minute in range(8):
        seen(rising, hours=1, minutes=minute)
    recs = get_recommendations(None, "trending", limit=2)
    assert [each.item for each in recs.items] == [rising, steady]
    assert (recs.step, recs.title, recs.items[0].reason_text) == ("trending", "Trending now", "")


def test_one_view_of_an_unknown_product_is_no_trend(products):
    for minute in range(5):
        seen(products[5], hours=2, minutes=minute)
    seen(products[7], minutes=1)
    assert listed("trending")[0] == products[5]


def test_a_session_that_reloads_counts_once():
    now, at = before_now(), before_now(hours=1)
    reloaded = [("a", 1, at + timedelta(minutes=n)) for n in range(20)]
    viewed = [("b", session, at) for session in range(3)]
    assert risen([*reloaded, *viewed], now) == ["b", "a"]


def test_nothing_viewed_trends_nothing():
    assert risen([], before_now()) == []


def test_a_view_that_the_clocks_of_two_hosts_disagree_about_is_no_error():
    now = before_now()
    assert risen([("a", 1, now + timedelta(seconds=3))], now) == ["a"]


def test_watched_are_products_of_this_half_hour_only(products):
    seen(products[5], hours=2)
    seen(products[5], hours=3)
    seen(products[7], minutes=5)
    recs = get_recommendations(None, "watched", limit=1)
    assert recs.items[0].item == products[7]
    assert (recs.title, recs.items[0].reason_text) == ("Others are looking at this", ""), "said once"
    recs = get_recommendations(None, "watched")
    assert "watched" not in [each.step for each in recs.items[1:]]
    assert (recs.title, recs.items[0].reason_text) == ("From our range", "Others are looking at this")


def test_best_sellers_are_counted_by_orders_and_not_by_views(products):
    for n in range(3):
        seen(products[5], hours=n + 1)
    for n, item in enumerate([7, 7, 9]):
        at = before_now(days=n + 1)
        buy(uuid7(at), at, str(products[item].pk), 10)
    assert listed("best_sellers")[:2] == [products[7], products[9]]


def test_new_products_come_newest_first(products):
    new = Product.objects.create(name="samovar")
    assert listed("new") == [new, products[29], products[28]]


def test_bots_and_quarantined_sessions_make_no_trend(products):
    at = before_now(minutes=5)
    found = uuid7(at)
    seen(products[5], minutes=5, session=found)
    Quarantine.objects.create(session_id=found, reason="flood", clicks=9)
    happen(uuid7(at), at, "view_item", str(products[7].pk), bot=True)
    assert "watched" not in [each.step for each in get_recommendations(None, "watched").items]


def test_what_a_quarantined_session_buys_is_no_best_seller(products):
    at = before_now(days=1)
    held = uuid7(at)
    buy(held, at, str(products[7].pk), 10)
    Quarantine.objects.create(session_id=held, reason="flood", clicks=9)
    assert "best_sellers" not in [each.step for each in get_recommendations(None, "best_sellers").items]


def test_a_page_of_a_category_shows_that_category_only(products):
    for n, item in enumerate([5, 5, 15, 25]):
        seen(products[item], minutes=n + 1)
    found = listed("category", category="pot")
    assert [each.category for each in found] == ["pot"] * 4
    assert found[0] == products[25], "what trends, first"
    assert {each.category for each in listed("category", category=["pot", "cup"])} == {"pot", "cup"}


@pytest.mark.parametrize("category", ["no such", "", None, 7])
def test_a_category_that_is_unknown_or_empty_narrows_nothing(category):
    assert len(listed("category", category=category)) == 4


def test_a_search_shows_what_it_names_then_what_its_words_name(products):
    assert listed("search", query="pot 3")[0] == products[23]
    found = listed("search", query="green pot")
    assert [each.category for each in found] == ["pot"] * 6
    assert len(listed("search", query="samovar")) == 6, "nothing is found, and the list is full all the same"


def test_tags_rest_and_placeholders_take_category_and_query(products, client):
    html = rendered("sessrec_recommendations 'category' category='pot'")
    assert html.count("pot ") >= 4
    assert "cup " not in html
    place = rendered("sessrec_placeholder 'search' query='pot 3' category=many", many=["pot", "cup"])
    assert "category=pot&amp;category=cup&amp;query=pot+3" in place
    answer = client.get("/sessrec/recommendations/?placement=category&category=pot&category=cup")
    assert {each["step"] for each in answer.json()["items"]} <= {"trending", "category"}
    slot = client.get("/sessrec/slot/search/?query=pot+3").content.decode()
    assert "pot 3" in slot
    too_long = {"placement": "search", "query": "x" * 201}
    assert client.get("/sessrec/recommendations/", too_long).status_code == 400


def rendered(tag: str, **context) -> str:
    return Template("{% load sessrec %}{% " + tag + " %}").render(Context(context))


def test_an_order_that_is_told_twice_makes_no_bestseller():
    visit = uuid7(NOON)
    for n in range(3):  # a thank-you page that is loaded again, and a webhook
        order_line(visit, "purchase", "1001", NOON + minutes(n), item_id="sold once")
    for n in range(2):
        order_line(uuid7(NOON), "purchase", f"20{n}", NOON + minutes(n), item_id="sold twice")
    shop_wide.forget()
    assert shop_wide.best_sellers() == ["sold twice", "sold once"]


def test_a_category_is_asked_for_once_a_minute(products):
    visit = Visit(categories=["pot"])
    choose(visit, placement_for("category"))
    with CaptureQueriesContext(connection) as queries:
        choose(visit, placement_for("category"))
    assert not [each for each in queries if f"LIMIT {shop_wide.CATEGORY_ITEMS}" in each["sql"]]


def test_what_is_kept_of_categories_is_bounded_whatever_several_are_asked_for(products, monkeypatch):
    monkeypatch.setattr(shop_wide, "CATEGORY_ITEMS_KEPT", 60)
    shop, most = get_catalogue(), 0
    names = ["tea", "cup", "pot"]
    for n in range(40):
        assert shop_wide.of_categories(shop, [*names, f"none {n}"])
        most = max(most, sum(len(each.latest) for each in shop_wide._categories.values()))
    assert most <= 90
    assert shop_wide.of_categories(shop, names) is shop_wide.of_categories(shop, names[::-1]), "one question"
