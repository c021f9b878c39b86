"""What a click teaches, by what its session did with the product."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.training.dataset import read
from django_sessrec.training.event_weights import EventWeights
from django_sessrec.training.pipeline import train
from tests.support.visits import click_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]

NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(days=1)
WEIGHTS = EventWeights(view=1, dwell=2, basket=3, purchase=5, dwell_seconds=30)


def did(*steps):
    """One session that does this, each (event, item, second)."""
    session = uuid7(START)
    copy_events(
        [click_row(session, item, START + timedelta(seconds=at), name=name) for name, item, at in steps]
    )


def taught(weights, *, from_files=False):
    log, _ = read(START - timedelta(hours=1), NOW, weights=weights, from_files=from_files)
    given = np.ones(log.n_clicks) if log.weights is None else log.weights
    return list(zip(log.index.item_ids(log.items), given.tolist(), strict=True))


@pytest.mark.parametrize("from_files", [False, True], ids=["postgres", "files"])
def test_the_furthest_thing_that_the_session_did_with_the_product_counts(from_files):
    did(
        ("view_item", "glanced at", 0),
        ("view_item", "read", 10),
        ("view_item", "bought", 40),
        ("add_to_cart", "bought", 45),
        ("view_item", "left in the basket", 50),
        ("view_item", "glanced at", 55),
        ("add_to_cart", "left in the basket", 60),
        ("add_to_cart", "from a list", 70),
        ("purchase", "bought", 300),
        ("purchase", "never clicked", 300),
    )
    assert taught(WEIGHTS, from_files=from_files) == [
        ("glanced at", 1),
        ("read", 2),
        ("bought", 5),
        ("left in the basket", 3),
        ("glanced at", 1),
        ("left in the basket", 3),
        ("from a list", 3),
    ]


def test_another_sessions_order_says_nothing_of_this_one():
    did(("view_item", "tea", 0), ("purchase", "tea", 5))
    did(("view_item", "tea", 0))
    assert sorted(weight for _, weight in taught(WEIGHTS)) == [1, 5]


def test_the_last_click_of_a_session_was_not_looked_at_for_long_as_far_as_anybody_knows():
    did(("view_item", "tea", 0))
    did(("view_item", "cup", 3_000))
    assert {weight for _, weight in taught(WEIGHTS)} == {1}


def test_equal_weights_are_none_and_read_the_same_clicks(visits):
    heavy = EventWeights(view=3, dwell=3, basket=3, purchase=3)
    window = NOW - timedelta(days=30), NOW
    assert read(*window, weights=heavy)[0].weights is None
    weighed = read(*window, weights=WEIGHTS)[0]
    np.testing.assert_array_equal(weighed.items, read(*window)[0].items)


@pytest.fixture
def bought(visits):
    """Orders, in half of the sessions that view it, of every fourth product; returns these products."""
    every_fourth = [f"item-{number}" for number in range(0, 80, 4)]
    views = Event.objects.filter(item_id__in=every_fourth).order_by("event_id")
    copy_events(
        click_row(view.session_id, view.item_id, view.occurred_at + timedelta(minutes=5), name="purchase")
        for view in views[::2]
    )
    return set(every_fourth)


def share_of(products, run):
    model = run.open()
    lists = [model.recommend([f"item-{number}"], 8) for number in range(1, 80)]
    return np.mean([each.item_id in products for found in lists for each in found])


def test_orders_that_weigh_more_bring_what_is_bought_into_lists(bought, sessrec):
    before = train("neighbours", trigger="command")
    sessrec |= {"EVENT_WEIGHTS": {"PURCHASE": 8}, "GATE_TOLERANCE": 0.2}
    after = train("neighbours", trigger="command")
    assert after.state == TrainingRun.State.PUBLISHED, after.verdict
    assert share_of(bought, after) > 1.3 * share_of(bought, before)
    assert after.counts["event_weights"]["purchase"] == 8
    assert "event_weights" not in before.counts
    [said] = [each for each in artifact.read_manifest(after.folder)["card"]["limits"] if "bought 8" in each]
    assert "viewed 1, viewed for 30 seconds or more 1, basket 1" in said


def test_a_models_own_weights_stand_over_those_of_all_models(sessrec):
    sessrec["EVENT_WEIGHTS"] = {"BASKET": 2, "PURCHASE": 4}
    sessrec["MODELS"]["neighbours"]["EVENT_WEIGHTS"] = {"PURCHASE": 9, "DWELL_SECONDS": 60}
    assert EventWeights.of_model("neighbours") == EventWeights(basket=2, purchase=9, dwell_seconds=60)
