"""The servers that tests run against: real ones, started for this run and gone with it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.conf import settings

from example_shop.stack.folders import remove_abandoned_scratch, scratch_folder
from example_shop.stack.valkey import Valkey

pytest_plugins = ["tests.support.fixtures"]


def pytest_configure(config: pytest.Config) -> None:
    """Start this run's Postgres, unless DATABASE_URL names one (as it does in xdist's workers)."""
    remove_abandoned_scratch()
    config.add_cleanup(lambda: shutil.rmtree(scratch_folder(), ignore_errors=True))
    postgres = settings.EMBEDDED_POSTGRES
    if postgres is not None:
        postgres.start()
        config.add_cleanup(postgres.stop)
        os.environ["DATABASE_URL"] = postgres.url


@pytest.fixture(autouse=True)
def _nothing_rests() -> None:
    """What one test did to a service is forgotten in the next."""
    from django_sessrec.capture.outbox import outbox

    outbox.reset()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Start a Valkey for the tests that need one, one for each xdist worker."""
    server = Valkey(scratch_folder())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker_url(valkey: Valkey) -> str:
    """The Valkey as Celery's broker."""
    return valkey.url
