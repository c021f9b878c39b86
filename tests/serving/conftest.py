"""A shop with three kinds of goods, a consenting visitor, and models promoted in one line."""

from collections.abc import Callable

import pytest
from django.db import connection


@pytest.fixture
def break_table(db) -> Callable[[str], None]:
    """Take one of our tables away, for this test."""

    def take_away(table: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER TABLE "{table}" RENAME TO "{table}_away"')

    return take_away


@pytest.fixture(autouse=True)
def _fresh(fresh_process):
    """No test sees what another's web process remembers."""
