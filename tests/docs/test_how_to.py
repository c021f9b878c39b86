"""The page's code for purchases that a webhook reports does what the page says."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.ids import uuid7
from django_sessrec.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

BLOCK = re.compile(r'^```python title="shop/(?:checkout|webhook)\.py"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "events.md"


@pytest.fixture
def shop():
    """What the page's files about checkout and webhook define."""
    text = PAGE.read_text(encoding="utf-8")
    names = {}
    for code in BLOCK.findall(text):
        exec(code, names)
    return SimpleNamespace(**names)


def ordered(shop, visit):
    order = SimpleNamespace(product_id=42, quantity=2, price="9.90", save=lambda: None)
    shop.begin(SimpleNamespace(sessrec=SimpleNamespace(session_id=visit)), order)
    return order


def test_a_webhook_that_calls_twice_records_one_purchase(shop):
    order = ordered(shop, uuid7())
    shop.paid(order)
    shop.paid(order)
    event = Event.objects.get()
    assert (event.name, event.item_id, event.quantity, str(event.price)) == ("purchase", "42", 2, "9.90")
    assert event.session_id == order.visit


def test_without_consent_or_after_a_withdrawal_nothing_is_recorded(shop):
    shop.paid(ordered(shop, None))
    withdrawn = ordered(shop, uuid7())
    erase_sessions([withdrawn.visit])
    shop.paid(withdrawn)
    assert not Event.objects.exists()
