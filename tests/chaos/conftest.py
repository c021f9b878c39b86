"""A whole shop whose events live on a Postgres of their own, so that a test may take it away."""

from collections.abc import Iterator

import pytest

from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.postgres import Postgres
from example_shop.stack.running import RunningShop, running_shop


@pytest.fixture(scope="package")
def events_server() -> Iterator[Postgres]:
    """Start the Postgres that holds what django_sessrec keeps, and nothing of the shop's own that counts."""
    server = Postgres(own_folder(scratch_folder() / "events"), durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def shop(events_server: Postgres) -> Iterator[RunningShop]:
    prepare = (
        "migrate --database events --verbosity 0",
        "fill_shop",
        "simulate_history --days 2 --sessions-per-day 1500",
        "sessrec_train neighbours",
    )
    programs = ("web", "capture")
    with running_shop("tests.chaos.settings", programs, prepare, EVENTS_URL=events_server.url) as running:
        running.rows("UPDATE shop_product SET stock = 100 WHERE id <= 2")  # what the tests look at and buy
        yield running
