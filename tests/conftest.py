"""The servers that tests run against: real ones, started for this run and gone with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from example_shop.stack.folders import service_folder
from example_shop.stack.valkey import Valkey


def pytest_configure(config: pytest.Config) -> None:
    """Start this run's Postgres, unless DATABASE_URL names one (as it does in xdist's workers)."""
    remove_folders_of_killed_runs()
    config.add_cleanup(lambda: shutil.rmtree(run_folder(), ignore_errors=True))
    postgres = settings.EMBEDDED_POSTGRES
    if postgres is not None:
        postgres.start()
        config.add_cleanup(postgres.stop)
        os.environ["DATABASE_URL"] = postgres.url


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """Start a Valkey for the tests that need a broker, one for each xdist worker."""
    valkey = Valkey(run_folder())
    valkey.start()
    yield valkey.url
    valkey.stop()


def run_folder() -> Path:
    """Return the folder of this process's servers."""
    return service_folder() / f"test-{os.getpid()}"


def remove_folders_of_killed_runs() -> None:
    """Remove what runs that were killed could not."""
    for folder in service_folder().glob("test-*"):
        if not Path("/proc", folder.name.removeprefix("test-")).exists():
            shutil.rmtree(folder, ignore_errors=True)
