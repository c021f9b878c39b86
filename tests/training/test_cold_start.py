"""What a training run learns from the catalogue for products that come after it."""

import numpy as np
import pytest

from django_sessrec.models import TrainingRun
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.training.cold_start import learn_cold_start
from django_sessrec.training.pipeline import train
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.visits import store_visits, synthetic_visits


@pytest.fixture
def log(products) -> SessionLog:
    """Sessions of one kind each, over the demo shop's thirty products."""
    draw = np.random.default_rng(0)
    ids = [str(product.pk) for product in products]
    kinds = [ids[start : start + 10] for start in (0, 10, 20)]
    clicks = [
        (session, item_id, 100 * session)
        for session in range(90)
        for item_id in draw.choice(kinds[session % 3], 5, replace=False).tolist()
    ]
    return SessionLog.from_clicks(*zip(*clicks, strict=True))


def learnt(log):
    return learn_cold_start(log.index, Intents.of(log), log)


@pytest.mark.django_db
def test_it_learns_from_the_products_that_the_catalogue_knows(log):
    assert learnt(log).alike > 0.3


@pytest.mark.django_db
def test_it_asks_for_sold_out_products_too(log):
    Product.objects.update(stock=0)
    assert learnt(log) is not None


@pytest.mark.django_db
def test_a_shop_without_these_products_teaches_nothing(log):
    Product.objects.all().delete()
    assert learnt(log) is None


class Mute(DemoCatalogue):
    def known(self, item_ids):
        raise RuntimeError("closed")


@pytest.mark.django_db
def test_a_catalogue_that_fails_is_logged_and_stops_no_training(log, settings, caplog):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.training.test_cold_start.Mute"}
    assert learnt(log) is None
    assert "could not learn from the content of the products" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_training_run_publishes_it_with_the_model(sessrec):
    names = [f"item-{number}" for number in range(1, 61)]
    visits = synthetic_visits()
    known = Product.objects.bulk_create(Product(name=name, category="tea") for name in names)
    ids = {name: str(product.pk) for name, product in zip(names, known, strict=True)}
    store_visits([(session, at, [ids.get(name, name) for name in items]) for session, at, items in visits])
    run = train("neighbours", trigger="command")
    assert run.state == TrainingRun.State.PUBLISHED, run.error
    recommender, _intents, cold_start = run.open_to_serve()
    assert len(cold_start.clicks) == len(recommender.index)
