"""From the sessions of a neighbour model back to the stored ones."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, TrainingRun
from django_sessrec.recsys.neighbour_sessions import sessions_behind
from django_sessrec.training.lineage import stored_session
from django_sessrec.training.pipeline import train
from tests.demo.models import Product
from tests.support.visits import click_row, store_visits, synthetic_visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def planted(sessrec):
    """A session of its own products among the others, and the run that learnt from all."""
    at = datetime.now(UTC) - timedelta(days=2, seconds=17)
    session_id = uuid7(at)
    store_visits(synthetic_visits())
    store_visits([(session_id, at, ["odd", "strange", "odd", "weird"])])
    return session_id, train("neighbours", trigger="schedule")


def behind(run, clicked, item):
    model = run.open()
    found = sessions_behind(model, model.index.rows(clicked), int(model.index.rows([item])[0]))
    return [(model.index.item_ids(each.rows), each.age_days) for each in found]


def test_the_session_that_taught_an_item_is_found(planted):
    session_id, run = planted
    [(item_ids, age_days)] = behind(run, ["odd"], "weird")
    assert item_ids == ["odd", "strange", "odd", "weird"]
    assert stored_session(run, item_ids, age_days) == session_id


def test_every_session_behind_a_popular_item_is_found(planted):
    _session_id, run = planted
    model = run.open()
    clicked = model.popularity.recommend([], 1)[0].item_id
    best = model.recommend([clicked], 1, exclude=[clicked])[0].item_id
    found = [stored_session(run, *each) for each in behind(run, [clicked], best)[:20]]
    assert len(found) > 5
    assert None not in found
    assert len(set(found)) == len(found)


def test_clicks_of_one_moment_have_no_order(sessrec):
    """Put into the basket and led to the next page at once: either may come first in the model."""
    at = datetime.now(UTC) - timedelta(days=2)
    rows = [
        click_row(session_id, item_id, at + timedelta(seconds=seconds))
        for session_id in (uuid7(at) for _number in range(6))
        for item_id, seconds in (("odd", 0), ("strange", 9), ("weird", 9), ("queer", 9), ("odd", 20))
    ]
    store_visits(synthetic_visits())
    copy_events(rows)
    run = train("neighbours", trigger="schedule")
    orders = behind(run, ["weird"], "queer")
    assert len(orders) == 6
    assert all(stored_session(run, *each) for each in orders)
    clicks, age_days = orders[0]
    assert stored_session(run, [*clicks, "weird"], age_days) is None


def test_an_erased_session_is_not_found(planted):
    session_id, run = planted
    [each] = behind(run, ["odd"], "weird")
    Event.objects.filter(session_id=session_id).delete()
    assert stored_session(run, *each) is None


def test_a_run_of_an_older_version_cannot_tell_when_a_session_began():
    assert stored_session(TrainingRun(counts={}), ["1"], 0.0) is None


def test_the_published_model_of_a_run_without_refit_counts_from_its_own_newest_session(sessrec):
    sessrec["MODELS"]["neighbours"]["REFIT"] = False
    store_visits(synthetic_visits())
    run = train("neighbours", trigger="schedule")
    model = run.open()
    clicked = model.popularity.recommend([], 1)[0].item_id
    best = model.recommend([clicked], 1, exclude=[clicked])[0].item_id
    found = [stored_session(run, *each) for each in behind(run, [clicked], best)[:5]]
    assert found
    assert None not in found


def test_a_session_of_variants_is_found_by_their_families(sessrec, products):
    sessrec["CATALOGUE"] = "tests.serving.test_families.FamilyCatalogue"
    round_pots, plain = products[20:22], products[5]
    Product.objects.filter(pk__in=[each.pk for each in round_pots]).update(family="round")
    at = datetime.now(UTC) - timedelta(days=2, seconds=17)
    session_id = uuid7(at)
    store_visits(synthetic_visits())
    store_visits([(session_id, at, [str(round_pots[0].pk), str(round_pots[1].pk), str(plain.pk)])])
    run = train("neighbours", trigger="schedule")
    [(item_ids, age_days)] = behind(run, ["round"], str(plain.pk))
    assert item_ids[0] == "round"
    assert stored_session(run, item_ids, age_days) == session_id
