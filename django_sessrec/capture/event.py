"""One event: its name in the field's words, checked once, and its way through JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from numbers import Integral
from reprlib import Repr
from threading import Lock
from types import NoneType
from typing import Any, Final, TypeVar
from uuid import UUID

from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.currencies import decimals
from django_sessrec.ids import EPOCH, NANOSECONDS, order_line_id, time_of, uuid7
from django_sessrec.models import Event, EventName, Impression, Source

Row = TypeVar("Row", Event, Impression)

# Segment's and Google Retail's names, for shops that already send those.
ALIASES: Final[Mapping[str, EventName]] = {
    "Product Viewed": EventName.VIEW_ITEM,
    "detail-page-view": EventName.VIEW_ITEM,
    "Product List Viewed": EventName.VIEW_ITEM_LIST,
    "Product Clicked": EventName.SELECT_ITEM,
    "Product Added": EventName.ADD_TO_CART,
    "add-to-cart": EventName.ADD_TO_CART,
    "Product Removed": EventName.REMOVE_FROM_CART,
    "remove-from-cart": EventName.REMOVE_FROM_CART,
    "Product Added to Wishlist": EventName.ADD_TO_WISHLIST,
    "Products Searched": EventName.VIEW_SEARCH_RESULTS,
    "search": EventName.VIEW_SEARCH_RESULTS,
    "category-page-view": EventName.VIEW_CATEGORY,
    "Order Completed": EventName.PURCHASE,
    "purchase-complete": EventName.PURCHASE,
    "Order Refunded": EventName.REFUND,
}
WITHOUT_ITEM: Final = frozenset(
    {EventName.VIEW_ITEM_LIST, EventName.VIEW_SEARCH_RESULTS, EventName.VIEW_CATEGORY}
)
CLICK_EVENTS: Final = frozenset({EventName.VIEW_ITEM, EventName.ADD_TO_CART})  # what models learn from
SESSION_EVENTS: Final = CLICK_EVENTS | {EventName.REMOVE_FROM_CART, EventName.PURCHASE}  # what lists read
NAMES: Final[Mapping[str, EventName]] = {name.value: name for name in EventName} | dict(ALIASES)

JSON_TYPES: Final = frozenset({str, int, bool, list})
NO_OBJECT: Final = (NoneType, bool, float, complex, bytes, bytearray, list, tuple, set, frozenset)
MAX_ITEM_ID: Final = 200  # characters
MAX_QUANTITY: Final = 100_000
MAX_PRICE: Final = Decimal(10**10)
MAX_POSITION: Final = 1_000
CENT: Final = Decimal("0.01")
MILL: Final = Decimal("0.001")
CURRENCY: Final = re.compile("[A-Z]{3}")
CLOCK_SKEW: Final = timedelta(minutes=5)  # a browser's clock may be ahead of ours by so much
_telling: Final = Lock()
_told_at: Final = [0]  # the latest refund's milliseconds, of this process


_brief: Final = Repr()
_brief.maxstring = _brief.maxother = 100  # characters
# A value as an error shows it, however long it is: errors stand in the log, and in memory in an outage.
brief: Final = _brief.repr


class EventError(ValueError):
    """A refused event; `code` is the reason for machines, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def make(
    name: str,
    item_id: Any = "",
    *,
    session_id: UUID,
    quantity: int = 1,
    price: Any = None,
    currency: str = "",
    impression_id: UUID | None = None,
    position: int | None = None,
    event_id: UUID | None = None,
    order_id: str | int | None = None,
    line: str | int | None = None,
    at: datetime | None = None,
    source: str = Source.SERVER,
    bot: bool = False,
) -> Event:
    """A checked, unsaved event, of the time that its id carries; EventError says what is wrong.

    order_id: the shop's order that a purchase or a refund belongs to. The event's id is then made from it and
        the item: a purchase told again counts once, and a refund is taken from its purchase at any age.
    line: tells apart an order's lines of one item; a refund names the line of its purchase
    at: aware, now by default; not looked at where the event has an id already
    """
    if not isinstance(name, str) or name not in NAMES:
        raise EventError("name", f"event {brief(name)} is none of {', '.join(EventName.values)}")
    canonical = NAMES[name]
    item_id = clean_item_id(item_id, required=canonical not in WITHOUT_ITEM)
    if event_id is None and order_id is None and line is None and at is None:
        event_id = uuid7()
        occurred_at = time_of(event_id)  # now: no limit to look at
    else:
        if at is None and canonical == EventName.REFUND:
            at = _moment_of_its_own()
        event_id = event_id or _new_id(item_id, order_id, line, at)
        occurred_at = _time(event_id)
    named = _currency(currency if currency or price is None else sessrec_settings.CURRENCY)
    return Event(  # type: ignore[misc]  # in the order of its fields: Django takes half as long as by their names
        event_id,
        occurred_at,
        session_id,
        canonical.value,
        item_id,
        impression_id,
        _whole("position", position, 0, MAX_POSITION) if position is not None else None,
        _whole("quantity", quantity, 1, MAX_QUANTITY),
        _price(price, named),
        named,
        str(source),
        bot,
    )


