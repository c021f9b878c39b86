"""Past events for the bulk copy, with reproducible ids: the same history twice gives the same rows."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from django_sessrec.capture.event import (
    NAMES,
    WITHOUT_ITEM,
    EventError,
    brief,
    clean_item_id,
    clean_time,
    make,
)
from django_sessrec.catalogue import get_catalogue
from django_sessrec.ids import EPOCH, moved
from django_sessrec.models import Event, EventName, Source

MILLISECOND: Final = timedelta(milliseconds=1)
BATCH: Final = 1_000  # events about whose items the catalogue is asked at once
REMEMBERED: Final = 100_000  # sessions whose last event is known: rows of one session need not stand together


def session_uuid(session_id: Any) -> UUID:
    """The id of a session that another system names: a UUID as it is, of other text always the same one.

    EventError where it is empty or no text.
    """
    if isinstance(session_id, UUID):
        return session_id
    text = str(session_id) if isinstance(session_id, str | int) and not isinstance(session_id, bool) else ""
    if len(text) == 36:
        with suppress(ValueError):
            return UUID(text)
    try:
        if text:
            return uuid5(NAMESPACE_OID, f"django_sessrec {text}")
    except UnicodeEncodeError:  # half of a surrogate pair
        pass
    raise EventError("session_id", f"session id {brief(session_id)} is neither text nor a UUID")


def id_at(at: datetime, what: str, tie: int = 0) -> UUID:
    """The UUIDv7 of what happened then: `tie` below the milliseconds, and a hash where others are random."""
    digest = hashlib.blake2b(what.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    milliseconds, random = (at - EPOCH) // MILLISECOND, int.from_bytes(digest) >> 2
    return UUID(int=milliseconds << 80 | 7 << 76 | (tie & 0xFFF) << 64 | 2 << 62 | random)


def tell_refund_apart(event: Event, key: str) -> None:
    """Move a refund's time by up to a minute, which follows from `key`, else from its quantity and price.

    All of its id but the time is its order's line: refunds of one line and moment, such as those of an
    export by days, would be one, and the purchase of that moment as well. Other events stay as they are.
    """
    if event.name == EventName.REFUND:
        what = str(key or f"{event.quantity}\0{event.price}").encode("utf-8", "surrogatepass")
        milliseconds = 1 + int.from_bytes(hashlib.blake2b(what, digest_size=8).digest()) % 60_000
        event.event_id = moved(event.event_id, milliseconds * MILLISECOND)
        event.occurred_at += milliseconds * MILLISECOND


class History:
    """A maker of events whose ids are derived from their content.

    Events of one session and one millisecond keep the order in which they come; the same event twice in a
    row, of the same quantity and price, is one event.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, datetime], tuple[int, str]] = OrderedDict()

    def event(
        self,
        session_id: Any,
        at: Any,
        name: str,
        item_id: Any = "",
        *,
        source: str = Source.IMPORT,
        order_id: str | int | None = None,
        line: str | int | None = None,
        key: str = "",
        visitor: str | None = None,
        **fields: Any,
    ) -> Event:
        """A checked, unsaved event; EventError says what is wrong.

        session_id: as for session_uuid
        at:         an aware datetime; an id carries no more than its milliseconds
        order_id:   as for event.make; the event's id follows from it, the line and the time
        line:       as for event.make
        key:        what else tells the event from the others of its session and millisecond; of an order's
                    events, a refund from the others of its line
        visitor:    whose event it is, where the session's name depends on which events are there
        fields:     as for event.make
        """
        at = clean_time(at)
        at -= timedelta(microseconds=at.microsecond % 1000)
        name = NAMES.get(name, name) if isinstance(name, str) else name
        item_id = clean_item_id(item_id, required=name not in WITHOUT_ITEM)
        fields |= {"session_id": session_uuid(session_id), "source": source}
        if order_id is not None or line is not None:
            event = make(name, item_id, order_id=order_id, line=line, at=at, **fields)
            tell_refund_apart(event, key)
            return event
        event = make(name, item_id, at=at, **fields)
        whose = str(session_id if visitor is None else visitor)
        what = f"{whose}\0{name}\0{item_id}" + (f"\0{source}\0{key}" if key else "")
        if (event.quantity, event.price) != (1, None):
            what += f"\0{event.quantity}\0{event.price}"
        event.event_id = id_at(at, what, 0 if key else self._tie(whose, at, what))
        return event

    def _tie(self, whose: str, at: datetime, what: str) -> int:
        tie, last = self._last.pop((whose, at), (0, what))
        tie += last != what
        self._last[whose, at] = tie, what
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return tie


def without_sensitive(
    events: Iterable[tuple[int, Event]], refuse: Callable[[int, EventError], None]
) -> Iterator[Event]:
    """The events but for those of sensitive items, which are refused with their number. Asks BATCH at a time.

    Raises what the shop's catalogue raises.
    """
    remaining, catalogue = iter(events), get_catalogue()
    while batch := list(islice(remaining, BATCH)):
        sensitive = set(catalogue.sensitive({event.item_id for _, event in batch}))
        for number, event in batch:
            if event.item_id in sensitive:
                refuse(number, EventError("sensitive", f"item {event.item_id!r} is sensitive"))
            else:
                yield event
