"""A session that looks for two things sees both: in one list, or in rows of their own."""

from dataclasses import replace

import numpy as np
import pytest

from django_sessrec.ids import uuid7
from django_sessrec.models import PlacementRule
from django_sessrec.recommendations import Placement, Visit, choose, get_recommendations, render
from django_sessrec.recsys.intents import Intents
from django_sessrec.serving.active_models import active
from django_sessrec.serving.merchant_rules import Merchandising
from django_sessrec.serving.recommendations import remember
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db


class NamesKinds(DemoCatalogue):
    """A shop that says what its products are."""

    def kind(self, item):
        return f"{item.category}s"


@pytest.fixture
def shop(products, promote) -> list[str]:
    """Ids of ten teas, ten cups and ten pots; each past visitor looked at products of one kind."""
    ids = [str(product.pk) for product in products]
    draw = np.random.default_rng(0)
    kinds = [ids[start : start + 10] for start in (0, 10, 20)]
    promote([draw.choice(kind, 6, replace=False).tolist() for kind in kinds for _ in range(60)], intents=True)
    return ids


def kinds_of(items) -> list[str]:
    return [each.item.category for each in items]


def chosen(visit: Visit, **keys) -> list:
    return choose(visit, Placement("preview", ("neighbours",), **keys)).items


@pytest.fixture
def two_minds(shop) -> Visit:
    """Somebody who looked at two teas, and now at cups."""
    return Visit([shop[0], shop[1], shop[10], shop[11]], shop[12])


def test_the_earlier_intent_has_a_new_item_in_the_list(two_minds):
    assert kinds_of(chosen(two_minds, limit=4, intents="off")) == ["cup"] * 4
    assert sorted(kinds_of(chosen(two_minds, limit=4))) == ["cup"] * 3 + ["tea"]
    assert not {*two_minds.clicks} & {each.item_id for each in chosen(two_minds)}


def test_what_stands_for_an_intent_names_its_newest_click_and_its_reasons(shop, two_minds):
    items = chosen(two_minds, limit=4)
    assert [each.intent for each in items] == ["", "", shop[1], ""]
    for_tea = items[2]
    assert set(for_tea.because) <= {shop[0], shop[1]}
    assert (for_tea.step, for_tea.model) == ("model", "neighbours")


def intents_of(visit, **keys):
    settled = Placement("preview", ("neighbours",), **keys)
    with_session = replace(visit, session_id=uuid7(), consent="session")
    return remember(choose(with_session, settled), with_session, settled).session_intents


def test_a_list_remembers_how_many_intents_its_session_has(shop, two_minds):
    assert intents_of(two_minds) == 2
    assert intents_of(Visit([shop[0]], shop[1])) == 1
    assert intents_of(two_minds, intents="off") is None
    assert intents_of(Visit(), steps=("popular",)) is None


def test_a_session_with_one_intent_gets_the_list_as_ranked(shop):
    visit = Visit([shop[0], shop[1]], shop[2])
    assert chosen(visit) == chosen(visit, intents="off")


def test_a_model_published_without_intents_serves_as_it_ranks(products, promote, trails):
    promote(trails)
    assert active("neighbours").intents is None
    visit = Visit([str(products[0].pk), str(products[1].pk)], str(products[2].pk))
    assert chosen(visit) == chosen(visit, intents="off")


def test_an_intent_keeps_a_place_where_the_first_of_its_items_is_sold_out(two_minds):
    first = chosen(two_minds, limit=4)[2].item_id
    Product.objects.filter(pk=first).update(stock=0)
    items = chosen(two_minds, limit=4)
    assert "tea" in kinds_of(items)
    assert first not in {each.item_id for each in items}


def test_what_the_visitor_has_decided_on_takes_no_place(two_minds):
    first = chosen(two_minds, limit=4)[2].item_id
    for decided in ({"basket": (first,)}, {"purchases": (first,)}):
        items = chosen(replace(two_minds, **decided), limit=4, hide_bought_categories=False)
        assert first not in {each.item_id for each in items}
        assert "tea" in kinds_of(items)


def test_an_intent_that_an_order_has_settled_takes_no_place(two_minds):
    first = chosen(two_minds, limit=4)[2].item_id
    assert "tea" not in kinds_of(chosen(replace(two_minds, purchases=(first,)), limit=4))


@pytest.mark.parametrize("key", ["pinned", "sponsored"])
@pytest.mark.parametrize(("limit", "number"), [(3, 2), (8, 5), (8, 7)])
def test_an_intent_takes_no_place_of_what_the_shop_puts_first(shop, limit, number, key):
    visit = Visit([shop[0], shop[1], shop[10], shop[11]], shop[20])  # teas, cups, and now a pot
    placed = shop[29 : 29 - number : -1]
    items = chosen(visit, limit=limit, **{key: tuple(placed)})
    assert [each.item_id for each in items[:number]] == placed
    assert kinds_of(items)[number] == "pot", "the first of the others is about what is on screen"
    if limit - number == 3:
        assert {"tea", "cup"} <= set(kinds_of(items[number:]))


