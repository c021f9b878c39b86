"""A preview: both lists of recent real sessions, and what a change does to them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sessrec.ids import uuid7
from django_sessrec.models import Impression, PlacementRule
from django_sessrec.serving import experiments, preview
from django_sessrec.serving.merchant_rules import NONE, Merchandising
from django_sessrec.serving.placements import placement_for
from django_sessrec.serving.preview import compare, recent_visits
from tests.support.experiments import an_experiment
from tests.support.history import happen, show

pytestmark = pytest.mark.django_db
PLACEMENT = "product_page"


@pytest.fixture
def sessions(products, trails, promote):
    """Twelve sessions, each of three views and a list on the third page; then one more view."""
    promote(trails)
    now = timezone.now()
    ids = []
    for n in range(12):
        start = now - timedelta(minutes=60 + n)
        session_id = uuid7(start)
        ids.append(session_id)
        for step in range(4):
            at = start + timedelta(minutes=step)
            happen(session_id, at, "view_item", str(products[2 * (n + step) % 30].pk))
            if step == 2:
                shown = [str(products[1].pk)]
                show(session_id, at + timedelta(seconds=1), shown, placement=PLACEMENT)
    return ids


def rules(*given) -> Merchandising:
    return Merchandising.of(
        PlacementRule(pk=n, kind=kind, parameters=parameters) for n, (kind, parameters) in enumerate(given, 1)
    )


def test_sessions_are_taken_as_they_were_when_they_saw_the_placement(sessions, products):
    visits = recent_visits(PLACEMENT)
    assert [each.session_id for each in visits] == sessions
    latest = visits[0]
    assert list(latest.items) == [str(products[n].pk) for n in (0, 2, 4)]
    assert latest.current == str(products[4].pk), "the page that the list stood on"


def test_a_placement_that_nobody_saw_is_tried_on_other_sessions(sessions):
    visits = recent_visits("home", limit=5)
    assert len(visits) == 5
    assert all(len(each.items) == 4 for each in visits)


def test_basket_and_purchases_are_those_of_that_moment(sessions, products):
    now = timezone.now()
    session_id = uuid7(now - timedelta(minutes=5))
    for n, (name, item) in enumerate(
        [("add_to_cart", 1), ("add_to_cart", 3), ("purchase", 3), ("add_to_cart", 5)]
    ):
        happen(session_id, now - timedelta(minutes=4 - n), name, str(products[item].pk))
    visit = recent_visits("home", limit=1)[0]
    assert list(visit.basket) == [str(products[n].pk) for n in (1, 5)]
    assert list(visit.purchases) == [str(products[3].pk)]


def test_a_bot_is_no_session(products, trails, promote):
    promote(trails)
    now = timezone.now()
    happen(uuid7(now), now, "view_item", str(products[1].pk), bot=True)
    assert recent_visits(PLACEMENT) == []


def test_a_preview_counts_what_changes_and_says_which_rule_did_it(sessions, products):
    item = str(products[29].pk)
    after = rules(
        ("pin", {"item": item, "position": 1}), ("hide", {"attribute": "item", "values": ["nothing"]})
    )
    compared = compare(PLACEMENT, recent_visits(PLACEMENT), NONE, after)
    assert (compared.sessions, compared.changed) == (12, 12)
    assert compared.new[item] >= 11
    assert sum(compared.gone.values()) == sum(compared.new.values())
    assert (compared.touched["merchant:1"], compared.touched["merchant:2"]) == (12, 0)
    assert len(compared.examples) == 5


def test_sessions_of_a_holdout_are_left_out_of_what_changes(sessions, products):
    an_experiment(state="running", variants={"lists": {}, "none": None})
    experiments.forget()
    visits = recent_visits(PLACEMENT)
    held = sum(placement_for(PLACEMENT, each).holdout for each in visits)
    compared = compare(PLACEMENT, visits, NONE, rules(("pin", {"item": str(products[29].pk), "position": 1})))
    assert (compared.holdouts, compared.sessions, compared.changed) == (held, 12 - held, 12 - held)
    assert {each.placement.variant for each in compared.examples} <= {"lists"}


def test_rules_that_leave_too_little_are_counted(sessions):
    visits = recent_visits(PLACEMENT)
    compared = compare(PLACEMENT, visits, NONE, rules(("price", {"low": 1000})))
    assert (compared.refilled, compared.short_after) == (12, 0)
    categories = {"attribute": "category", "values": ["tea", "cup", "pot"]}
    compared = compare(PLACEMENT, visits, NONE, rules(("hide", categories)))
    assert (compared.short_before, compared.short_after) == (0, 12)


def test_a_preview_stores_nothing_and_asks_the_catalogue_nothing_twice(sessions):
    visits = recent_visits(PLACEMENT)
    before = Impression.objects.count()
    with CaptureQueriesContext(connection) as queries:
        compare(PLACEMENT, visits, NONE, rules(("price", {"low": 1000})))
    asked = [each["sql"] for each in queries if "demo_product" in each["sql"]]
    assert len(set(asked)) == len(asked)
    assert Impression.objects.count() == before


def test_a_preview_ends_when_its_time_is_over(sessions, monkeypatch):
    assert compare(PLACEMENT, recent_visits(PLACEMENT), NONE, NONE, seconds=-1).sessions == 0
    monkeypatch.setattr(preview, "SECONDS", -1)
    assert compare(PLACEMENT, recent_visits(PLACEMENT), NONE, NONE).sessions == 0
