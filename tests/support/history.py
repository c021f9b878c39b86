"""Lists shown and what visitors did with them, written as the app writes them."""

from datetime import timedelta
from uuid import UUID

from django_sessrec.capture import store
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Event, Impression


def show(session_id, at, item_ids, *, bot=False, **columns) -> UUID:
    """Store one impression; returns its id."""
    given = {"placement": "home", "model": "neighbours", "step": "model", "run_id": None, **columns}
    impression = Impression(
        impression_id=uuid7(at), session_id=session_id, item_ids=item_ids, bot=bot, **given
    )
    impression.shown_at = time_of(impression.impression_id)
    assert store.write([], [impression]).stored == 1
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
    assert store.write([event]).stored == 1


def click(session_id, at, item_id, impression_id, **columns) -> None:
    happen(session_id, at, "select_item", item_id, impression_id, **columns)


def buy(session_id, at, item_id, price, quantity=1, currency="EUR", name="purchase") -> None:
    happen(session_id, at, name, item_id, price=price, quantity=quantity, currency=currency)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
