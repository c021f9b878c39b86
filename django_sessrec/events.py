"""Events without a page: from payment webhooks, tills, apps' servers and other systems' histories.

    from django_sessrec import events

    events.record(session_id=order.session_id, name="purchase", item_id=line.product, at=order.paid_at,
                  quantity=line.quantity, price=line.price, currency="EUR", order_id=order.number,
                  line=line.pk)

`session_id` is what `request.sessrec.session_id` was when the order was made: keep it with the order. A
source of its own, such as a till, names its sessions as it likes. Whose consent is withdrawn, leaves no row.
In a view, `request.sessrec.record` and `request.sessrec.view` are shorter and know the session. Async code
awaits `arecord`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django_sessrec.capture.awaited import in_a_thread
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.event import EventError, brief, make
from django_sessrec.capture.history import (
    History,
    session_uuid,
    tell_refund_apart,
    without_sensitive,
)
from django_sessrec.capture.orders_without_session import NOBODY, is_counted, keep, order_event
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.rows import row_of
from django_sessrec.capture.sensitive import sensitive_among
from django_sessrec.capture.shop_transaction import after_commit
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import time_of
from django_sessrec.models import Event, EventName
from django_sessrec.safety import never_raises, warn

__all__ = ["EventError", "EventName", "ImportResult", "Refusal", "arecord", "import_events", "record"]

SOURCE: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
ORDERS: Final = frozenset({EventName.PURCHASE, EventName.REFUND})
MAX_REFUSALS: Final = 1_000  # that are told one by one
FIELDS: Final = frozenset(
    {"session_id", "name", "item_id", "at", "quantity", "price", "currency", "order_id", "line", "key"}
)


def record(
    *,
    session_id: UUID | str | None,
    name: str,
    item_id: Any = "",
    at: datetime | None = None,
    quantity: int = 1,
    price: Any = None,
    currency: str = "",
    source: str = "webhook",
    order_id: str | int | None = None,
    line: str | int | None = None,
    key: str = "",
) -> UUID:
    """Record what happened to an item, without a request; return the event's id.

    session_id: `request.sessrec.session_id` of then, or another system's own name of the session. Where
                COUNT_ALL_ORDERS is on, None for an order without consent: its purchases and refunds add
                to the shop's total, and nothing else of it is kept; so do those of a withdrawn session
    name:       of EventName; Segment's and Google Retail's names are understood
    item_id:    an item id or the shop's own object
    at:         aware, now by default; not older than RETENTION_DAYS, not in the future
    quantity:   pieces, from 1 on
    price:      of one piece: a number or its text
    currency:   ISO 4217; SESSREC["CURRENCY"] by default
    source:     the shop's own word for where it comes from: letters, digits, "-" and "_"
    order_id:   of a purchase or refund: a purchase told twice counts once, a refund is taken from its own
    line:       what tells apart an order's lines of one item, such as two sizes of a shirt. Without it they
                are one line, told twice. A refund names the line of its purchase
    key:        what names this event where it comes from. With `at`, the same key is recorded once, however
                often a webhook repeats it. Refunds of one line and moment are told apart by their keys, else
                by quantity and price; a purchase with an order_id needs none

    In a transaction the event is written when that commits, and is gone when it rolls back. Where the
    database is down it is written later, as a page's events are. Sensitive items leave no row.
    Raises EventError, a ValueError with a `code`, where a value is wrong; all else that fails is logged.
    """
    if key and at is None:
        raise EventError("time", "with a key give `at` as well: an event's id carries its time")
    given: dict[str, Any] = {
        "quantity": quantity,
        "price": price,
        "currency": currency,
        "source": _source(source),
        "line": line,
    }
    if session_id is None and is_counted(name):
        return _count_order(name, item_id, at=at, order_id=order_id, key=key, **given)
    if at is not None and (key or order_id is not None):
        event = History().event(session_id, at, name, item_id, order_id=order_id, key=key, **given)
    else:
        event = make(name, item_id, session_id=session_uuid(session_id), at=at, order_id=order_id, **given)
    if event.item_id not in sensitive_among({event.item_id}):
        after_commit(partial(_deliver, event, order_id))
    event_id: UUID = event.event_id
    return event_id


def _count_order(
    name: str, item_id: Any, *, at: datetime | None, order_id: str | int | None, key: str, **given: Any
) -> UUID:
    """The id that the event of an order without a session would have."""
    event = order_event(name, item_id, at=at, order_id=order_id, **given)
    if event is None:  # sensitive
        return NOBODY
    if at is not None and order_id is not None:
        tell_refund_apart(event, key)
    after_commit(partial(keep, event, order_id))
    event_id: UUID = event.event_id
    return event_id


arecord = in_a_thread(record)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was not imported."""

    index: int  # its place among those that were given, 0 is the first
    code: str  # for programs
    message: str  # for people


