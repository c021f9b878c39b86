"""A shop's own rules and its own template, by public doors only."""

import pytest
from django.test import RequestFactory

from django_sessrec.recommendations import (
    Candidate,
    RuleContext,
    Visit,
    choose,
    get_recommendations,
    placement_for,
    render,
)
from tests.demo.models import Product

pytestmark = pytest.mark.django_db

HERE = __name__


@pytest.fixture(autouse=True)
def _model(trails, promote):
    promote(trails)


def no_tea(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return [each for each in items if each.item.category != "tea"]


def cheapest_first(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return sorted(items, key=lambda each: each.item.price)


class ACupToEachTea:
    """A rule as a class: its instances are called."""

    def __call__(self, items: list[Candidate], context: RuleContext) -> list[Candidate]:
        return [context.propose(Product.objects.get(name="cup 3")), *items]


def not_twice_what_is_in_the_basket(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return [each for each in items if each.item_id not in context.visit.basket]


def for_wholesale_only(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return items if context.request and "x-wholesale" in context.request.headers else []


def mistaken(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    raise RuntimeError("the shop's own mistake")


def forgetful(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """Returns nothing at all."""


def proposing_what_may_not_be_shown(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    named = Product.objects.filter(name__in=["tea 1", "tea 3", "tea 5", "tea 8"])
    return [*(context.propose(product) for product in named), *items]


def shown(item: Product, request=None) -> list[Product]:
    return [each.item for each in get_recommendations(request, "product_page", item=item).items]


def test_a_rule_hides_and_the_list_is_full_all_the_same(products, placement):
    placement(RULES=[f"{HERE}.no_tea"])
    assert "tea" in {product.category for product in products[:10]}
    after = shown(products[8])
    assert len(after) == 8
    assert "tea" not in {product.category for product in after}


def test_rules_are_applied_in_their_order(products, placement):
    Product.objects.filter(pk=products[16].pk).update(price=1)
    placement(RULES=[f"{HERE}.no_tea", f"{HERE}.cheapest_first"])
    assert shown(products[8])[0] == products[16]


def test_a_rule_may_be_a_class_and_add_an_item(products, placement):
    placement(RULES=[f"{HERE}.ACupToEachTea"])
    first = get_recommendations(None, "product_page", item=products[8]).items[0]
    assert (first.item.name, first.step, first.reason) == ("cup 3", "rule", "rule")
    assert first.fields["title"] == "cup 3"


def test_what_a_rule_adds_is_judged_as_the_rest_is(products, placement):
    Product.objects.filter(name="tea 1").update(stock=0)
    Product.objects.filter(name="tea 3").update(sensitive=True)
    placement(RULES=[f"{HERE}.proposing_what_may_not_be_shown"], EXCLUDED=[products[5].pk])
    after = shown(products[8])
    assert not {"tea 1", "tea 3", "tea 5", "tea 8"} & {product.name for product in after}
    assert len(after) == 8


@pytest.mark.parametrize("place", [0, 3])
def test_what_a_rule_adds_counts_for_its_category_wherever_it_stands(products, placement, place):
    def with_a_cup(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        return [*items[:place], context.propose(products[13]), *items[place:]]

    placement(RULES=[with_a_cup], MAX_PER_CATEGORY=1)
    after = shown(products[8])
    assert products[13] in after
    assert sorted(each.category for each in after) == ["cup", "pot", "tea"]


def test_what_a_rule_adds_behind_the_list_takes_no_place_of_its_category(products, placement):
    placement(MAX_PER_CATEGORY=1, LIMIT=2)
    before = shown(products[8])
    filler = next(each for each in products[1::2] if each.category == before[0].category)

    def with_a_filler(items: list[Candidate], context: RuleContext) -> list[Candidate]:
        return [*items, context.propose(filler)]

    placement(MAX_PER_CATEGORY=1, LIMIT=2, RULES=[with_a_filler])
    assert shown(products[8])[0] == before[0]


def test_a_rule_knows_the_basket(visitor, products, placement):
    placement(RULES=[f"{HERE}.not_twice_what_is_in_the_basket"])
    visit = Visit(items=[str(products[6].pk)], current=str(products[8].pk), basket=[str(products[10].pk)])
    settled = placement_for("product_page", visit)
    ids = [each.item_id for each in choose(visit, settled).items]
    assert str(products[10].pk) not in ids
    assert str(products[10].pk) in [
        each.item_id for each in choose(Visit(items=visit.items, current=visit.current), settled).items
    ]


def test_a_rule_knows_the_request(products, placement):
    placement(RULES=[f"{HERE}.for_wholesale_only"])
    assert shown(products[8]) == []
    assert len(shown(products[8], RequestFactory().get("/", headers={"x-wholesale": "1"}))) == 8


@pytest.mark.parametrize("rule", ["mistaken", "forgetful", "no_such_rule"])
def test_a_rule_that_fails_costs_itself_only(products, placement, caplog, rule):
    placement(RULES=[f"{HERE}.{rule}", f"{HERE}.no_tea"])
    after = shown(products[8])
    assert len(after) == 8
    assert "tea" not in {product.category for product in after}
    assert f"the rule '{HERE}.{rule}'" in caplog.text


def test_a_rule_of_one_variant_is_not_applied_to_the_other(products, placement, settings):
    variants = {"a": {"SHARE": 1}, "b": {"SHARE": 1, "RULES": [f"{HERE}.no_tea"]}}
    placement(EXPERIMENT={"NAME": "tea", "VARIANTS": variants})
    assert placement_for("product_page").rules == ()


def test_a_list_is_drawn_by_a_template_of_the_shops(products, placement, settings, tmp_path):
    (tmp_path / "strip.html").write_text(
        "{% for item in recommendations.items %}<b>{{ item.position }}. {{ item.item.name }}</b>{% endfor %}"
    )
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    placement(TEMPLATE="strip.html", LIMIT=2)
    recommendations = get_recommendations(None, "product_page", item=products[8])
    names = [item.item.name for item in recommendations.items]
    assert render(recommendations) == f"<b>1. {names[0]}</b><b>2. {names[1]}</b>"
