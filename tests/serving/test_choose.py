"""A list of any session under any placement, without a request, and why each item is in it or not."""

from dataclasses import replace
from typing import ClassVar
from uuid import uuid4

import pytest

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.ids import uuid7
from django_sessrec.models import Impression, PlacementRule
from django_sessrec.recommendations import Placement, Visit, choose, placement_for, remember, visit_of
from django_sessrec.serving.merchant_rules import Merchandising
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit(products, trails, promote) -> Visit:
    promote(trails)
    return Visit(items=[str(products[n].pk) for n in (2, 4)], current=str(products[8].pk))


def trace_of(item_id: str, choice) -> list[tuple]:
    return [
        tuple(step)
        for each in (*choice.items, *choice.dropped)
        if each.item_id == item_id
        for step in each.trace
    ]


@pytest.mark.parametrize("given", [{"items": "12"}, {"basket": "12"}, {"purchases": b"12"}])
def test_one_text_in_place_of_a_list_of_ids_is_refused(given):
    with pytest.raises(TypeError, match=f"{next(iter(given))}.*list of item ids"):
        Visit(**given)
    with pytest.raises(TypeError, match=r"items.*list of item ids"):
        visit_of(request_of(), items="12")


@pytest.mark.parametrize("wrong", [1.5, True, None, b"1"])
def test_a_visit_of_what_names_no_item_is_refused(wrong):
    with pytest.raises(TypeError, match="names no item"):
        Visit(items=["1", wrong])


def test_a_visit_keeps_every_id_as_text(products):
    numbers = [products[n].pk for n in (2, 4)]
    named = Visit(items=numbers, current=products[8], basket=(products[2],), purchases=iter(numbers))
    ids = [str(number) for number in numbers]
    assert [*named.items] == [*named.purchases] == ids
    assert (named.clicks, [*named.basket]) == ([*ids, str(products[8].pk)], ids[:1])
    number = uuid4()
    assert Visit(current=number).current == str(number)
    assert Visit(current=None).current == ""


def test_a_visit_of_whole_numbers_gets_the_list_of_the_same_texts(visit):
    settled = Placement("preview", models=("neighbours",), limit=5)
    numbers = Visit(items=[*map(int, visit.items)], current=int(visit.current))
    assert choose(numbers, settled).items == choose(visit, settled).items


def test_a_list_needs_no_request_and_leaves_nothing(visit):
    settled = Placement("preview", models=("neighbours",), limit=5)
    choice = choose(visit, settled)
    assert len(choice.items) == 5
    assert choice.answer.model == "neighbours"
    assert all(each.item is not None and each.fields["title"] for each in choice.items)
    assert not Impression.objects.exists()
    assert choose(visit, settled) == choice, "the same visit gets the same list"


def test_only_what_may_be_shown_has_its_reasons_worked_out(visit):
    settled = Placement("preview", ("neighbours",), excluded=(visit.items[0],))
    choice = choose(visit, settled)
    assert choice.chosen
    assert all(each.because for each in choice.chosen)
    left_out = {
        each.item_id: each for each in choice.dropped if each.trace[-1].rule in ("viewed", "excluded")
    }
    assert left_out.keys() == {*visit.items}
    assert {(each.reason, each.because) for each in left_out.values()} == {("viewed", ())}


def test_dropped_items_say_by_which_rule(visit, products):
    chosen = choose(visit, Placement("preview", ("neighbours",), hide_viewed=False)).items
    sold_out, hidden, capped = (each.item_id for each in chosen[:3])
    Product.objects.filter(pk=sold_out).update(stock=0)
    settled = Placement("preview", ("neighbours",), limit=4, excluded=(hidden,), hide_viewed=False)
    choice = choose(visit, settled)
    assert trace_of(sold_out, choice) == [("available", "dropped", 0)]
    assert trace_of(hidden, choice) == [("excluded", "dropped", 0)]
    assert trace_of(capped, choice) == []
    assert {each.trace[-1].rule for each in choice.dropped} == {"available", "excluded", "limit"}


def test_a_category_that_is_full_says_so(visit, products):
    choice = choose(visit, Placement("preview", ("neighbours",), limit=8, max_per_category=2))
    full = [each for each in choice.dropped if each.trace[-1].rule == "max_per_category"]
    assert full
    assert len(choice.items) == 6, "three categories of two"


