"""The shop's word over the models': stock, pins, exclusions, caps and sensitive goods."""

import pytest
from django.test import RequestFactory

from django_sessrec.catalogue import get_catalogue
from django_sessrec.recommendations import (
    Candidate,
    Placement,
    RuleContext,
    Visit,
    get_recommendations,
    render,
)
from django_sessrec.serving.intent_places import every_intent
from tests.demo.models import Product

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _model(trails, promote):
    promote(trails)


def shown(item: Product, **options) -> list[Product]:
    return [each.item for each in get_recommendations(None, "product_page", item=item, **options).items]


def test_sold_out_item_is_replaced(products):
    before = shown(products[8])
    Product.objects.filter(pk__in=[product.pk for product in before[:4]]).update(stock=0)
    after = shown(products[8])
    assert len(after) == 8
    assert not set(after) & set(before[:4])


def test_deleted_item_is_replaced(products):
    gone = shown(products[8])[0]
    Product.objects.filter(pk=gone.pk).delete()
    after = shown(products[8])
    assert len(after) == 8
    assert gone.name not in [product.name for product in after]


def test_all_but_three_sold_out(products):
    Product.objects.exclude(pk__in=[product.pk for product in products[20:23]]).update(stock=0)
    assert set(shown(products[0])) == set(products[20:23])


def test_pinned_items_come_first_and_say_so(products, placement):
    placement(PINNED=[str(products[29].pk), products[28].pk])
    recs = get_recommendations(None, "product_page", item=products[8])
    assert [item.item for item in recs.items[:2]] == [products[29], products[28]]
    assert [item.pinned for item in recs.items] == [True] * 2 + [False] * 6
    assert recs.step == "model", "what answered, not what was pinned"


def test_pinned_item_that_is_sold_out_or_on_screen_is_not_shown(products, placement):
    placement(PINNED=[str(products[29].pk), str(products[8].pk)])
    Product.objects.filter(pk=products[29].pk).update(stock=0)
    assert not {products[29], products[8]} & set(shown(products[8]))


def test_sponsored_items_follow_the_pinned_ones_and_are_labelled_wherever_they_stand(products, placement):
    both, paid = products[29], products[27]
    placement(PINNED=[str(both.pk), str(products[28].pk)], SPONSORED=[both.pk, paid.pk])
    recs = get_recommendations(None, "product_page", item=products[8])
    assert [item.item for item in recs.items[:3]] == [both, products[28], paid]
    assert [item.sponsored for item in recs.items] == [True, False, True] + [False] * 5
    assert recs.step == "model", "what answered, not what was paid for"
    assert render(recs).count("Sponsored") == 2


def test_excluded_items_are_not_shown(products, placement):
    first = shown(products[8])[0]
    placement(EXCLUDED=[first.pk])
    assert first not in shown(products[8])
    assert len(shown(products[8])) == 8


def test_no_more_of_a_category_than_the_cap(products, placement):
    placement(MAX_PER_CATEGORY=2)
    categories = [product.category for product in shown(products[8])]
    assert sorted(categories) == ["cup"] * 2 + ["pot"] * 2 + ["tea"] * 2


def test_pinned_items_count_for_the_cap_but_stay(products, placement):
    placement(MAX_PER_CATEGORY=1, PINNED=[str(products[28].pk), str(products[29].pk)])
    assert [product.category for product in shown(products[8])].count("pot") == 2


def test_sensitive_item_is_neither_shown_nor_pinned_nor_a_reason(products, placement):
    tea, cup = products[8], shown(products[8])[0]
    Product.objects.filter(pk__in=[tea.pk, cup.pk]).update(sensitive=True)
    placement(PINNED=[str(cup.pk)])
    recs = get_recommendations(None, "product_page", item=tea)
    assert len(recs.items) == 8
    assert cup not in [item.item for item in recs.items]
    assert not any(str(tea.pk) in item.because for item in recs.items)


def test_sold_out_item_is_no_reason_by_name(products):
    Product.objects.filter(pk=products[8].pk).update(stock=0)
    assert {
        item.because_title for item in get_recommendations(None, "product_page", item=products[8]).items
    } == {""}


def test_catalogue_gets_the_request(products, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.catalogues.ByCountry"}
    request = RequestFactory().get("/", headers={"accept-language": "de"})
    assert get_recommendations(request, "product_page", item=products[8]).items == []
    assert len(get_recommendations(RequestFactory().get("/"), "product_page", item=products[8]).items) == 8


def test_an_intent_gets_a_place_for_a_product_of_its_own_not_for_what_a_rule_added():
    """The leading intent has lost its places; behind the list stand a rule's filler and its own product."""
    items = [
        Candidate("a1", "model", "neighbours", intent="tea"),
        Candidate("a2", "model", "neighbours", intent="tea"),
        Candidate("filler", "rule", "rule"),
        Candidate("lead", "model", "neighbours"),
    ]
    context = RuleContext(Visit(), Placement("home", limit=2), get_catalogue())
    assert [each.item_id for each in every_intent(items, context)] == ["a1", "lead", "a2", "filler"]
