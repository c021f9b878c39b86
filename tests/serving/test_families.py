"""Variants as families: one of each is shown, in stock, and a view of one counts for all."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from django_sessrec.admin.products import shown_products
from django_sessrec.figure_models import DailyItem
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import today
from django_sessrec.models import PlacementRule
from django_sessrec.operations.catalogue_quality import quality
from django_sessrec.recommendations import Placement, Visit, choose, get_recommendations
from django_sessrec.serving import families
from django_sessrec.serving.inspection import lists_side_by_side, standings
from django_sessrec.serving.merchant_rules import Merchandising
from django_sessrec.training.dataset import read
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.visits import store_visits

pytestmark = pytest.mark.django_db


class FamilyCatalogue(DemoCatalogue):
    parent_field = "family"


@pytest.fixture
def shop(products, trails, promote, settings):
    """Thirty products, of which pots 0 to 3 are variants of "round" and pots 4 to 7 of "square"."""
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_families.FamilyCatalogue"}
    Product.objects.filter(pk__in=[each.pk for each in products[20:24]]).update(family="round")
    Product.objects.filter(pk__in=[each.pk for each in products[24:28]]).update(family="square")
    by_id = {str(each.pk): each.family or str(each.pk) for each in Product.objects.all()}
    promote([[by_id[item_id] for item_id in trail] for trail in trails])
    return products


def family_names(choice) -> list[str]:
    return [each.item.family for each in choice.items if each.item.family]


def listed(visit: Visit, **keys):
    return choose(visit, Placement("preview", **{"models": ("neighbours",), "limit": 8} | keys))


def test_one_of_a_family_is_shown(shop):
    choice = listed(Visit(current=str(shop[18].pk)), limit=20)
    found = family_names(choice)
    assert sorted(found) == ["round", "square"]
    assert next(each.step for each in choice.items if each.item.family) == "model"


def test_it_is_the_one_with_the_most_in_stock(shop):
    Product.objects.filter(pk=shop[22].pk).update(stock=9)
    choice = listed(Visit(current=str(shop[18].pk)))
    assert str(shop[22].pk) in [each.item_id for each in choice.items]


def test_a_variant_that_sells_out_meanwhile_gives_way_to_another(shop):
    Product.objects.filter(pk=shop[22].pk).update(stock=9)
    visit = Visit(current=str(shop[18].pk))
    listed(visit)
    Product.objects.filter(pk=shop[22].pk).update(stock=0)
    found = [each.item for each in listed(visit).items if each.item.family == "round"]
    assert len(found) == 1
    assert found[0].stock > 0


def test_a_family_without_stock_is_not_shown(shop):
    Product.objects.filter(family="round").update(stock=0)
    assert "round" not in family_names(listed(Visit(current=str(shop[18].pk)), limit=20))


def test_a_model_hears_the_family_and_the_reason_names_the_variant(shop):
    """No model has heard of pot 1 itself."""
    clicked = str(shop[21].pk)
    choice = listed(Visit(items=[clicked], current=clicked))
    assert choice.answer.step == "model"
    assert {item_id for each in choice.items if each.step == "model" for item_id in each.because} == {clicked}


@pytest.mark.parametrize("known_as", ["items", "basket", "purchases", "current"])
def test_none_of_a_family_that_the_visitor_has_seen_or_decided_on(shop, known_as):
    value = str(shop[20].pk) if known_as == "current" else [str(shop[20].pk)]
    visit = Visit(**{"current": str(shop[18].pk), known_as: value})
    assert "round" not in family_names(listed(visit, limit=20, hide_viewed=True))


def test_a_pinned_variant_stands_for_its_family(shop):
    choice = listed(Visit(current=str(shop[18].pk)), pinned=(str(shop[23].pk),), limit=20)
    assert [each.item_id for each in choice.items if each.item.family == "round"] == [str(shop[23].pk)]


def test_a_model_that_was_trained_before_the_shop_named_families_goes_on_serving(shop, trails, promote):
    promote(trails)
    choice = listed(Visit(items=[str(shop[20].pk)], current=str(shop[18].pk)), limit=20)
    assert choice.answer.step == "model"
    assert len(set(family_names(choice))) == len(family_names(choice))


def test_a_family_whose_parent_is_gone_is_a_family_still(shop):
    """The parent's id names no product here at all."""
    assert get_recommendations(None, "product_page", item=shop[18]).items


def test_families_are_asked_for_once_a_minute(shop):
    visit = Visit(items=[str(shop[20].pk)], current=str(shop[18].pk))
    listed(visit)
    with CaptureQueriesContext(connection) as queries:
        listed(visit)
    assert not asked_for_families(queries)
    families.forget()
    with CaptureQueriesContext(connection) as queries:
        listed(visit)
    assert asked_for_families(queries)


def test_a_shop_without_families_is_asked_nothing(products, trails, promote):
    promote(trails)
    with CaptureQueriesContext(connection) as queries:
        listed(Visit(current=str(products[8].pk)))
    assert not asked_for_families(queries)


def asked_for_families(queries) -> list[str]:
    columns = (each["sql"].partition(" FROM ")[0] for each in queries)
    return [each for each in columns if each.endswith(('"family"', '"family" AS "family"'))]