def test_what_the_shop_put_first_says_by_whom(visit, products):
    shown = choose(visit, Placement("preview", ("neighbours",), hide_viewed=False)).items
    chosen = [each.item_id for each in shown]
    new = next(str(product.pk) for product in products[20:] if str(product.pk) not in chosen)
    settled = Placement("preview", ("neighbours",), pinned=(new, chosen[3]), hide_viewed=False)
    choice = choose(visit, settled)
    assert [each.item_id for each in choice.items[:2]] == [new, chosen[3]]
    assert trace_of(new, choice) == [("pinned", "added", 0)]
    assert trace_of(chosen[3], choice) == [("pinned", "moved", 3)]
    assert choice.answer.step == "model", "what answered, not what was pinned"


def test_hidden_because_viewed(visit):
    choice = choose(visit, Placement("preview", ("neighbours",), hide_viewed=True))
    assert {each.item_id for each in choice.dropped if each.trace[-1].rule == "viewed"} == set(visit.items)


def test_what_is_in_the_basket_or_bought_is_not_recommended_again(visit, products):
    first, second = (each.item_id for each in choose(visit, Placement("preview", ("neighbours",))).items[:2])
    decided = replace(visit, basket=(first,), purchases=(second,))
    choice = choose(decided, Placement("preview", ("neighbours",), hide_viewed=False))
    assert not {first, second} & {each.item_id for each in choice.items}
    assert trace_of(first, choice) == [("in_basket_or_bought", "dropped", 0)]


def test_the_recently_viewed_are_the_sessions_own_the_newest_first(products, visit):
    placement = Placement("seen", steps=("recently_viewed",), limit=3)
    one, two, three, four = (str(products[n].pk) for n in (1, 2, 3, 4))
    seen = Visit([one, two, one, three, four], four)
    choice = choose(seen, placement)
    assert [each.item_id for each in choice.items] == [three, one, two], "not the one on screen"
    assert {each.step for each in choice.items} == {"recently_viewed"}
    assert choose(Visit(), placement).items == [], "no step brings anything else"


def test_steps_are_asked_in_the_placements_order(visit, products):
    placement = Placement("mixed", ("neighbours",), steps=("recently_viewed", "static"), limit=5)
    steps = [each.step for each in choose(visit, placement).items]
    assert steps == sorted(steps, key=["recently_viewed", "static"].index)
    assert set(steps) == {"recently_viewed", "static"}


def test_an_unknown_step_brings_nothing(visit):
    assert choose(visit, Placement("typo", ("neighbours",), steps=("recenty_viewed",))).items == []


def test_an_item_of_several_steps_is_the_firsts(visit):
    items = choose(visit, Placement("preview", ("neighbours",), limit=29)).items
    assert len({each.item_id for each in items}) == len(items) == 27, "all but the viewed ones and this one"
    assert [each.step for each in items if each.step == "model"]


@pytest.mark.django_db(transaction=True)
def test_the_visit_of_a_request_is_its_session_and_this_page(products):
    request = request_of()
    for name, product in [("add_to_cart", 1), ("add_to_cart", 2), ("remove_from_cart", 1), ("purchase", 3)]:
        request.sessrec.record(name, products[product].pk)
    visit = visit_of(request, item=products[8])
    one, two, three, eight = (str(products[n].pk) for n in (1, 2, 3, 8))
    assert (visit.items, visit.current) == ((one, two), eight)
    assert (visit.basket, visit.purchases) == ((two,), (three,))
    assert visit.clicks == [one, two, eight]
    assert visit.session_id == request.sessrec.session_id


@pytest.mark.django_db(transaction=True)
def test_some_of_a_quantity_leaves_the_rest_in_the_basket(products):
    request = request_of()
    request.sessrec.record("add_to_cart", products[1].pk, quantity=3)
    request.sessrec.record("remove_from_cart", products[1].pk, quantity=2)
    assert visit_of(request).basket == (str(products[1].pk),)


def test_without_consent_the_visit_is_the_item_on_screen(products):
    request = request_of("no")
    visit = visit_of(request, item=products[8], items=[products[1].pk])
    assert (visit.items, visit.current, visit.session_id) == ((), str(products[8].pk), None)
    assert visit.consent == "contextual"


