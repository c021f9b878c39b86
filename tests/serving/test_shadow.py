"""A pilot's shadow: what its variants would show, and that nothing is stored for it."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.experiment_models import Experiment
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Impression
from django_sessrec.serving import experiments
from django_sessrec.serving.shadow import shadow
from tests.support.experiments import an_experiment
from tests.support.history import happen, show

pytestmark = pytest.mark.django_db


@pytest.fixture
def pilot(fresh_process, placement, products, trails, promote):
    placement()
    promote(trails)
    an_experiment(
        state="running", part=0, kind="pilot", variants={"old": {}, "new": {"LIMIT": 4}, "off": None}
    )
    experiments.forget()
    return products


def test_the_variants_lists_stand_beside_the_controls(pilot):
    at = datetime.now(UTC) - timedelta(hours=1)
    for product in pilot[8:12]:
        session = uuid7(at)
        happen(session, at, "view_item", str(product.pk))
        show(session, at, ["1"], placement="product_page")
    before = Impression.objects.count(), Event.objects.count()
    (found,) = shadow("product_page")
    assert (found.variant, found.lists, found.other_first) == ("new", 4, 0)
    assert (found.shared, found.filled, found.answered) == (0.5, 1, 1)
    assert (Impression.objects.count(), Event.objects.count()) == before


def test_without_a_session_or_an_experiment_there_is_no_shadow(pilot):
    assert shadow("product_page") == []
    show(uuid7(), datetime.now(UTC), ["1"], placement="product_page")
    assert len(shadow("product_page")) == 1
    Experiment.objects.update(state="stopped")
    experiments.forget()
    assert shadow("product_page") == []