def test_a_list_of_one_is_about_what_is_on_screen(shop, two_minds):
    assert kinds_of(chosen(two_minds, limit=1)) == ["cup"]
    assert sorted(kinds_of(chosen(two_minds, limit=2))) == ["cup", "tea"]


@pytest.mark.parametrize("kind", ["pin", "sponsored"])
def test_rows_leave_what_a_merchant_places_at_its_place(shop, placement, kind):
    rule = PlacementRule(pk=1, kind=kind, parameters={"item": shop[25], "position": 8})
    visit = Visit([shop[0], shop[1]], shop[10])
    for intents in ("mixed", "rows"):
        items = chosen(visit, merchandising=Merchandising.of([rule]), intents=intents)
        assert items[7].item_id == shop[25]
    assert [each.intent for each in items] == [""] * 4 + [shop[1]] * 4, "it stands in the row before it"


@pytest.mark.parametrize("limits", [{}, {"max_per_category": 6}])
@pytest.mark.parametrize("intents", ["mixed", "rows"])
def test_an_interleaved_list_serves_every_intent_as_both_of_its_teams_do(shop, promote, intents, limits):
    draw = np.random.default_rng(1)
    kinds = [shop[start : start + 10] for start in (0, 10, 20)]
    trails = [draw.choice(kind, 6, replace=False).tolist() for kind in kinds for _ in range(60)]
    promote(trails, "itemknn", intents=True)
    keys = {"intents": intents, "limit": 8, "experiment": "which", "variant": "interleaved", **limits}
    teams = tuple(Placement("home", (model,), **keys) for model in ("neighbours", "itemknn"))
    for _ in range(10):
        visit = Visit([shop[0], shop[1]], shop[10], session_id=uuid7(), consent="session")
        of_teams = [kinds_of(choose(visit, team).items) for team in teams]
        merged = kinds_of(choose(visit, Placement("home", teams=teams, **keys)).items)
        assert "tea" in merged
        assert merged[0] == of_teams[0][0] == of_teams[1][0] == "cup"
        if intents == "rows":
            assert merged == of_teams[0]


def test_rows_hold_one_intent_each_the_one_on_screen_first(shop):
    items = chosen(Visit([shop[0], shop[1]], shop[10]), intents="rows")
    assert [each.intent for each in items] == [""] * 4 + [shop[1]] * 4
    assert set(kinds_of(items)[:4]) == {"cup"}
    assert set(kinds_of(items)[4:]) == {"tea"}


@pytest.mark.parametrize(
    ("catalogue", "heading"),
    [("NamesKinds", "More teas"), (None, "More like tea 1")],
)
def test_a_row_is_named_after_its_kind_or_after_what_was_viewed(
    shop, placement, settings, catalogue, heading
):
    placement(INTENTS="rows")
    if catalogue:
        settings.SESSREC["CATALOGUE"] = f"{__name__}.{catalogue}"
    recommendations = get_recommendations(request_of(), "product_page", items=shop[:2], item=shop[10])
    assert [(row.title, len(row.items)) for row in recommendations.rows] == [
        ("You may also like", 4),
        (heading, 4),
    ]
    html = render(recommendations)
    assert html.count("<h2") == html.count("<ul") == 2
    assert heading in html


def test_a_list_without_rows_has_one(shop, placement):
    placement(INTENTS="mixed")
    recommendations = get_recommendations(request_of(), "product_page", items=shop[:2], item=shop[10])
    assert [row.title for row in recommendations.rows] == ["You may also like"]
    assert recommendations.rows[0].items == recommendations.items


def test_intents_that_do_not_open_leave_the_run_before_in_service(shop, products, promote, settings):
    before = active("neighbours")
    run = promote([[str(products[0].pk), str(products[1].pk)]] * 3, intents=True)
    (settings.SESSREC["ARTIFACTS"] / run.artifact / "intents.npy").write_bytes(b"no array")
    assert active("neighbours") == before
    assert isinstance(before.intents, Intents)


def test_a_place_has_a_propensity_only_as_long_as_the_list_is_as_drawn(shop):
    missing = 0
    for _ in range(20):
        visit = Visit([shop[0], shop[1]], shop[10], session_id=uuid7(), consent="session")
        placement = Placement("home", ("neighbours",), explore=0.5, intents="rows")
        choice = choose(visit, placement)
        [drawn] = [each.after for each in choice.effects if each.rule == "explored"]
        row = remember(choice, visit, placement)
        for place, chance in enumerate(row.propensities):
            as_drawn = row.item_ids[: place + 1] == [each.item_id for each in drawn[: place + 1]]
            assert (chance is not None) == as_drawn
            missing += not as_drawn
    assert missing