def test_nothing_is_remembered_without_a_session_or_a_list(visit, products):
    settled = placement_for("product_page")
    choice = choose(visit, settled)
    assert remember(choice, visit, settled) is None
    session_id = uuid7()
    hers = Visit(items=visit.items, current=visit.current, session_id=session_id, consent="session")
    impression = remember(choice, hers, settled)
    assert impression.session_id == session_id
    assert impression.item_ids == [each.item_id for each in choice.items]
    assert (impression.wanted, impression.session_clicks) == (8, len(visit.clicks))
    assert not Impression.objects.exists()
    nothing = Placement("none", rules=(lambda items, context: [],))
    assert remember(choose(hers, nothing), hers, nothing) is None


@pytest.mark.parametrize(
    ("given", "limit"), [("4", 4), (" 4", 4), (None, 8), ("", 8), ("four", 8), (0, 1), (10**9, 100)]
)
def test_a_limit_may_be_text_and_is_kept_in_bounds(given, limit):
    assert placement_for("product_page", limit=given).limit == limit


@pytest.fixture
def basket_shop(products, promote, settings) -> list[str]:
    """Ids of ten teas, cups and pots; whoever buys tea n buys cup n."""
    settings.SESSREC["MODELS"] |= {"bought_together": {"ESTIMATOR": "django_sessrec.recsys.BoughtTogether"}}
    ids = [str(product.pk) for product in products]
    promote([[ids[n], ids[10 + n]] for n in range(10) for _ in range(4)], "bought_together")
    promote([[ids[n], ids[(n + 1) % 10], ids[10 + n]] for n in range(10) for _ in range(4)])
    return ids


WITH_A_BASKET = Placement(
    "basket", ("neighbours",), steps=("bought_together", "model", "co_views", "popular", "static"), limit=4
)


def test_what_goes_with_the_basket_is_first_what_was_bought_with_all_its_lines(basket_shop):
    lines = (basket_shop[0], basket_shop[1])
    items = choose(Visit(list(lines), basket=lines), WITH_A_BASKET).items
    assert [each.item_id for each in items[:2]] == [basket_shop[10], basket_shop[11]]
    assert {(each.step, each.reason) for each in items[:2]} == {("bought_together", "bought_together")}


def test_nothing_of_a_kind_that_is_in_the_basket_is_recommended(basket_shop):
    tea, cup = basket_shop[0], basket_shop[12]
    choice = choose(Visit([tea, cup], basket=(tea, cup)), WITH_A_BASKET)
    assert {each.item.category for each in choice.items} == {"pot"}
    assert "not_in_place_of_it" in {each.trace[-1].rule for each in choice.dropped}


def test_where_all_that_a_model_names_is_of_the_basket_s_kind_the_next_step_is_asked(basket_shop, promote):
    """One category among the candidates is no shop of one category."""
    teas, cup = basket_shop[:10], basket_shop[12]
    promote([[teas[n], teas[(n + 1) % 10]] for n in range(10) for _ in range(4)])
    static = Placement("with", ("neighbours",), steps=("bought_together", "model", "static"), limit=4)
    items = choose(Visit([teas[0], cup], current=cup, basket=(teas[0],)), static).items
    assert len(items) == 4
    assert "tea" not in {each.item.category for each in items}


def test_a_shop_of_one_category_still_has_a_list_for_its_basket(basket_shop):
    Product.objects.update(category="all")
    lines = (basket_shop[0],)
    items = choose(Visit(list(lines), basket=lines), WITH_A_BASKET).items
    assert items[0].item_id == basket_shop[10]
    assert len(items) == 4


def no_cups(items, context):
    """A rule of the shop's own."""
    return [each for each in items if not each.item.name.startswith("cup")]


def test_what_a_list_of_one_category_gets_back_obeys_every_other_rule(basket_shop):
    """Hidden by a merchant, left out by the shop's own rule, over the limit: none of it comes back."""
    Product.objects.update(category="all")
    lines, hidden = (basket_shop[0],), basket_shop[21]
    hide = PlacementRule(pk=1, kind="hide", parameters={"attribute": "item", "values": [hidden]})
    sold_by_hand = replace(
        WITH_A_BASKET, rules=(f"{__name__}.no_cups",), merchandising=Merchandising.of([hide]), limit=20
    )
    items = choose(Visit(list(lines), basket=lines), sold_by_hand).items
    assert items
    assert hidden not in {each.item_id for each in items}
    assert not [each for each in items if each.item.name.startswith("cup")]
    few = choose(Visit(list(lines), basket=lines), replace(WITH_A_BASKET, max_per_category=2)).items
    assert len(few) == 2


