"""After an order: lists leave the kind that was bought alone, until the visitor looks at it again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from django_sessrec.models import PlacementRule
from django_sessrec.recommendations import Placement, Visit, choose, visit_of
from django_sessrec.serving.categories import choose_categories
from django_sessrec.serving.merchant_rules import Match, Merchandising, MerchantRule
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.history import happen
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db
HOME = Placement("home", ("neighbours",), steps=("model", "popular", "static"), limit=4)


@pytest.fixture
def ids(products, promote) -> list[str]:
    """Ten teas, ten cups, ten pots; whoever looks at one looks at others of its kind."""
    ids = [str(product.pk) for product in products]
    promote(
        [[ids[k + n], ids[k + (n + 1) % 10], ids[k + (n + 2) % 10]] for n in range(10) for k in (0, 10, 20)]
    )
    return ids


@pytest.fixture
def ordered(ids) -> Visit:
    """A visit that looked at a cup and at teas, and has bought one of these."""
    return Visit(items=[ids[10], ids[0], ids[1]], purchases=(ids[1],))


def kinds(choice) -> set[str]:
    return {each.item.category for each in choice.chosen}


def test_the_kind_that_was_bought_is_not_offered_again(ids, ordered):
    assert "tea" in kinds(choose(replace(ordered, purchases=()), HOME))
    choice = choose(ordered, HOME)
    assert len(choice.chosen) == HOME.limit
    assert "tea" not in kinds(choice)


def test_what_else_the_session_looked_at_is_heard_in_its_place(ids, ordered):
    first = choose(ordered, HOME).chosen[0]
    assert (first.step, first.because, first.item.category) == ("model", (ids[10],), "cup")


def test_what_no_model_proposed_is_left_out_too_and_the_trace_says_why(ids, ordered):
    choice = choose(ordered, replace(HOME, steps=("static",), limit=12))
    assert kinds(choice) == {"cup", "pot"}
    left_out = [each for each in choice.dropped if each.item and each.item.category == "tea"]
    assert {each.trace[-1].rule for each in left_out} == {"of_bought_categories"}


def test_a_look_at_another_one_counts_again(ids, ordered):
    assert "tea" in kinds(
        choose(replace(ordered, items=[*ordered.items, ids[5]], since_purchase=(ids[5],)), HOME)
    )
    assert "tea" in kinds(choose(replace(ordered, current=ids[5]), HOME))
    assert "tea" not in kinds(choose(replace(ordered, current=ids[1]), HOME)), "the page of what was bought"


@pytest.mark.parametrize("asked", [{"categories": ("tea",)}, {"query": "tea"}])
def test_who_asks_for_the_kind_gets_it(ordered, asked):
    steps = ("search", "category", "model", "static")
    assert "tea" in kinds(choose(replace(ordered, **asked), replace(HOME, steps=steps)))


def test_a_placement_may_show_it(ordered):
    assert "tea" in kinds(choose(ordered, replace(HOME, hide_bought_categories=False)))


def test_what_was_viewed_is_led_back_to(ids, ordered):
    choice = choose(ordered, replace(HOME, steps=("recently_viewed",)))
    assert [each.item_id for each in choice.chosen] == [ids[0], ids[10]]


def test_a_list_that_would_be_short_has_it_at_the_end(ids, ordered):
    Product.objects.filter(pk__in=[*ids[12:20], *ids[20:]]).update(stock=0)
    choice = choose(ordered, HOME)
    assert [each.item.category for each in choice.chosen] == ["cup", "tea", "tea", "tea"]


def test_in_a_shop_of_one_category_an_order_changes_nothing_but_the_order(ids, ordered):
    Product.objects.update(category="all")
    assert len(choose(ordered, HOME).chosen) == HOME.limit


def test_what_a_merchant_hides_does_not_fill_it_up(ids, ordered):
    Product.objects.filter(pk__in=ids[10:]).update(stock=0)
    hide = MerchantRule("hide", PlacementRule.Kind.HIDE, what=Match("item", frozenset(ids[2:6])))
    hiding = replace(HOME, merchandising=Merchandising(rules=(hide,)))
    assert {each.item_id for each in choose(ordered, hiding).chosen} <= {*ids[6:10]}


def test_what_a_merchant_hides_does_not_fill_up_the_list_of_a_basket(ids):
    """In a shop of one category, where all of the list is of the basket's own."""
    Product.objects.update(category="all")
    hide = MerchantRule("hide", PlacementRule.Kind.HIDE, what=Match("item", frozenset(ids[2:6])))
    steps = ("bought_together", "model", "static")
    hiding = replace(HOME, steps=steps, merchandising=Merchandising(rules=(hide,)))
    shown = {each.item_id for each in choose(Visit([ids[1]], basket=(ids[1],)), hiding).chosen}
    assert len(shown) == HOME.limit
    assert not shown & {*ids[2:6]}


class Several(DemoCatalogue):
    """Every product stands in a category that all share."""

    def category(self, item):
        return {item.category, "everything"}


def test_a_category_that_all_share_hides_nothing_of_another_kind(ordered, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"{__name__}.Several"}
    assert kinds(choose(ordered, replace(HOME, limit=12))) == {"cup", "pot"}


class Broken(DemoCatalogue):
    def known(self, item_ids):
        raise LookupError("no shop today")


class Unknown(DemoCatalogue):
    """What was bought is gone, or has no category."""

    def category(self, item):
        return None


@pytest.mark.parametrize("catalogue", [Broken, Unknown])
def test_a_catalogue_that_does_not_tell_leaves_the_list_as_it_was(ordered, settings, catalogue):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"{__name__}.{catalogue.__name__}"}
    assert "tea" in kinds(choose(ordered, HOME))
    assert choose(replace(ordered, purchases=("gone",)), HOME).chosen


def test_lists_of_categories_name_it_last(ids, ordered):
    names = [each.category for each in choose_categories(ordered, replace(HOME, limit=3))]
    assert names == ["cup", "pot", "tea"]


@pytest.mark.django_db(transaction=True)
def test_the_session_s_events_tell_what_came_after_the_order(ids):
    request = request_of()
    for name, item_id in [("view_item", ids[0]), ("purchase", ids[1]), ("view_item", ids[12])]:
        request.sessrec.record(name, item_id)
    assert visit_of(request).since_purchase == (ids[12],)
    request.sessrec.record("purchase", ids[12])
    assert visit_of(request).since_purchase == ()
    assert visit_of(request_of()).since_purchase == ()


def test_a_client_that_keeps_the_items_gets_the_list_of_the_page(ids):
    at = datetime.now(UTC) - timedelta(minutes=20)
    session_id = uuid7(at)
    deeds = [("view_item", ids[10]), ("view_item", ids[0]), ("purchase", ids[1]), ("view_item", ids[0])]
    for minute, (name, item_id) in enumerate(deeds):
        happen(session_id, at + timedelta(minutes=minute), name, item_id)
    request = request_of()
    request.COOKIES["sessrec"] = cookie.text_of(session_id)
    page, client = (
        choose(visit_of(request, items=items), HOME) for items in (None, [ids[10], ids[0], ids[0]])
    )
    assert kinds(page) >= {"tea"}, "the visitor came back to it after the order"
    assert [each.item_id for each in client.chosen] == [each.item_id for each in page.chosen]
