"""The servers that tests run against: real ones, started for this run and gone with it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import TransactionTestCase
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from example_shop.stack.folders import remove_abandoned_scratch, scratch_folder
from example_shop.stack.valkey import Valkey
from tests.support.emptying import empty_tables

pytest_plugins = ["tests.support.fixtures"]

TESTS = Path(__file__).parent
# What fits networks, starts whole programs or installs something; `make test-fast` goes without.
SLOW = (
    *("benchmarks", "hosts", "neural", "shop", "stack"),
    *(
        "chaos/test_injected.py",
        "docs/test_tutorial.py",
        "training/test_lock.py",
        "training/test_resume.py",
        "training/test_torchrun.py",
    ),
    "training/test_worker.py",
)
LONG = {"chaos", "e2e", "slow"}
# What hangs servers and locks tables: there a page waits as long as in a shop.
WAITS = (
    *("admin/test_waits.py", "api/test_waits.py", "chaos", "serving/test_safety.py"),
    *(
        f"capture/test_{name}.py"
        for name in ("crash", "fast_query", "faults", "full_disk", "keeper", "prepared", "waits")
    ),
)
# How long pages, probes and workers wait at most: outside of WAITS a minute, since the machine may be busy.
LIMITS = (
    *("admin.base.PAGE_SECONDS", "admin.report.PAGE_SECONDS", "admin.placement_figures.PAGE_SECONDS"),
    *("admin.events.RETRY_SECONDS", "admin.experiments.ROLL_UP_SECONDS"),
    *("api.health.TIMEOUT_SECONDS", "api.metrics.TIMEOUT_SECONDS"),
    *("capture.deadlines.CONNECT_SECONDS", "capture.deadlines.POOL_SECONDS"),
    *("capture.deadlines.TIMEOUT_SECONDS", "capture.fast_query.TIMEOUT_SECONDS"),
    *("capture.replay.TIMEOUT_SECONDS", "capture.stream.TIMEOUT_SECONDS"),
    *("capture.stream_consumer.TIMEOUT_SECONDS", "measuring.report.PAGE_SECONDS"),
    *("operations.examination.ALL_SECONDS", "operations.examination.PART_SECONDS", "serving.preview.SECONDS"),
    *("tasks.BROKER_TIMEOUT", "tasks.DATABASE_SECONDS", "tasks.EXAMINED_SECONDS"),
    *("templatetags.sessrec_admin.STATUS_SECONDS", "training.replay.SECONDS"),
)
# How long pages keep what they have looked up: between two pages of a test a busy machine may take longer.
LOOKS = tuple(f"serving.{name}.CHECK_SECONDS" for name in ("active_models", "experiments", "merchant_rules"))
UNHURRIED_SECONDS = 60


def pytest_configure(config: pytest.Config) -> None:
    """Start this run's Postgres, unless DATABASE_URL names one (as it does in xdist's workers)."""
    TransactionTestCase._fixture_teardown = empty_tables
    hypothesis_settings.register_profile(  # no test depends on how busy the machine is
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    hypothesis_settings.load_profile("unhurried")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # xdist keeps each core busy
    remove_abandoned_scratch()
    config.add_cleanup(lambda: shutil.rmtree(scratch_folder(), ignore_errors=True))
    postgres = settings.EMBEDDED_POSTGRES
    if postgres is not None:
        postgres.start()
        config.add_cleanup(postgres.stop)
        os.environ["DATABASE_URL"] = postgres.url
    config.add_cleanup(_let_go)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """More than cores: half of the time a worker waits, for servers that are hung and for browsers."""
    return 2 * len(os.sched_getaffinity(0))


def _let_go() -> None:
    """Hold nothing of the last test: this process's end would try to bring it to servers that are gone."""
    from django_sessrec.capture.outbox import outbox

    outbox.reset()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow; xdist's workers begin with that, so that none is left alone with it at the end."""
    slow = [TESTS / path for path in SLOW]
    for item in items:
        if any(item.path.is_relative_to(path) for path in slow):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not LONG & {marker.name for marker in item.iter_markers()})


@pytest.fixture(autouse=True)
def _nothing_rests() -> None:
    """What one test did to a service is forgotten in the next, and which language its last page had."""
    from django_sessrec.testing import reset

    reset()
    translation.deactivate()


@pytest.fixture(autouse=True)
def _unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except in WAITS, pages wait as long as a busy machine takes, and keep what they looked up as long."""
    if any(request.path.is_relative_to(TESTS / path) for path in WAITS):
        return
    for name in (*LIMITS, *LOOKS):
        monkeypatch.setattr(f"django_sessrec.{name}", UNHURRIED_SECONDS)
    monkeypatch.setattr("django_sessrec.capture.breaker.MAX_WAIT_SECONDS", 2.0 * UNHURRIED_SECONDS)


@pytest.fixture(autouse=True)
def _no_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only pages bring what is kept, so that a test sees what it has left."""
    from django_sessrec.capture.outbox import outbox

    monkeypatch.setattr("django_sessrec.capture.keeper.PAUSE_SECONDS", 1e6)
    monkeypatch.setattr(outbox.keeper, "hurry", outbox.keeper.wake)


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


@pytest.fixture
def orders_database():
    """A second connection, as to a database of the shop's orders."""
    orders = connection.copy(alias="orders")
    connections.settings["orders"] = orders.settings_dict
    connections["orders"] = orders
    orders.connect()
    yield
    orders.close()
    del connections["orders"]
    connections.settings.pop("orders")
