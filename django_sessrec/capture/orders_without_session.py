"""Orders of visitors without consent: what they add to the shop's total, where COUNT_ALL_ORDERS is on.

No session, product or visitor: the day, the amount, and a hash of the order's line, so that a page that is
loaded again counts once and a refund finds its order.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from django.db import Error
from django.http import HttpRequest
from django.utils import timezone

from django_sessrec.capture import request_filters
from django_sessrec.capture.event import NAMES, EventError, make
from django_sessrec.capture.fast_query import execute_with_deadline
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.sensitive import sensitive_among
from django_sessrec.capture.shop_transaction import after_commit
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, EventName
from django_sessrec.safety import never_raises, warn

logger = logging.getLogger("django_sessrec")

NOBODY: Final = UUID(int=0)
COUNT_TASK: Final = "count_later"
KEEP_ORDER: Final = """
INSERT INTO sessrec_attribution (
    reference, ordered_on, buyer, in_session, item_id, quantity, price, currency, amount, refunded, credit,
    placement, model, run_id, step, experiment, variant
)
VALUES (
    $1, $2::date, $3::int8, false, '', $4::int4, $5::numeric, $6, $4::int4 * coalesce($5::numeric, 0), 0,
    'none', '', '', 0, '', '', ''
)
ON CONFLICT DO NOTHING
"""
KEEP_REFUND: Final = """
INSERT INTO sessrec_refund (event_id, reference, refunded_on, in_session, quantity, price, currency)
VALUES ($1::uuid, $2, $3::date, false, $4::int4, $5::numeric, $6)
ON CONFLICT DO NOTHING
"""


def is_counted(name: Any) -> bool:
    """Whether an event of that name, without a session, adds to the shop's total."""
    counted = (EventName.PURCHASE, EventName.REFUND)
    return bool(sessrec_settings.COUNT_ALL_ORDERS) and isinstance(name, str) and NAMES.get(name) in counted


def order_event(name: str, item_id: Any, **fields: Any) -> Event | None:
    """The purchase or refund as an event of nobody, which is never stored; None where the item is sensitive.

    fields: as for event.make. Raises EventError where a value is wrong.
    """
    event = make(name, item_id, session_id=NOBODY, **fields)
    return None if event.item_id in sensitive_among({event.item_id}) else event


def count_told(
    request: HttpRequest, name: str, item_id: Any, *, order_id: str | int | None, **amount: Any
) -> None:
    """Let what a page tells of an order add to the shop's total, where the shop wants that."""
    if not is_counted(name) or not request_filters.counts(request) or request_filters.from_bot(request):
        return
    try:
        event = order_event(name, item_id, order_id=order_id, **amount)
    except EventError as problem:
        logger.warning("request.sessrec: %s", problem)
        return
    if event is not None:
        after_commit(partial(keep, event, order_id))


@never_raises("count an order without a session", default=None)
def keep(event: Event, order_id: str | int | None) -> None:
    """Add an order's line, or take a refund, once: now, or by a task once the database is back."""
    reference = event.event_id.hex[-19:]  # as attribution.LINE
    day = timezone.localdate(event.occurred_at, timezone.get_default_timezone()).isoformat()
    price = None if event.price is None else str(event.price)
    amount = [str(event.quantity), price, event.currency]
    if event.name == EventName.PURCHASE:
        values = [reference, day, str(_buyer(order_id)), *amount]
    else:
        values = [str(event.event_id), reference, day, *amount]
    try:
        store(event.name, values)
    except Error as problem:
        warn("an order without a session could not be counted: %s", problem)
        if not outbox.publish(COUNT_TASK, name=event.name, values=values):
            warn("an order without a session is not counted: neither database nor broker took it")


def store(name: str, values: Sequence[str | None]) -> None:
    """Store what `keep` made of a purchase or a refund; django.db.Error where the database can't."""
    execute_with_deadline(KEEP_ORDER if name == EventName.PURCHASE else KEEP_REFUND, *values, durable=True)


def _buyer(order_id: str | int | None) -> int:
    """The same for the lines of one order, and below 0, where no session's number is."""
    whose = str(order_id).encode() if order_id is not None else uuid7().bytes
    return -1 - (int.from_bytes(blake2b(whose, digest_size=8, person=b"buyer").digest()) >> 1)