def clean_item_id(item: Any, *, required: bool = True) -> str:
    """The item's id as text: of text, a whole number, a UUID, or the shop's own object by its catalogue.

    EventError for anything else, and where no item can have the id.
    """
    text = item if isinstance(item, str) else _id_of(item)
    if (required and not text) or len(text) > MAX_ITEM_ID or not encodable(text):
        raise EventError(
            "item_id", f"item id {text[:40]!r} is not text of 1 to {MAX_ITEM_ID} characters without NUL"
        )
    return text


def readable_id(item: Any) -> str:
    """The item's id for a failed event; empty for an object without one: its text may be a product's name."""
    try:
        return clean_item_id(item, required=False)
    except EventError:
        return item if isinstance(item, str) else ""


def clean_time(at: Any) -> datetime:
    """The time of an event in UTC; EventError for anything but an aware datetime."""
    if not isinstance(at, datetime):
        raise EventError("time", f"time {str(at)[:40]!r} of type {type(at).__name__} is not a datetime")
    if at.utcoffset() is None:
        raise EventError("time", f"time {at} has no time zone")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise EventError("time", f"time {at} lies before the year 1 or after 9999 in UTC") from None


def _id_of(item: Any) -> str:
    if not isinstance(item, bool) and isinstance(item, UUID | Integral):
        return str(item)
    if isinstance(item, float) and item.is_integer():  # JSON and spreadsheets know no whole numbers
        return str(int(item))
    if isinstance(item, NO_OBJECT) or getattr(item, "pk", item) is None:
        raise EventError("item_id", f"an item of type {type(item).__name__} names no item")
    try:
        return get_catalogue().id_of(item)
    except Exception as problem:  # the shop's own code, and what it was given is not its object
        raise EventError(
            "item_id", f"item of type {type(item).__name__} is no object of the catalogue: {brief(problem)}"
        ) from problem


def encodable(text: str) -> bool:
    """Whether Postgres can keep it: a lone surrogate, which JSON and URLs can carry, is no text."""
    return "\x00" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def to_payload(row: Event | Impression) -> dict[str, Any]:
    """The row as JSON knows it, for a task's message or a failed event."""
    return {field.attname: _plain(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def event_from(payload: Mapping[str, Any]) -> Event:
    """The event that to_payload wrote."""
    return _row_from(Event, payload)


def impression_from(payload: Mapping[str, Any]) -> Impression:
    """The impression that to_payload wrote."""
    return _row_from(Impression, payload)


def _row_from(model: type[Row], payload: Mapping[str, Any]) -> Row:
    """A message of an older version lacks the new columns, which may be empty; KeyError for any other."""
    fields = (each for each in model._meta.concrete_fields if each.attname in payload or not each.null)
    return model(**{field.attname: field.to_python(payload[field.attname]) for field in fields})


def _plain(value: Any) -> Any:
    if value is None or type(value) in JSON_TYPES:
        return value
    if isinstance(value, UUID | Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def _new_id(item_id: str, order_id: str | int | None, line: str | int | None, at: datetime | None) -> UUID:
    if at is not None:
        at = clean_time(at)
    order, place = _name("order_id", order_id), _name("line", line)
    if place and not order:
        raise EventError("line", f"line {brief(line)} names no order: give order_id as well")
    try:
        return order_line_id(order, item_id, at, place) if order else uuid7(at)
    except ValueError:
        raise EventError("time", f"time {at} lies before 1970") from None


def _moment_of_its_own() -> datetime:
    """Later than now, and than the refund before: of one line they and its purchase differ in time alone."""
    with _telling:
        _told_at[0] = max(time.time_ns() // NANOSECONDS, _told_at[0]) + 1
        return EPOCH + timedelta(milliseconds=_told_at[0])


def _name(field: str, name: str | int | None) -> str:
    """The shop's name of an order or of its line as text; empty where there is none."""
    if name is None:
        return ""
    text = str(name)
    if (
        isinstance(name, bool)
        or not isinstance(name, str | int)
        or not 0 < len(text) <= MAX_ITEM_ID
        or not encodable(text)
    ):
        what = field.replace("_", " ")
        raise EventError(
            field, f"{what} {text[:40]!r} is not text of 1 to {MAX_ITEM_ID} characters without NUL"
        )
    return text


def _time(event_id: UUID) -> datetime:
    try:
        at = time_of(event_id)
    except ValueError as problem:
        raise EventError("event_id", str(problem)) from None
    now, days = datetime.now(UTC), sessrec_settings.RETENTION_DAYS
    if at > now + CLOCK_SKEW or (days and at < now - timedelta(days)):
        raise EventError(
            "time", f"time {at:%Y-%m-%d %H:%M:%S} lies in the future or is older than RETENTION_DAYS ({days})"
        )
    return at


def _whole(field: str, value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise EventError(field, f"{field} {brief(value)} is not a whole number from {lowest} to {highest}")
    return value


def _price(price: Any, currency: str) -> Decimal | None:
    if price is None:
        return None
    try:
        exact = Decimal(str(price)).quantize(MILL if decimals(currency) > 2 else CENT)
        if 0 <= exact < MAX_PRICE:
            return exact
    except InvalidOperation:  # no number, not a number, infinite
        pass
    raise EventError("price", f"price {brief(price)} is not an amount from 0 to below {MAX_PRICE}")


def _currency(currency: Any) -> str:
    if isinstance(currency, str) and (not currency or CURRENCY.fullmatch(currency)):
        return currency
    raise EventError("currency", f"currency {brief(currency)} is not three capital letters of ISO 4217")
