"""Titles and reasons are true for this list at this moment."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory

from django_sessrec.capture import cookie
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.tracker import Tracker
from django_sessrec.ids import uuid7
from django_sessrec.recommendations import get_recommendations, render
from tests.demo.models import Product
from tests.support.capture import event
from tests.support.history import buy
from tests.support.visits import FIREFOX

pytestmark = pytest.mark.django_db

PICKED = "Picked for you"


def said(recommendations) -> list[str]:
    """The reasons that the cards show."""
    return between('<span class="sessrec__reason">', render(recommendations))


def below_the_heading(recommendations) -> list[str]:
    """The reasons that all items of a row have."""
    return between('<p class="sessrec__because">', render(recommendations))


def between(tag: str, html: str) -> list[str]:
    return [part.partition("<")[0] for part in html.split(tag)[1:]]


def visit(*products: Product):
    request = RequestFactory().get("/", headers={"user-agent": FIREFOX})
    request.COOKIES["consent"] = "yes"
    request.sessrec = Tracker(request)
    return {"request": request, "items": [product.pk for product in products]}


@pytest.fixture
def bestseller(products) -> Product:
    """The only product that anybody has bought."""
    bought_at = datetime.now(UTC) - timedelta(days=1)
    buy(uuid7(bought_at), bought_at, str(products[5].pk), "9.90")
    return products[5]


def test_a_list_for_the_visit_has_the_placements_title(products, trails, promote, placement):
    promote(trails)
    placement(TITLE=PICKED)
    shown = get_recommendations(placement="product_page", **visit(products[2], products[4]))
    assert shown.title == PICKED


def test_a_list_that_is_the_same_for_everybody_says_so(products, trails, promote, placement):
    placement(TITLE=PICKED)
    shown = get_recommendations(None, "product_page")
    assert (shown.step, shown.title) == ("static", "From our range")
    promote(trails)
    shown = get_recommendations(None, "product_page")
    assert (shown.step, shown.title) == ("popular", "Popular right now")
    placement(TITLE=PICKED, FALLBACK_TITLE="Our bestsellers")
    assert get_recommendations(None, "product_page").title == "Our bestsellers"


def test_a_model_that_says_the_same_to_everybody_picks_for_nobody(
    products, trails, promote, placement, settings
):
    settings.SESSREC["MODELS"] |= {"popularity": {"ESTIMATOR": "django_sessrec.recsys.Popularity"}}
    promote(trails, "popularity")
    placement(TITLE=PICKED, MODELS=["popularity"])
    shown = get_recommendations(placement="product_page", **visit(products[2], products[4]))
    assert (shown.step, {each.reason for each in shown.items}) == ("model", {"popular"})
    assert shown.title == "Popular right now"
    placement(TITLE=PICKED, MODELS=["popularity"], FALLBACK_TITLE="Our bestsellers")
    shown = get_recommendations(placement="product_page", **visit(products[2], products[4]))
    assert shown.title == "Our bestsellers"


def test_after_declining_nothing_is_picked_for_anybody(products, trails, promote, placement):
    promote(trails)
    placement(TITLE=PICKED)
    asked = visit(products[2])
    asked["request"].COOKIES["consent"] = "no"
    assert get_recommendations(placement="product_page", **asked).title == "Popular right now"


def test_a_list_that_the_basket_has_no_part_in_does_not_speak_of_it(
    products, trails, promote, placement, settings
):
    basket = "Goes well with your basket"
    settings.SESSREC["MODELS"] |= {"bought_together": {"ESTIMATOR": "django_sessrec.recsys.BoughtTogether"}}
    promote(trails)
    promote([[str(products[n].pk), str(products[10 + n].pk)] for n in range(10)] * 4, "bought_together")
    placement(TITLE=basket, STEPS=["bought_together", "model", "popular", "static"])

    clicks = visit(products[2], products[4])
    assert get_recommendations(placement="product_page", **clicks).title == "You may also like"
    assert get_recommendations(None, "product_page").title == "Popular right now"
    request = visit()["request"]
    request.COOKIES["sessrec"] = cookie.text_of(uuid7())
    put = event(str(products[2].pk), name="add_to_cart", session_id=request.sessrec.session_id)
    outbox.deliver([put])
    assert get_recommendations(request, "product_page").title == basket
    placement(TITLE=basket, STEPS=["bought_together", "model"], FALLBACK_TITLE="Our range")
    assert get_recommendations(placement="product_page", **visit(products[4])).title == "Our range"


def test_a_pinned_item_does_not_make_a_popular_list_personal(products, trails, promote, placement):
    promote(trails)
    placement(TITLE=PICKED, PINNED=[products[0].pk])
    assert get_recommendations(None, "product_page").title == "Popular right now"


@pytest.mark.parametrize("steps", [["best_sellers", "new"], ["model", "best_sellers", "new"]])
@pytest.mark.parametrize(
    ("given", "own", "title"),
    [
        ({}, False, "From our range"),
        ({"FALLBACK_TITLE": "From our shelves"}, False, "From our shelves"),
        ({"PINNED": True}, False, "From our range"),
        ({"PINNED": True, "LIMIT": 2}, True, "Bestsellers"),
        ({"LIMIT": 1}, True, "Bestsellers"),
    ],
)
def test_a_heading_names_a_step_only_where_no_other_one_fills_the_list(
    products, bestseller, placement, steps, given, own, title
):
    placed = {"PINNED": [products[0].pk]} if "PINNED" in given else {}
    placement(STEPS=steps, **given | placed)
    shown = get_recommendations(None, "product_page")
    assert shown.step == "best_sellers"
    assert ({each.step for each in shown.items} <= {"pinned", "best_sellers"}) == own
    assert shown.title == title


def test_a_list_that_is_meant_to_be_one_step_keeps_the_shops_own_words(bestseller, placement):
    steps = ["best_sellers", "new"]
    placement(STEPS=steps, TITLE="What sells")
    assert get_recommendations(None, "product_page").title == "What sells"
    placement(STEPS=steps, TITLE="What sells", FALLBACK_TITLE="What sells, and what is new")
    assert get_recommendations(None, "product_page").title == "What sells, and what is new"
    assert get_recommendations(None, "product_page", limit=1).title == "What sells"


def test_a_bestseller_in_a_list_for_the_item_on_screen_does_not_name_it(products, bestseller, placement):
    placement(STEPS=["best_sellers", "category"])
    shown = get_recommendations(None, "product_page", item=products[12])
    assert {each.step for each in shown.items} == {"best_sellers", "category"}
    assert shown.title == "You may also like"


def test_a_reason_that_all_items_have_is_said_once_below_the_heading(products, trails, promote):
    promote(trails)
    shown = get_recommendations(None, "product_page", item=products[8])
    assert below_the_heading(shown) == ["From other visits with tea 8"]
    assert said(shown) == []
    assert [item.reason_repeated for item in shown.items] == [False] + [True] * 7
    assert {item.reason for item in shown.items} == {"neighbours"}, "the codes are complete"


def test_cards_name_different_clicks_where_several_spoke(products, trails, promote):
    promote(trails)
    shown = get_recommendations(placement="product_page", **visit(products[4], products[6], products[8]))
    reasons = [reason for reason in said(shown) if reason != "You viewed this"]
    assert len(reasons) == len(set(reasons)) >= 2
    assert below_the_heading(shown) == []
    for item in shown.items:
        titles = {str(product.pk): product.name for product in products}
        assert item.because_title in {"", *(titles[each] for each in item.because)}, "only what spoke for it"


def test_a_label_of_one_item_leaves_the_reasons_to_the_cards(products, trails, promote, placement):
    promote(trails)
    placement(SPONSORED=[products[0].pk])
    shown = get_recommendations(None, "product_page", item=products[8])
    assert below_the_heading(shown) == []
    assert said(shown) == ["From other visits with tea 8"]


def test_a_popular_list_gives_its_reason_once_in_the_heading_or_on_the_first_card(
    products, trails, promote, placement
):
    promote(trails)
    assert said(get_recommendations(None, "product_page")) == []
    placement(FALLBACK_TITLE="What others like")
    assert said(get_recommendations(None, "product_page")) == ["Popular right now"]


@pytest.mark.parametrize(("least", "reason"), [(3, "neighbours"), (4, "session")])
def test_a_reason_speaks_of_other_visits_from_three_on(products, trails, promote, settings, least, reason):
    settings.SESSREC = settings.SESSREC | {"MIN_REASON_SESSIONS": least}
    one, other = str(products[11].pk), str(products[13].pk)
    promote([*[[one, other]] * 3, *(trail for trail in trails if not {one, other} & {*trail})])
    shown = get_recommendations(None, "product_page", item=one)
    first = shown.items[0]
    assert (first.item_id, first.reason, first.because) == (other, reason, (one,))
    words = {"neighbours": "From other visits with", "session": "Because you viewed"}
    assert first.reason_text == f"{words[reason]} {products[11].name}"
