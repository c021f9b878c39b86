"""Lists shown and what visitors did with them, written as the app writes them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django_sessrec.capture import store
from django_sessrec.capture.fast_query import patient
from django_sessrec.ids import order_line_id, time_of, uuid7
from django_sessrec.measuring.days import first_moment, today
from django_sessrec.models import Event, Impression

NOON = (datetime.now(UTC) - timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)


def show(session_id, at, item_ids, *, bot=False, **columns) -> UUID:
    """Store one impression; returns its id."""
    given = {"placement": "home", "model": "neighbours", "step": "model", "run_id": None, **columns}
    impression = Impression(
        impression_id=uuid7(at), session_id=session_id, item_ids=item_ids, bot=bot, **given
    )
    impression.shown_at = time_of(impression.impression_id)
    assert _stored([], [impression]) == 1
    return impression.impression_id


def happen(session_id, at, name, item_id, impression_id=None, *, bot=False, **columns) -> None:
    """Store one event."""
    event = Event(
        event_id=uuid7(at),
        session_id=session_id,
        name=name,
        item_id=item_id,
        impression_id=impression_id,
        bot=bot,
        **columns,
    )
    event.occurred_at = time_of(event.event_id)
    assert _stored([event]) == 1


def click(session_id, at, item_id, impression_id, **columns) -> None:
    happen(session_id, at, "select_item", item_id, impression_id, **columns)


def buy(session_id, at, item_id, price, quantity=1, currency="EUR", name="purchase") -> None:
    happen(session_id, at, name, item_id, price=price, quantity=quantity, currency=currency)


def order_line(visit, name, order, at, price="10", quantity=1, item_id="1", currency="EUR") -> None:
    """Store an event of an order's line as it is recorded with an order id."""
    event = Event(order_line_id(order, item_id, at), time_of(uuid7(at)), visit, name, item_id)
    event.price, event.quantity, event.currency = price and Decimal(price), quantity, currency
    assert _stored([event]) == 1


def _stored(*rows) -> int:
    """How many of them were: a test waits longer than a page, on however busy a machine."""
    with patient(60):
        return store.write(*rows).stored


def earlier_today(ago: timedelta) -> datetime:
    """So long ago, or when the shop's day began: a test may run in the first minute of a day."""
    return max(first_moment(today()), datetime.now(UTC) - ago)


def days_ago(number: int) -> datetime:
    """Noon of the shop's day so many days ago: a day back in UTC is another one after clocks have changed."""
    return first_moment(today() - timedelta(days=number)) + timedelta(hours=12)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
