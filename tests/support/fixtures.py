"""Fixtures of more than one package of tests: a shop with visits and models, and its visitors."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client

from django_sessrec import safety
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.intents import Intents
from django_sessrec.serving import active_models, cold_start, experiments, merchant_rules, popular
from django_sessrec.training.cold_start import learn_cold_start
from tests.demo.models import Product
from tests.support.models import ESTIMATORS, fitted, folder_of, log_of_trails
from tests.support.storages import BUCKET, folder_storage, s3_storage, share_models_through
from tests.support.visits import FIREFOX, store_visits, synthetic_visits

Promote = Callable[..., TrainingRun]


@pytest.fixture
def fresh_process(settings, tmp_path: Path, monkeypatch) -> Iterator[None]:
    """What a web process remembers reaches neither this test nor the next."""
    settings.SESSREC = settings.SESSREC | {
        "ARTIFACTS": tmp_path / "artifacts",
        "MODELS": {
            "neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours"},
            "itemknn": {"ESTIMATOR": "django_sessrec.recsys.ItemKNN"},
        },
    }
    monkeypatch.setattr(active_models, "CHECK_SECONDS", 0)
    for room in (active_models, cold_start, experiments, merchant_rules, popular, safety):
        room.forget()
    yield
    for room in (active_models, cold_start, experiments, merchant_rules, popular, safety):
        room.forget()


@pytest.fixture
def placement(settings) -> Callable[..., None]:
    """Change keys of the placement product_page: placement(LIMIT=3)."""

    def change(**keys: object) -> None:
        settings.SESSREC = settings.SESSREC | {
            "PLACEMENTS": {"product_page": {"MODELS": ["neighbours"], "LIMIT": 8} | keys}
        }

    return change


@pytest.fixture
def products(db) -> list[Product]:
    """Thirty products: ten teas, ten cups, ten pots."""
    kinds = ("tea", "cup", "pot")
    return Product.objects.bulk_create(
        Product(name=f"{kind} {n}", category=kind) for kind in kinds for n in range(10)
    )


@pytest.fixture
def trails(products: list[Product]) -> list[list[str]]:
    """Two kinds of past visits: through the even and through the odd products, whatever their category."""
    evens, odds = ([str(product.pk) for product in products[start::2]] for start in (0, 1))
    return [trail[n : n + 6] for trail in (evens, odds) for n in range(len(trail) - 5) for _ in range(4)]


@pytest.fixture
def promote(db, settings) -> Promote:
    """promote(trails) fits a model on them, publishes it and lets it serve; returns its run.

    intents: whether its lists tell a session's intents apart, as those of a training run do
    content: whether it knows what new products are like, as those of a training run do; needs intents
    """
    numbers = count(1)

    def fit_and_promote(
        trails: Sequence[Sequence[str]],
        model: str = "neighbours",
        *,
        intents: bool = False,
        content: bool = False,
    ) -> TrainingRun:
        run = TrainingRun.objects.create(
            model=model, trigger="test", state="published", artifact=f"{model}-{next(numbers)}"
        )
        recommender = fitted(trails, ESTIMATORS[model])
        log = log_of_trails(trails)
        alike = Intents.of(log) if intents else None
        content_of_items = learn_cold_start(recommender.index, alike, log) if alike and content else None
        folder = folder_of(run, settings)
        artifact.save(recommender, folder, card={}, intents=alike, cold_start=content_of_items)
        Promotion.objects.create(model=model, run=run, promoted_by="test")
        return run

    return fit_and_promote


@pytest.fixture
def visitor() -> Client:
    """A browser whose visitor said yes."""
    client = Client(headers={"user-agent": FIREFOX})
    client.cookies["consent"] = "yes"
    return client


@pytest.fixture
def stranger() -> Client:
    """A browser whose visitor was not asked yet."""
    return Client(headers={"user-agent": FIREFOX})


@pytest.fixture
def sessrec(settings, tmp_path):
    """SESSREC of the test project with a folder of its own; change it by item assignment."""
    settings.SESSREC = {
        **django_settings.SESSREC,
        "ARTIFACTS": tmp_path / "artifacts",
        "MODELS": {
            "neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours"},
            "popularity": {"ESTIMATOR": "django_sessrec.recsys.Popularity"},
        },
    }
    return settings.SESSREC


@pytest.fixture
def visits(transactional_db):
    """600 sessions of the last days in Postgres."""
    store_visits(synthetic_visits())


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """An S3 server with an empty bucket."""
    boto3 = pytest.importorskip("boto3", reason="the dependency group dev brings it")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def storage(request, settings, tmp_path: Path) -> None:
    """Models are shared through a storage: once a folder, once S3."""
    if request.param == "s3":
        entry = s3_storage(request.getfixturevalue("s3_url"), f"{tmp_path.parent.name}/{tmp_path.name}")
    else:
        entry = folder_storage(tmp_path / "storage")
    share_models_through(settings, entry)
