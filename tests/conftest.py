"""The servers that tests run against: real ones, started for this run and gone with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from example_shop.stack.folders import service_folder


def pytest_configure(config: pytest.Config) -> None:
    """Start this run's Postgres, unless DATABASE_URL names one (as it does in xdist's workers)."""
    postgres = settings.EMBEDDED_POSTGRES
    if postgres is None:
        return
    remove_folders_of_killed_runs()
    postgres.start()
    os.environ["DATABASE_URL"] = postgres.url

    def stop() -> None:
        del os.environ["DATABASE_URL"]
        postgres.stop()
        shutil.rmtree(postgres.folder.parent)

    config.add_cleanup(stop)


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """Start a Valkey for the tests that need a broker, one for each xdist worker."""
    from example_shop.stack.valkey import Valkey

    folder = service_folder() / f"test-{os.getpid()}"
    valkey = Valkey(folder)
    valkey.start()
    yield valkey.url
    valkey.stop()
    shutil.rmtree(folder, ignore_errors=True)


def remove_folders_of_killed_runs() -> None:
    """Remove what runs that were killed could not."""
    for folder in service_folder().glob("test-*"):
        if not Path(f"/proc/{folder.name.removeprefix('test-')}").exists():
            shutil.rmtree(folder, ignore_errors=True)