def test_a_basket_of_two_hundred_lines_has_a_list(basket_shop):
    unknown = tuple(f"gone-{n}" for n in range(199))
    items = choose(Visit([], basket=(*unknown, basket_shop[0])), WITH_A_BASKET).items
    assert items[0].item_id == basket_shop[10]


def test_after_the_order_the_list_goes_with_what_was_bought(basket_shop):
    bought = Visit([basket_shop[3]], purchases=(basket_shop[3],))
    items = choose(bought, WITH_A_BASKET).items
    assert items[0].item_id == basket_shop[13]
    assert basket_shop[3] not in {each.item_id for each in items}


def test_without_a_basket_the_step_knows_nothing(basket_shop):
    assert choose(Visit(), Placement("with", steps=("bought_together",))).items == []


class OwnBasket(DemoCatalogue):
    """A shop that keeps baskets itself."""

    def basket(self, request):
        return request.COOKIES.get("lines", "").split()


@pytest.mark.django_db(transaction=True)
def test_the_shops_own_basket_stands_in_place_of_the_sessions_events(basket_shop, settings):
    settings.SESSREC["CATALOGUE"] = f"{__name__}.OwnBasket"
    request = request_of()
    request.sessrec.record("add_to_cart", basket_shop[5])
    request.COOKIES["lines"] = f"{basket_shop[0]} {basket_shop[1]} {basket_shop[0]}"
    visit = visit_of(request)
    assert visit.basket == (basket_shop[0], basket_shop[1])
    items = choose(visit, WITH_A_BASKET, request=request).items
    assert {each.item_id for each in items[:2]} == {basket_shop[10], basket_shop[11]}, (
        "also of an earlier visit"
    )
    stranger = request_of(consent="no")
    stranger.COOKIES["lines"] = basket_shop[0]
    assert visit_of(stranger).basket == (), "without consent a list hears the page alone"


class RubbishBasket(DemoCatalogue):
    """Lines of which some name no product, as of a basket that an older version of the shop has stored."""

    lines: ClassVar[list] = []

    def basket(self, request):
        return self.lines


def test_rubbish_in_a_basket_costs_only_itself(basket_shop, settings, caplog):
    settings.SESSREC["CATALOGUE"] = f"{__name__}.RubbishBasket"
    RubbishBasket.lines = [None, 1.5, ("7",), *["gone\x00", "\ud800", "x" * 9999] * 66, basket_shop[0]]
    visit = visit_of(request_of())
    assert visit.basket[-1] == basket_shop[0]
    items = choose(visit, WITH_A_BASKET).items
    assert items[0].item_id == basket_shop[10]
    assert basket_shop[0] not in {each.item_id for each in items}
    assert "could not tell the id of an item" in caplog.text


def test_what_the_request_leaves_out_is_not_shown(visit):
    first = choose(visit, Placement("preview", ("neighbours",))).items[0].item_id
    choice = choose(replace(visit, left_out=(first,)), Placement("preview", ("neighbours",)))
    assert first not in {each.item_id for each in choice.items}
    assert trace_of(first, choice) == [("left_out", "dropped", 0)]


class Asked(DemoCatalogue):
    """Keeps what it is asked for."""

    ids: ClassVar[list[list[str]]] = []

    def resolve(self, item_ids, request=None):
        self.ids.append(list(item_ids))
        return super().resolve(item_ids, request)


def test_a_list_is_looked_up_deeper_where_the_shops_rules_may_drop_more(products, visit):
    seen: list[int] = []

    def looks_on(items, context):
        seen.append(len(items))
        return items

    catalogue = TextCatalogue(Asked())
    Asked.ids.clear()
    without_rules = placement_for("product_page", visit, limit=4)
    assert len(choose(visit, without_rules, catalogue=catalogue).chosen) == 4
    assert len(choose(visit, replace(without_rules, rules=(looks_on,)), catalogue=catalogue).chosen) == 4
    plain, with_rules = (len({*ids} - {*visit.clicks}) for ids in Asked.ids)
    assert (plain, with_rules, seen) == (6, 8, [8])


def test_what_is_sold_out_is_replaced_even_if_it_is_all_that_was_looked_up_first(products, visit):
    placement = placement_for("product_page", visit, limit=4)
    first = [each.item_id for each in choose(visit, replace(placement, limit=6)).chosen]
    Product.objects.filter(pk__in=first).update(stock=0)
    items = [each.item_id for each in choose(visit, placement).chosen]
    assert len(items) == 4
    assert not {*items} & {*first}
