"""New products: shown where they are like what the session looks at, and heard as what they are like."""

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_sessrec.recommendations import Placement, Visit, choose, get_recommendations
from django_sessrec.recsys.cold_start import ColdStart
from django_sessrec.serving import active_models, cold_start
from django_sessrec.serving.active_models import active
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(products, promote) -> list[str]:
    """Ids of ten teas, ten cups and ten pots; each past visitor looked at products of one kind."""
    ids = [str(product.pk) for product in products]
    draw = np.random.default_rng(0)
    kinds = [ids[start : start + 10] for start in (0, 10, 20)]
    trails = [draw.choice(kind, 6, replace=False).tolist() for kind in kinds for _ in range(60)]
    promote(trails, intents=True, content=True)
    return ids


def chosen(visit: Visit, **keys) -> list:
    return choose(visit, Placement("preview", ("neighbours",), **keys)).items


def of_content(items) -> list[str]:
    return [each.item.name for each in items if each.step == "content"]


def arrive(name: str, category: str, **fields) -> Product:
    return Product.objects.create(name=name, category=category, **fields)


def test_a_new_product_is_in_the_first_list_after_it_exists(shop, monkeypatch):
    monkeypatch.setattr(cold_start, "REFRESH_SECONDS", 0)
    visit = Visit([shop[0]], shop[1])
    assert of_content(chosen(visit)) == []
    arrive("tea 99", "tea")
    items = chosen(visit)
    assert of_content(items) == ["tea 99"]
    assert [each.item.name for each in items].index("tea 99") in range(2, 5)  # not first, and not last
    assert len(items) == 8


def test_between_two_looks_at_what_is_new_a_list_asks_nothing_more(shop, monkeypatch):
    monkeypatch.setattr(active_models, "CHECK_SECONDS", 60)
    monkeypatch.setattr(cold_start, "REFRESH_SECONDS", 60)
    arrive("tea 99", "tea")
    visit = Visit([shop[0]], shop[1])
    assert of_content(chosen(visit)) == ["tea 99"]
    asked = []
    for places in (0, 1):
        with CaptureQueriesContext(connection) as queries:
            assert len(of_content(chosen(visit, new_products=places))) == places
        asked.append(sum(query["sql"].startswith("SELECT") for query in queries.captured_queries))
    assert asked[0] == asked[1]


def test_a_new_product_unlike_the_session_waits(shop):
    arrive("pot 99", "pot")
    assert of_content(chosen(Visit([shop[0]], shop[1]))) == []
    assert of_content(chosen(Visit([shop[20]], shop[21]))) == ["pot 99"]


@pytest.mark.parametrize(("places", "shown"), [(0, 0), (1, 1), (3, 3)])
def test_a_placement_says_how_many_places_are_for_new_products(shop, places, shown):
    for number in range(5):
        arrive(f"tea 9{number}", "tea")
    assert len(of_content(chosen(Visit([shop[0]], shop[1]), new_products=places, limit=6))) == shown


def test_the_reason_names_the_viewed_product_that_it_is_like(shop, placement, settings):
    placement(NEW_PRODUCTS=1)
    arrive("tea 99", "tea")
    recs = get_recommendations(None, "product_page", item=shop[1])
    [item] = [each for each in recs.items if each.step == "content"]
    assert (item.reason, item.because, item.reason_text) == ("content", (shop[1],), "Similar to tea 1")
    assert recs.step == "model"


def test_after_a_look_at_a_new_product_the_models_hear_the_known_one_that_it_is_like(shop):
    new = arrive("cup 99", "cup")
    items = chosen(Visit([], str(new.pk)))
    assert {each.item.category for each in items} == {"cup"}
    assert [each.step for each in items] == ["model", "content"] + ["model"] * 6
    assert {each.because for each in items} == {(str(new.pk),)}
    assert {each.reason for each in items} == {"session", "content"}, "no past session has it"


def test_any_number_of_unknown_products_in_a_session_is_one_question(shop, monkeypatch):
    monkeypatch.setattr(active_models, "CHECK_SECONDS", 60)
    monkeypatch.setattr(cold_start, "REFRESH_SECONDS", 60)
    chosen(Visit([shop[0]], shop[1]))
    asked = []
    for number in (1, 6):
        gone = [f"99999{number}{n}" for n in range(number)]
        with CaptureQueriesContext(connection) as queries:
            chosen(Visit(gone, shop[1]))
        asked.append(sum(query["sql"].startswith("SELECT") for query in queries.captured_queries))
    assert asked[0] == asked[1]


def test_who_asks_for_a_product_before_it_exists_keeps_nobody_from_it(shop, monkeypatch):
    """Its number is the next one, and a crawler, or an address typed by hand, has asked for it."""
    monkeypatch.setattr(cold_start, "REFRESH_SECONDS", 0)
    coming = str(max(map(int, shop)) + 1)
    chosen(Visit([shop[0]], coming))
    chosen(Visit([coming, shop[0]], shop[1]))
    assert str(arrive("tea 99", "tea", pk=coming).pk) == coming
    assert of_content(chosen(Visit([shop[0]], shop[1]))) == ["tea 99"]
    assert [each.step for each in chosen(Visit([], coming))][:2] == ["model", "content"]