@pytest.mark.django_db(transaction=True)
def test_views_of_variants_are_learnt_as_views_of_the_family(shop):
    now = datetime.now(UTC)
    start = now - timedelta(hours=3)
    names = [str(shop[n].pk) for n in (0, 20, 22, 1)]
    store_visits([(uuid7(start), start, names)])
    log, counts = read(now - timedelta(days=1), now + timedelta(minutes=1))
    assert log.index.item_ids(log[0]) == [names[0], "round", "round", names[3]]
    assert (counts.items, counts.sessions) == (3, 1)


@pytest.mark.parametrize("kind", ["pin", "sponsored"])
def test_a_variant_that_a_merchant_places_stands_for_its_family(shop, kind):
    placed, visit = str(shop[23].pk), Visit(current=str(shop[18].pk))
    usual = [each.item_id for each in listed(visit, limit=20).items if each.item.family == "round"]
    assert usual
    assert usual != [placed], "another variant would be shown"
    rule = PlacementRule(pk=1, kind=kind, parameters={"item": placed, "position": 3})
    choice = listed(visit, limit=20, merchandising=Merchandising.of([rule]))
    assert [each.item_id for each in choice.items if each.item.family == "round"] == [placed]
    assert choice.items[2].item_id == placed
    [dropped] = [each for each in choice.dropped if each.item_id == usual[0]]
    assert dropped.trace[-1].rule == "one_of_a_family"


def test_a_list_that_is_filled_again_shows_one_of_a_family_and_keeps_the_limit_of_a_category(shop):
    """What a price window left out comes back, but no second variant and none that the visitor knows."""
    window = PlacementRule(pk=1, kind="price", parameters={"low": 1000})
    filled = {"merchandising": Merchandising.of([window]), "limit": 20}
    knows_round = Visit(items=[str(shop[21].pk)], current=str(shop[18].pk))
    assert family_names(listed(Visit(current=str(shop[18].pk)), **filled)).count("square") == 1
    assert family_names(listed(knows_round, **filled)) == ["square"]
    few = listed(knows_round, **filled, max_per_category=2)
    assert Counter(each.item.category for each in few.items) == {"tea": 2, "cup": 2, "pot": 2}


def test_two_variants_that_a_merchant_places_are_both_shown(shop):
    placed = [str(shop[n].pk) for n in (21, 23)]
    rules = [
        PlacementRule(pk=n, kind="pin", parameters={"item": item_id, "position": 1})
        for n, item_id in enumerate(placed)
    ]
    choice = listed(Visit(current=str(shop[18].pk)), merchandising=Merchandising.of(rules))
    assert [each.item_id for each in choice.items if each.item.family == "round"] == placed


def test_the_inspector_asks_models_by_families_and_shows_variants(shop):
    variant = str(shop[20].pk)
    [own, _popular] = lists_side_by_side([variant], 8)
    assert own.items, "the model knows the family of the product"
    [standing] = standings([str(shop[18].pk)], variant)
    assert standing.knows
    assert standing.rank
    shown = shown_products(["round", variant, "piano"])
    assert shown["round"].title in {each.name for each in shop[20:24]}
    assert shown["round"].offered
    assert not shown["piano"].offered


def test_a_variant_is_not_never_shown_where_another_of_its_family_is(shop):
    DailyItem.objects.create(
        day=today(), item_id=str(shop[20].pk), shown=9, seen=9, clicked=1, bought=0, sold=0
    )
    [never] = [group for group in quality().groups if group.key == "never_shown"]
    assert never.count == len(shop) - 4


class Slow(FamilyCatalogue):
    asked, go_on = threading.Event(), threading.Event()

    def families(self, item_ids):
        if threading.current_thread().name == "first page" and len(item_ids) > 2:
            self.asked.set()
            assert self.go_on.wait(60)
        return super().families(item_ids)


class FailsOnce(FamilyCatalogue):
    failed = False

    def families(self, item_ids):
        if not FailsOnce.failed and len(item_ids) > 2:
            FailsOnce.failed = True
            raise OSError("the database was away for a moment")
        return super().families(item_ids)


@pytest.fixture
def one_family(products, trails, promote, settings):
    def of(catalogue):
        settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"{__name__}.{catalogue}"}
        Product.objects.filter(category="pot").update(family="round")
        promote(trails)
        families.forget()
        return Visit(current=str(products[18].pk)), Placement("preview", ("neighbours",), limit=20)

    return of


@pytest.mark.django_db(transaction=True)
def test_a_page_knows_families_while_another_one_asks_for_them(one_family):
    visit, placement = one_family("Slow")

    def first_page():
        try:
            choose(visit, placement)
        finally:
            connections.close_all()

    thread = threading.Thread(target=first_page, name="first page")
    thread.start()
    assert Slow.asked.wait(60)
    try:
        items = choose(visit, placement).items
    finally:
        Slow.go_on.set()
        thread.join()
    assert sum(each.item.family == "round" for each in items) == 1


def test_families_that_could_not_be_asked_once_are_asked_again(one_family):
    visit, placement = one_family("FailsOnce")
    with pytest.raises(OSError, match="away"):
        choose(visit, placement)
    items = choose(visit, placement).items
    assert sum(each.item.family == "round" for each in items) == 1
