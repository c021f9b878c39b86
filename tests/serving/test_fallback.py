"""Who answers where a model knows nothing: every step, down to the static list."""

import re

import pytest
from django.utils import timezone

from django_sessrec.capture import store
from django_sessrec.capture.event import make
from django_sessrec.catalogue import ModelCatalogue
from django_sessrec.ids import uuid7
from django_sessrec.recommendations import Placement, Visit, choose, get_recommendations
from django_sessrec.serving.fallback import hears_models
from tests.demo.models import Product

pytestmark = pytest.mark.django_db


class UnsortedShop(ModelCatalogue):
    """A catalogue that says nothing of categories."""

    model = "demo.Product"


class Bestsellers(UnsortedShop):
    """A catalogue with a list of its own for the last step, whose ids are numbers."""

    def fallback(self, limit):
        return Product.objects.filter(name="tea 5").values_list("pk", flat=True)[:limit]


@pytest.fixture
def without_categories(settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_fallback.UnsortedShop"}


def view(products: list[Product], times: int = 1) -> None:
    """Let `times` visits view the products."""
    for _ in range(times):
        session_id = uuid7(timezone.now())
        store.write([make("view_item", product.pk, session_id=session_id) for product in products])


def steps(recs) -> list[str]:
    return [item.step for item in recs.items]


def test_empty_shop_shows_nothing(db):
    assert get_recommendations(None, "product_page").items == []


def test_day_one_shows_the_category_then_anything(products):
    recs = get_recommendations(None, "product_page", item=products[12], limit=12)
    assert steps(recs) == ["category"] * 9 + ["static"] * 3
    assert {item.item.category for item in recs.items[:9]} == {"cup"}
    assert {item.because_title for item in recs.items[:9]} == {"cup 2"}


def test_day_one_without_an_item_on_screen_shows_what_was_viewed_lately(products):
    view(products[3:4], times=3)
    view(products[7:8], times=2)
    recs = get_recommendations(None, "product_page")
    assert [item.item.name for item in recs.items[:2]] == ["tea 3", "tea 7"]
    assert steps(recs) == ["popular"] * 2 + ["static"] * 6
    assert recs.step == "popular"


def test_one_visit_that_reloads_does_not_make_an_item_popular(products):
    view([products[3]] * 20)
    view([products[7]], times=2)
    assert get_recommendations(None, "product_page").items[0].item == products[7]


def test_the_shop_says_what_is_shown_when_nothing_is_known(products, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_fallback.Bestsellers"}
    assert [item.item for item in get_recommendations(None, "product_page").items] == [products[5]]


def test_model_fills_what_it_can_and_the_fallback_the_rest(products, trails, promote):
    promote([[str(products[0].pk), str(products[1].pk)]] * 5)
    recs = get_recommendations(None, "product_page", item=products[0])
    assert steps(recs) == ["model"] + ["category"] * 7
    assert (recs.step, recs.model) == ("model", "neighbours")


def test_popularity_of_the_model_where_the_visit_is_unknown(without_categories, products, promote):
    promote([[str(products[0].pk), str(products[1].pk)]] * 5)
    recs = get_recommendations(None, "product_page", item=products[20])
    assert steps(recs) == ["popular"] * 2 + ["static"] * 6
    assert (recs.model, recs.run_id) == ("", None), "no model heard the visit"


def test_promoted_co_views_stand_below_the_model(without_categories, products, promote):
    a, b, c = (str(product.pk) for product in products[:3])
    promote([[a, b]] * 5)
    promote([[a, c]] * 5, model="itemknn")
    recs = get_recommendations(None, "product_page", item=products[0])
    assert [(item.item_id, item.step, item.reason) for item in recs.items[:2]] == [
        (b, "model", "neighbours"),
        (c, "co_views", "co_viewed"),
    ]


def test_second_model_of_the_placement_takes_over(without_categories, products, promote, placement):
    placement(MODELS=["gru4rec", "itemknn", "neighbours"])
    promote([[str(product.pk) for product in products[:2]]] * 5, model="itemknn")
    assert get_recommendations(None, "product_page", item=products[0]).model == "itemknn"


def test_a_model_called_ranked_answers_first_once_it_serves(products, trails, promote, settings):
    itemknn = settings.SESSREC["MODELS"]["itemknn"]
    settings.SESSREC = settings.SESSREC | {"MODELS": {"ranked": itemknn} | settings.SESSREC["MODELS"]}
    promote(trails)
    assert get_recommendations(None, "product_page", item=products[8]).model == "neighbours"
    promote(trails, model="ranked")
    assert get_recommendations(None, "product_page", item=products[8]).model == "ranked"


def test_product_newer_than_the_model_is_not_talked_over_by_older_clicks(
    visitor, products, promote, placement
):
    placement(LIMIT=8, MAX_PER_CATEGORY=4)
    promote([[str(product.pk) for product in products[:10]]] * 5)
    visitor.get(products[0].get_absolute_url())
    shown = visitor.get(products[20].get_absolute_url()).content.decode()
    categories = re.findall(r">\s*(tea|cup|pot) \d", shown.partition("<ul")[2])
    assert categories == ["pot"] * 4 + ["tea"] * 4


def test_each_item_is_shown_once(products, trails, promote):
    promote(trails)
    promote(trails, model="itemknn")
    shown = [
        item.item_id for item in get_recommendations(None, "product_page", item=products[8], limit=29).items
    ]
    assert len(shown) == len(set(shown)) == 29


@pytest.mark.parametrize(
    ("steps", "variety", "differ"),
    [
        (("category", "popular", "static"), 0.0, True),
        (("category", "static"), 0.5, True),
        (("category", "static"), 0.0, False),
        (("trending", "new", "static"), 0.0, False),
    ],
)
def test_lists_differ_by_their_models_without_a_models_step_too(products, promote, steps, variety, differ):
    ids = [str(product.pk) for product in products]
    promote([[ids[n], ids[n + 1]] for n in range(8)] + [ids[20:24]] * 9, intents=True)
    promote([[ids[n], ids[-1 - n]] for n in range(8)] + [ids[14:18]] * 9, "itemknn", intents=True)
    keys = {"steps": steps, "variety": variety, "limit": 12 if "popular" in steps else 6}
    visit = Visit([ids[1]], ids[2])
    one, other = (
        [each.item_id for each in choose(visit, Placement("home", (model,), **keys)).items]
        for model in ("neighbours", "itemknn")
    )
    assert (one != other) == hears_models(steps, variety) == differ