def test_a_product_that_is_like_none_goes_on_to_the_steps_below(shop):
    new = Product.objects.create(name="zzz", category="elsewhere", price=100_000)
    items = chosen(Visit([], str(new.pk)), steps=("model", "category", "static"))
    assert {each.step for each in items} == {"static"}


def test_sold_out_hidden_and_sensitive_new_products_are_not_shown(shop):
    arrive("tea 97", "tea", stock=0)
    arrive("tea 98", "tea", sensitive=True)
    hidden = arrive("tea 99", "tea")
    assert of_content(chosen(Visit([shop[0]], shop[1]), excluded=(str(hidden.pk),))) == []
    assert of_content(chosen(Visit([shop[0], str(hidden.pk)], shop[1]))) == []
    assert of_content(chosen(Visit([shop[0]], shop[1], basket=[str(hidden.pk)]))) == []


def test_a_list_of_new_products_alone_is_the_step_content(shop):
    arrive("tea 98", "tea")
    arrive("tea 99", "tea")
    items = chosen(Visit([shop[0]], shop[1]), steps=("content",))
    assert sorted(of_content(items)) == ["tea 98", "tea 99"]


class Mute(DemoCatalogue):
    """A shop whose new products can't be described."""

    def describe(self, item, request=None):
        if item.name.endswith("99"):
            raise RuntimeError("no words")
        return super().describe(item, request)


class Broken(DemoCatalogue):
    """A shop that can't say what is new."""

    def newest(self, limit):
        raise RuntimeError("no shelf")


@pytest.mark.parametrize("catalogue", ["Mute", "Broken"])
def test_a_catalogue_that_fails_costs_the_new_products_only(shop, settings, catalogue, caplog):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"tests.serving.test_cold_start.{catalogue}"}
    arrive("tea 99", "tea")
    items = chosen(Visit([shop[0]], shop[1]))
    assert {each.step for each in items} == {"model"}
    assert len(items) == 8
    assert "could not" in caplog.text


def test_many_new_products_are_mapped_a_few_at_a_time(shop, monkeypatch):
    monkeypatch.setattr(cold_start, "REFRESH_SECONDS", 0)
    Product.objects.bulk_create(Product(name=f"tea {n}", category="tea") for n in range(100, 160))
    asked: list[int] = []
    mapped = ColdStart.map

    def counted(self, contents):
        asked.append(len(contents))
        return mapped(self, contents)

    monkeypatch.setattr(ColdStart, "map", counted)
    for _ in range(4):
        chosen(Visit([shop[0]], shop[1]))
    assert max(asked) <= cold_start.AT_ONCE
    assert sum(asked) == 60


def test_what_a_process_remembers_is_bounded(shop, monkeypatch):
    monkeypatch.setattr(cold_start, "MAX_KEPT", 5)
    for number in range(20):
        new = arrive(f"tea {200 + number}", "tea")
        chosen(Visit([shop[0]], str(new.pk)))
    [memory] = cold_start._memories.values()
    assert len(memory.vectors) <= cold_start.MAX_KEPT + cold_start.AT_ONCE


def test_a_model_published_without_content_lists_as_it_ranks(products, promote, trails):
    promote(trails, intents=True)
    assert active("neighbours").cold_start is None
    new = arrive("tea 99", "tea")
    assert of_content(chosen(Visit([trails[0][0]], trails[0][1]))) == []
    assert chosen(Visit([], str(new.pk)))[0].step == "category"


class OneFamily(DemoCatalogue):
    parent_field = "family"


def test_a_new_variant_of_a_known_family_is_no_new_product(products, promote, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_cold_start.OneFamily"}
    Product.objects.filter(pk=products[0].pk).update(family="assam")
    ids = ["assam", *(str(product.pk) for product in products[1:])]
    draw = np.random.default_rng(0)
    kinds = [ids[start : start + 10] for start in (0, 10, 20)]
    promote(
        [draw.choice(kind, 6, replace=False).tolist() for kind in kinds for _ in range(60)],
        intents=True,
        content=True,
    )
    arrive("tea 99", "tea", family="assam")
    assert of_content(chosen(Visit([ids[1]], ids[2]))) == []


def vectors_by_name(items):
    """Vectors that a shop brings: of each product's kind."""
    kinds = ("tea", "cup", "pot")
    return {product.pk: [float(kind in product.name) for kind in kinds] for product in items.values()}


def test_a_shop_may_bring_vectors_of_its_own(products, promote, settings):
    settings.SESSREC = settings.SESSREC | {"ITEM_VECTORS": "tests.serving.test_cold_start.vectors_by_name"}
    ids = [str(product.pk) for product in products]
    draw = np.random.default_rng(0)
    kinds = [ids[start : start + 10] for start in (0, 10, 20)]
    promote(
        [draw.choice(kind, 6, replace=False).tolist() for kind in kinds for _ in range(60)],
        intents=True,
        content=True,
    )
    arrive("cup 99", "elsewhere")
    assert active("neighbours").cold_start.vocabulary is None
    assert of_content(chosen(Visit([ids[10]], ids[11]))) == ["cup 99"]
    assert of_content(chosen(Visit([ids[0]], ids[1]))) == []