@dataclass(slots=True)
class ImportResult:
    """An import's events by outcome: read = stored + known + refused."""

    read: int = 0
    stored: int = 0
    codes: Counter[str] = field(default_factory=Counter)  # refused events by code
    refusals: list[Refusal] = field(default_factory=list)  # the first MAX_REFUSALS

    @property
    def refused(self) -> int:
        return self.codes.total()

    @property
    def known(self) -> int:
        """Events that were stored before, or whose session's consent is withdrawn."""
        return self.read - self.stored - self.refused

    def refuse(self, index: int, problem: EventError) -> None:
        """Count an event that is not imported."""
        self.codes[problem.code] += 1
        if len(self.refusals) < MAX_REFUSALS:
            self.refusals.append(Refusal(index, problem.code, str(problem)))


def import_events(events: Iterable[Mapping[str, Any]], *, source: str = "import") -> ImportResult:
    """Store many events, each once however often it is imported; wrong ones are refused and cost no other.

    events: dicts with `session_id` and `at` (an aware datetime), and `name` ("view_item" by default),
            `item_id`, `quantity`, `price`, `currency`, `order_id`, `line`, `key` as `record` takes them
    source: as `record` takes it

    Read as a stream, and committed every 50,000 events, so that one that broke may simply be run again.
    Events without a key that are alike in session, time, name and item, one after the other, are one.
    Events of sensitive items are refused. Raises EventError for a wrong source, django.db.Error where the
    database can't be reached, and what the shop's catalogue raises.
    """
    result = ImportResult()
    checked = _checked(events, _source(source), result)
    result.stored = copy_events(map(row_of, without_sensitive(checked, result.refuse)))
    return result


def _checked(
    events: Iterable[Mapping[str, Any]], source: str, result: ImportResult
) -> Iterator[tuple[int, Event]]:
    history = History()
    for index, given in enumerate(events):
        result.read += 1
        try:
            yield index, _event(given, source, history)
        except EventError as problem:
            result.refuse(index, problem)


def _event(given: Mapping[str, Any], source: str, history: History) -> Event:
    if unknown := sorted(map(str, set(given) - FIELDS)):
        raise EventError(
            "unknown", f"unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(FIELDS))}"
        )
    optional = ("quantity", "price", "currency", "order_id", "line", "key")
    fields = {name: given[name] for name in optional if name in given}
    return history.event(
        given.get("session_id"),
        given.get("at"),
        given.get("name", EventName.VIEW_ITEM.value),
        given.get("item_id", ""),
        source=source,
        **fields,
    )


def _source(source: Any) -> str:
    if not isinstance(source, str) or not SOURCE.fullmatch(source):
        raise EventError(
            "source", f"source {brief(source)} is not a lower-case word of at most 40 characters"
        )
    return source


@never_raises("deliver an event", default=None)  # to the shop's own code, or its transaction's commit
def _deliver(event: Event, order_id: str | int | None) -> None:
    if event.name in ORDERS and _may_be_forgotten(event.session_id):
        if event.name == EventName.REFUND or is_counted(event.name):
            keep(event, order_id)
        else:
            warn("a purchase is not recorded: its session began before RETENTION_DAYS, and may be withdrawn")
        return
    written = outbox.deliver([event])
    if written is not None and written.withdrawn and is_counted(event.name):
        keep(event, order_id)


def _may_be_forgotten(session_id: UUID) -> bool:
    """Whether a withdrawal of the session would be deleted by now: a day after RETENTION_DAYS."""
    days = sessrec_settings.RETENTION_DAYS
    try:
        return days is not None and time_of(session_id) < datetime.now(UTC) - timedelta(days + 1)
    except ValueError:  # another system's session
        return False
