"""What models and rules say of an item, as the inspector asks."""

import pytest

from django_sessrec.serving.choose import choose
from django_sessrec.serving.inspection import POPULAR, absence, lists_side_by_side, standings
from django_sessrec.serving.placements import placement_for
from django_sessrec.serving.visit import Visit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process")]


def test_each_model_that_serves_has_its_list_and_popular_stands_beside(products, promote, trails):
    run = promote(trails)
    clicks = trails[0][:2]
    lists = lists_side_by_side(clicks, 5)
    assert [(each.model, each.run_id) for each in lists] == [("neighbours", run.pk), (POPULAR, None)]
    assert 0 < len(lists[0].items) <= 5
    assert not {each.item_id for each in lists[0].items} & set(clicks)


def test_the_rank_is_the_place_in_the_models_own_order(products, promote, trails):
    promote(trails)
    clicks = trails[0][:2]
    [own, _popular] = lists_side_by_side(clicks, 50)
    scores = [each.score for each in own.items]
    for each in own.items:
        [standing] = standings(clicks, each.item_id)
        assert standing.rank == sum(score >= each.score for score in scores)


def test_a_model_says_what_it_has_no_evidence_for_and_what_it_never_saw(products, promote, trails):
    promote(trails)
    evens, odds = trails[0], trails[-1]
    [standing] = standings(evens[:1], odds[0])
    assert (standing.knows, standing.rank) == (True, None)
    [standing] = standings(evens[:1], "unheard of")
    assert (standing.knows, standing.rank) == (False, None)


def test_the_rule_that_left_an_item_out_is_named(products, promote, trails, placement):
    promote(trails)
    visit = Visit(items=trails[0][:2])
    shown = choose(visit, placement_for("product_page", visit)).chosen[0].item_id
    placement(EXCLUDED=[shown])
    choice = choose(visit, placement_for("product_page", visit))
    found = absence(choice, shown, offered=True)
    assert (found.position, found.rule) == (None, "excluded")
    first = choice.chosen[0].item_id
    assert absence(choice, first, offered=True).position == 1
    never = absence(choice, "unheard of", offered=False)
    assert (never.position, never.rule, never.offered) == (None, None, False)
