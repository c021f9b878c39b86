"""A merchant's rules over real lists: what each does, says, and leaves where it would leave nothing."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from django_sessrec.models import PlacementRule, RuleSet
from django_sessrec.recommendations import Placement, Visit, choose, get_recommendations, render
from django_sessrec.serving.merchant_rules import Merchandising
from django_sessrec.serving.visit import group_of
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def rule(pk: int, kind: str, *, starts_at=None, ends_at=None, group="", **parameters) -> PlacementRule:
    return PlacementRule(
        pk=pk, kind=kind, parameters=parameters, starts_at=starts_at, ends_at=ends_at, group=group
    )


@pytest.fixture
def shop(products, trails, promote):
    """The evens follow the evens, whatever their category: 0-9 teas, 10-19 cups, 20-29 pots."""
    promote(trails)
    return products


@pytest.fixture
def visit(shop) -> Visit:
    return Visit(items=[str(shop[n].pk) for n in (2, 4)], current=str(shop[8].pk))


def chosen(visit: Visit, *rules: PlacementRule, **keys):
    keys = {"models": ("neighbours",), "limit": 8} | keys
    return choose(visit, Placement("preview", merchandising=Merchandising.of(rules), **keys))


def ids(choice) -> list[str]:
    return [each.item_id for each in choice.items]


def kinds(choice) -> list[str]:
    return [each.item.category for each in choice.items]


def why(choice, item_id: str) -> list[tuple]:
    return [
        (step.rule, step.what)
        for each in (*choice.items, *choice.dropped)
        if each.item_id == item_id
        for step in each.trace
    ]


def attribute(name: str, *values: str) -> dict:
    return {"attribute": name, "values": list(values)}


def test_a_pinned_product_stands_at_its_place_and_says_so(visit, shop):
    usual = ids(chosen(visit, limit=4))
    pinned = str(shop[21].pk)
    choice = chosen(visit, rule(7, "pin", item=pinned, position=3), limit=4)
    assert ids(choice) == [*usual[:2], pinned, usual[2]]
    assert why(choice, pinned) == [("merchant:7", "added")]
    assert choice.answer.step == "model"


def test_a_pinned_product_that_a_model_names_too_is_moved_and_shown_once(visit):
    usual = ids(chosen(visit))
    choice = chosen(visit, rule(7, "pin", item=usual[5], position=1))
    assert ids(choice)[0] == usual[5]
    assert len(set(ids(choice))) == 8


def test_two_products_pinned_to_one_place_follow_each_other(visit, shop):
    one, two = str(shop[21].pk), str(shop[23].pk)
    choice = chosen(visit, rule(1, "pin", item=one, position=2), rule(2, "pin", item=two, position=2))
    assert ids(choice)[1:3] == [one, two]


@pytest.mark.parametrize("state", ["sold out", "on the page", "deleted", "sensitive"])
def test_a_pinned_product_that_may_not_be_shown_leaves_its_place_to_the_next(visit, shop, state):
    usual, product = ids(chosen(visit)), shop[21]
    if state == "sold out":
        Product.objects.filter(pk=product.pk).update(stock=0)
    elif state == "sensitive":
        Product.objects.filter(pk=product.pk).update(sensitive=True)
    elif state == "deleted":
        Product.objects.filter(pk=product.pk).delete()
    item = visit.current if state == "on the page" else str(product.pk or 0)
    assert ids(chosen(visit, rule(7, "pin", item=item, position=1))) == usual


def test_a_product_that_is_hidden_and_pinned_is_hidden(visit, shop):
    item = str(shop[21].pk)
    choice = chosen(visit, rule(1, "pin", item=item, position=1), rule(2, "hide", **attribute("item", item)))
    assert item not in ids(choice)
    assert len(choice.items) == 8


def test_hidden_products_are_replaced_and_say_by_which_rule(visit):
    usual = ids(chosen(visit))
    choice = chosen(visit, rule(3, "hide", **attribute("item", *usual[:2])))
    assert not set(usual[:2]) & set(ids(choice))
    assert len(choice.items) == 8
    assert why(choice, usual[0]) == [("merchant:3", "dropped")]


def test_a_category_can_be_hidden(visit):
    assert "tea" in kinds(chosen(visit))
    assert "tea" not in kinds(chosen(visit, rule(1, "hide", **attribute("category", "tea"))))


def test_a_boosted_category_moves_up_by_so_many_places(visit):
    usual = chosen(visit)
    first_pot = kinds(usual).index("pot") if "pot" in kinds(usual) else None
    target = usual.items[5]
    choice = chosen(visit, rule(1, "boost", places=2, **attribute("item", target.item_id)))
    assert ids(choice).index(target.item_id) == 3
    assert first_pot is None or len(choice.items) == 8
    moved = next(each for each in choice.items if each.item_id == target.item_id)
    assert [tuple(step) for step in moved.trace] == [("merchant:1", "moved", 2)]


def test_a_buried_product_moves_down_or_to_the_end(visit):
    usual = ids(chosen(visit))
    down = ids(chosen(visit, rule(1, "bury", places=3, **attribute("item", usual[1]))))
    assert down.index(usual[1]) == 4
    assert usual[1] not in ids(chosen(visit, rule(1, "bury", places=0, **attribute("item", usual[1]))))


@pytest.mark.parametrize(("most", "window"), [(1, 2), (2, 4), (1, 3), (2, 0)])
def test_no_window_of_the_list_has_more_of_a_category_than_the_cap(visit, most, window):
    found = kinds(chosen(visit, rule(1, "cap", attribute="category", most=most, window=window), limit=6))
    assert len(found) == 6
    width = window or len(found)
    for start in range(len(found) - width + 1):
        inside = found[start : start + width]
        assert max(map(inside.count, inside)) <= most, found


def test_a_cap_counts_a_pinned_product_that_comes_later(visit, shop):
    pin = rule(1, "pin", item=str(shop[9].pk), position=3)
    found = kinds(chosen(visit, pin, rule(2, "cap", attribute="category", most=1, window=3), limit=6))
    assert found[2] == "tea"
    assert "tea" not in (*found[:2], *found[3:5])


def test_the_price_window_follows_the_price_on_the_page(visit, shop):
    Product.objects.filter(pk__in=[each.pk for each in shop[::4]]).update(price=100)
    Product.objects.filter(pk=shop[8].pk).update(price=10)
    choice = chosen(visit, rule(1, "price", low=0.5, high=2, relative=True), limit=4)
    assert {each.item.price for each in choice.items} == {10}
    choice = chosen(visit, rule(1, "price", low=50), limit=4)
    assert {each.item.price for each in choice.items} == {100}


def test_same_and_other_category_than_the_product_on_the_page(visit):
    assert set(kinds(chosen(visit, rule(1, "related", attribute="category", same=True), limit=5))) == {"tea"}
    assert "tea" not in kinds(chosen(visit, rule(1, "related", attribute="category", same=False)))


def test_never_beside_holds_for_the_page_and_within_the_list(visit):
    beside = rule(1, "beside", **attribute("category", "cup"), other=attribute("category", "tea"))
    assert "cup" not in kinds(chosen(visit, beside)), "a tea is on the page"
    found = kinds(chosen(Visit(items=visit.items), beside))
    assert not {"cup", "tea"} <= set(found)


def test_low_stock_goes_last_or_out(visit):
    usual = ids(chosen(visit))
    Product.objects.filter(pk=usual[0]).update(stock=1)
    assert usual[0] not in ids(chosen(visit, rule(1, "stock", pieces=2)))
    last = ids(chosen(visit, rule(1, "stock", pieces=2, last=True), limit=29))
    assert last[-1] == usual[0]


def test_a_sponsored_product_is_labelled(shop, settings):
    rules = RuleSet.objects.create(placement="product_page", published_at=NOW)
    rules.rules.create(kind="sponsored", parameters={"item": str(shop[21].pk), "position": 2})
    recs = get_recommendations(None, "product_page", item=shop[8])
    assert recs.items[1].item == shop[21]
    assert recs.items[1].sponsored
    assert render(recs).count("Sponsored") == 1


def test_one_that_is_pinned_and_paid_for_says_that_it_is_paid_for(visit, shop):
    item = str(shop[21].pk)
    choice = chosen(visit, rule(1, "pin", item=item, position=2), rule(2, "sponsored", item=item, position=5))
    assert ids(choice)[1] == item
    assert choice.items[1].step == "sponsored"


@pytest.mark.parametrize("paid_for_by", ["the settings", "a rule of the shop's own"])
def test_what_is_paid_for_elsewhere_says_so_where_a_merchant_pins_it(visit, shop, paid_for_by):
    item = str(shop[21].pk)

    def paid(items, context):
        return [context.propose(item, sponsored=True), *items]

    keys = {"sponsored": (item,)} if paid_for_by == "the settings" else {"rules": (paid,)}
    choice = chosen(visit, rule(1, "pin", item=item, position=2), **keys)
    assert ids(choice).index(item) == 1
    assert (choice.items[1].step, choice.items[1].reason) == ("sponsored", "sponsored")


def test_a_rule_of_the_shops_own_labels_what_stands_in_the_list_already(visit):
    def paid(items, context):
        return [*items, context.propose(items[2].item_id, sponsored=True)]

    usual = ids(chosen(visit))
    choice = chosen(visit, rules=(paid,))
    assert ids(choice) == usual
    assert [each.step for each in choice.items[:3]] == ["model", "model", "sponsored"]


@pytest.mark.parametrize(
    ("dates", "applies"),
    [
        ({"ends_at": NOW - timedelta(days=1)}, False),
        ({"starts_at": NOW + timedelta(days=1)}, False),
        ({"starts_at": NOW - timedelta(days=1), "ends_at": NOW + timedelta(days=1)}, True),
        ({"starts_at": NOW - timedelta(days=1)}, True),
    ],
)
def test_a_rule_applies_between_its_dates(visit, shop, dates, applies):
    choice = chosen(visit, rule(1, "pin", item=str(shop[21].pk), position=1, **dates))
    assert (ids(choice)[0] == str(shop[21].pk)) is applies


def test_a_rule_may_be_for_pages_of_some_products_only(visit, shop):
    item = str(shop[21].pk)
    for on_screen, applies in (
        (attribute("category", "tea"), True),
        (attribute("category", "cup"), False),
        (attribute("item", visit.current), True),
        (attribute("item", item), False),
    ):
        choice = chosen(visit, rule(1, "pin", item=item, position=1, on_screen=on_screen))
        assert (ids(choice)[0] == item) is applies, on_screen


def test_a_rule_for_pages_of_some_products_applies_where_they_are_sold_out_too(visit, shop):
    hide = rule(1, "hide", on_screen=attribute("category", "tea"), **attribute("category", "cup"))
    beside = rule(2, "beside", **attribute("category", "cup"), other=attribute("category", "tea"))
    same = rule(3, "related", attribute="category", same=True)
    price = rule(4, "price", low=0.5, high=2, relative=True)
    Product.objects.filter(pk__in=[each.pk for each in shop[10:]]).update(price=100)
    Product.objects.filter(pk=shop[8].pk).update(stock=0)
    for each in (hide, beside, same, price):
        assert "cup" not in kinds(chosen(visit, each, limit=4)), each.kind


def test_a_sold_out_product_in_the_basket_settles_its_category(shop, settings):
    Product.objects.filter(pk=shop[4].pk).update(stock=0)
    visit = Visit(items=[str(shop[4].pk)], basket={str(shop[4].pk)})
    choice = chosen(visit, steps=("bought_together", "static"), limit=4)
    assert "tea" not in kinds(choice)


def test_a_rule_for_pages_of_a_category_applies_on_the_page_of_the_category_itself(visit, shop):
    pin = rule(1, "pin", item=str(shop[21].pk), position=1, on_screen=attribute("category", "pot"))
    assert ids(chosen(Visit(categories=["pot"]), pin))[0] == str(shop[21].pk)
    assert ids(chosen(Visit(categories=["tea"]), pin))[0] != str(shop[21].pk)
    assert ids(chosen(Visit(), pin))[0] != str(shop[21].pk)


class Odd(DemoCatalogue):
    """Answers with numbers that are none, and with values of any kind."""

    def attributes(self, item):
        numbers = (10**400, "1.299,00 EUR", float("nan"), None, "")
        number = numbers[item.pk % len(numbers)]
        return {"category": item.category, "price": number, "stock": number, "tags": {None: item.pk}}


def test_numbers_that_are_none_leave_the_rest_of_a_product_known(visit, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_merchandising.Odd"}
    usual = ids(chosen(visit))
    assert ids(chosen(visit, rule(1, "price", low=0.5, relative=True), rule(2, "stock", pieces=3))) == usual
    assert "tea" not in kinds(chosen(visit, rule(1, "hide", **attribute("category", "tea"))))


def test_a_rule_for_a_group_asks_the_request_and_makes_the_page_private(shop, settings, stranger):
    settings.SESSREC = settings.SESSREC | {"CUSTOMER_GROUP": "tests.serving.test_merchandising.group"}
    rules = RuleSet.objects.create(placement="product_page", published_at=NOW)
    rules.rules.create(kind="pin", parameters={"item": str(shop[21].pk), "position": 1}, group="trade")
    pages = {
        who: stranger.get(f"/demo/product/{shop[8].pk}/", headers={"x-group": who})
        for who in ("trade", "private", "")
    }
    assert [who for who, page in pages.items() if shop[21].name in page.content.decode()] == ["trade"]
    assert all("private" in page["Cache-Control"] for page in pages.values())
    assert get_recommendations(None, "product_page", item=shop[8]).items[0].item != shop[21]


def test_nobody_has_a_group_once_the_headers_have_left(settings):
    settings.SESSREC = settings.SESSREC | {"CUSTOMER_GROUP": "tests.serving.test_merchandising.group"}
    request = request_of(**{"x-group": "trade"})
    assert group_of(request) == "trade"
    request.sessrec.answered = True
    assert group_of(request) == ""


def group(request) -> str | None:
    return request.headers.get("x-group") or None


@pytest.mark.parametrize(
    "soft",
    [
        rule(1, "price", low=1000),
        rule(1, "stock", pieces=1000),
        rule(1, "cap", attribute="category", most=1),
        rule(1, "related", attribute="category", same=True),
    ],
)
def test_a_rule_that_leaves_too_little_fills_the_list_with_what_it_left_out(visit, soft):
    choice = chosen(visit, soft, limit=20)
    assert len(choice.items) == len(set(ids(choice))) == 20
    back = [each for each in choice.items if ("refilled", "added") in why(choice, each.item_id)]
    assert back
    assert not {each.item_id for each in choice.dropped} & set(ids(choice))


def test_hiding_everything_hides_everything(visit):
    assert not chosen(visit, rule(1, "hide", **attribute("category", "tea", "cup", "pot"))).items


def test_a_rule_that_cannot_be_read_is_left_out_and_logged(visit, caplog):
    usual = ids(chosen(visit))
    for broken in (
        rule(1, "pin", position=1),
        rule(2, "cap", attribute="category", most="many"),
        rule(3, "hide", attribute="item", values="12"),
        rule(4, "of another version"),
        rule(5, "pin", item="1", position=0),
        PlacementRule(pk=6, kind="hide", parameters=[]),
    ):
        assert ids(chosen(visit, broken)) == usual
    assert "merchant's rule" in caplog.text


def test_products_without_price_brand_and_stock_are_left_alone(visit, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_merchandising.Bare"}
    usual = ids(chosen(visit))
    rules = [
        rule(1, "price", low=50, high=60),
        rule(2, "stock", pieces=3),
        rule(3, "cap", attribute="brand", most=1),
        rule(4, "related", attribute="brand", same=True),
        rule(5, "boost", places=1, **attribute("brand", "Runa")),
    ]
    assert ids(chosen(visit, *rules)) == usual


def test_a_catalogue_whose_attributes_raise_costs_no_list(visit, settings, caplog):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_merchandising.Faulty"}
    assert len(chosen(visit, rule(1, "cap", attribute="category", most=1)).items) == 8
    assert "tell an item's attributes" in caplog.text


def test_a_product_whose_attributes_raise_may_be_one_that_is_hidden(visit, settings, shop):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_merchandising.Faulty"}
    assert chosen(visit, rule(1, "hide", **attribute("category", "cup"))).items == []
    assert len(chosen(visit, rule(1, "hide", **attribute("item", str(shop[0].pk)))).items) == 8
    pinned = rule(2, "pin", item=str(shop[21].pk), position=1)
    assert chosen(visit, pinned, rule(1, "hide", **attribute("category", "cup"))).items == []


@pytest.mark.parametrize("kind", ["pin", "sponsored"])
def test_what_a_merchant_places_uses_up_the_limit_of_its_category(visit, shop, kind):
    placed = [
        rule(number, kind, item=str(shop[number].pk), position=place)
        for place, number in enumerate((1, 3), 1)
    ]
    choice = chosen(visit, *placed, max_per_category=2, limit=6)
    assert Counter(kinds(choice)) == {"tea": 2, "cup": 2, "pot": 2}
    assert ids(choice)[:2] == [str(shop[1].pk), str(shop[3].pk)]


@pytest.mark.parametrize("kind", ["pin", "sponsored"])
def test_a_list_that_is_filled_again_leaves_what_is_placed_at_its_place(visit, shop, kind):
    pinned = str(shop[21].pk)
    Product.objects.filter(pk__in=[shop[10].pk, shop[11].pk]).update(price=500)
    choice = chosen(visit, rule(1, "price", low=100), rule(7, kind, item=pinned, position=5))
    assert len(choice.items) == 8
    assert ids(choice).index(pinned) == 4


def test_an_attribute_of_ten_thousand_values(visit, shop):
    values = [str(number) for number in range(10**6, 10**6 + 10_000)]
    choice = chosen(visit, rule(1, "hide", **attribute("category", *values, "tea")))
    assert len(choice.items) == 8
    assert "tea" not in kinds(choice)


def test_a_catalogue_of_one_category_still_fills_a_list_under_a_cap(visit):
    Product.objects.update(category="tea")
    assert len(chosen(visit, rule(1, "cap", attribute="category", most=2, window=6)).items) == 8


class Bare(DemoCatalogue):
    """Says nothing of a product but its title."""

    price_field = category_field = stock_field = None


class Faulty(DemoCatalogue):
    def attributes(self, item):
        raise LookupError("no such table")
