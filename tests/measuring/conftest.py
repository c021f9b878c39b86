"""A day with orders, three days ago."""

import pytest

from django_sessrec.ids import time_of, uuid7
from tests.support.history import NOON, click, happen, minutes, order_line, show


@pytest.fixture
def busy_day():
    """Two sessions with lists, clicks and orders, and a bot."""
    for number, amount in enumerate(["10", "20"]):
        visit = uuid7(NOON + minutes(number))
        shown = show(visit, NOON, ["1", "2"], placement=f"place {number}")
        happen(visit, time_of(shown), "view_item_list", "", shown, source="browser")
        click(visit, NOON + minutes(1), "1", shown)
        order_line(visit, "purchase", f"order {number}", NOON + minutes(5), price=amount)
        order_line(visit, "purchase", f"order {number}", NOON + minutes(5), price="3", item_id="2")
    show(uuid7(NOON), NOON, ["1"], bot=True)
