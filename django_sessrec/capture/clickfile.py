"""Click files of other systems, read as events; importing the same file twice stores it once."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np

from django_sessrec import database
from django_sessrec.capture import table_files
from django_sessrec.capture.event import CLOCK_SKEW, NAMES, WITHOUT_ITEM, EventError, clean_item_id
from django_sessrec.capture.history import MILLISECOND, History, session_uuid
from django_sessrec.capture.table_files import UnusableFile, Values
from django_sessrec.conf import sessrec_settings
from django_sessrec.currencies import decimals
from django_sessrec.ids import EPOCH
from django_sessrec.models import Event, EventName, Source

__all__ = ["TIME_UNITS", "ClickFile", "Columns", "UnusableFile"]

TIME_UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # of a second
DECIMAL_COMMA: Final = re.compile(r"(\d+|\d{1,3}(\.\d{3})+),\d{1,2}")  # 9,90 and 1.299,90; not 1,299
PERHAPS_THOUSANDS: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")  # 1.299: German, or three decimals
ZERO_FRACTION: Final = re.compile(r"\.00?$")  # 2.0, as pandas writes it; 1.000 may be a thousand
COMPACT_DATE: Final = re.compile(r"(19|20)\d{6}")  # 20260131; so many seconds after 1970 there was no shop
MAX_DIGITS: Final = 18  # of a number; Python refuses some thousands
NO_ZONE: Final = timedelta(days=1)  # that a time may lie ahead where it is local; what is later is garbage
LOOKED_UP: Final = 1_000  # rows, of the file's first ones and of all its parts each
# By how many days rows lie apart from imported events of the same session and item: the most frequent answer,
# since an item may come again in a session, and some of the rows are not stored.
DAYS_APART: Final = """
SELECT days
FROM (
    SELECT extract(epoch FROM stored.occurred_at - given.at) / 86400 AS days
    FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS given(session_id, item_id, at)
    JOIN sessrec_event stored ON stored.session_id = given.session_id AND stored.item_id = given.item_id
    WHERE stored.source = %s
) AS apart
WHERE days = trunc(days)
GROUP BY days
ORDER BY count(*) DESC, days
LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a click file. Without a time column the clicks get a second each, from `start` on."""

    session_id: str = "session_id"
    visitor_id: str | None = None  # in place of session ids: a pause of SESSION_IDLE_MINUTES ends a session
    item_id: str = "item_id"
    time: str | None = None  # UTC where it names no zone
    time_unit: str = "s"  # of numbers since 1970, one of TIME_UNITS, or "iso" for none; text may be ISO 8601
    event_name: str | None = None
    event_names: Mapping[str, str] = field(default_factory=dict)  # the file's word -> ours
    quantity: str | None = None
    price: str | None = None
    currency: str = ""  # of all prices
    order_id: str | None = None
    line: str | None = None  # of the order
    start: datetime | None = None

    def __post_init__(self) -> None:
        if (self.time is None) == (self.start is None):
            raise UnusableFile("give --time COLUMN, or --start DATE where no column has the time")
        for theirs, ours in self.event_names.items():
            if ours not in NAMES:
                known = ", ".join(EventName.values)
                raise UnusableFile(f"--event {theirs}={ours}: {ours!r} is none of {known}")

    @property
    def named(self) -> list[str]:
        """The columns that are read."""
        wanted = [self.visitor_id or self.session_id, self.item_id, self.time, self.event_name]
        return list(dict.fromkeys(each for each in (*wanted, *self.optional) if each))

    @property
    def optional(self) -> list[str]:
        """Those of them that only some events have."""
        return [each for each in (self.quantity, self.price, self.order_id, self.line) if each]


@dataclass(slots=True)
class ClickFile:
    """A file, or a folder of files, and how to read it; `shift` is added to the time of every click."""

    path: Path
    columns: Columns
    shift: timedelta | None = None
    read: int = field(default=0, init=False)  # rows so far
    share: float = field(default=0.0, init=False)  # of the file so far, 0..1
    empty: set[str] = field(default_factory=set, init=False)  # optional columns without a value so far
    _starts: Any = field(default=None, init=False)  # line -> first millisecond of its visitor's session

    def shift_to_now(self) -> timedelta:
        """Whole days that bring the newest click to the last 24 hours, or those of an earlier import.

        With others the same clicks would be stored again.
        """
        latest, newest = datetime.now(UTC) + NO_ZONE, None
        first: list[tuple[int, Any, datetime]] = []
        spread: list[tuple[int, Any, datetime]] = []  # every so many rows one
        every = 1
        for line, values in self._rows():
            at = self._readable_time(line, values)
            if at is None or at > latest:
                continue
            newest = max(newest or at, at)
            if len(first) < LOOKED_UP:
                first.append((line, values, at))
            elif line % every == 0:
                spread.append((line, values, at))
                if len(spread) == LOOKED_UP:
                    spread, every = spread[::2], every * 2
        if newest is None:
            return timedelta(0)
        earlier = self._earlier_shift([*first, *spread])
        return timedelta(days=(datetime.now(UTC) - newest).days) if earlier is None else earlier

    def _earlier_shift(self, rows: Iterable[tuple[int, Values, datetime]]) -> timedelta | None:
        """The shift that an earlier import gave these rows; None where none of them is stored."""
        sessions, items, times = [], [], []
        for line, values, at in rows:
            with suppress(EventError):
                session = session_uuid(self._session(line, values))
                items.append(clean_item_id(_text(values, self.columns.item_id, needed=False), required=False))
                sessions.append(session)
                times.append(at)
        with database.values_apart(), database.connection().cursor() as cursor:
            cursor.execute(DAYS_APART, [sessions, items, times, Source.IMPORT])
            found = cursor.fetchone()
        return found and timedelta(days=int(found[0]))

    def events(self, reject: Callable[[int, EventError], None]) -> Iterator[tuple[int, Event]]:
        """(line, unsaved event) of each row; a broken one is rejected with its line and the reason."""
        history = History()
        self.empty = {*self.columns.optional}
        for line, values in self._rows():
            self.read += 1
            if self.empty and not isinstance(values, Exception):
                self.empty = {each for each in self.empty if values.get(each) is None or values[each] == ""}
            try:
                event = self._event(line, values, history)
            except EventError as reason:
                reject(line, reason)
            else:
                yield line, event

    def _event(self, line: int, values: Values | Exception, history: History) -> Event:
        if isinstance(values, Exception):
            raise EventError("row", str(values))
        columns = self.columns
        session, name = self._session(line, values), self._name(values)
        item_id = _text(values, columns.item_id, needed=name not in WITHOUT_ITEM)
        amounts: dict[str, Any] = {}
        if columns.quantity and (quantity := _text(values, columns.quantity, needed=False)):
            whole = ZERO_FRACTION.sub("", quantity)
            is_whole = whole.isdecimal() and len(whole) <= MAX_DIGITS
            amounts["quantity"] = int(whole) if is_whole else quantity
        if columns.price and (price := _text(values, columns.price, needed=False)):
            amounts |= {"price": self._price(price, values[columns.price]), "currency": columns.currency}
        if columns.order_id and name in {EventName.PURCHASE, EventName.REFUND}:
            amounts["order_id"] = _text(values, columns.order_id, needed=False) or None
            if columns.line and amounts["order_id"]:
                amounts["line"] = _text(values, columns.line, needed=False) or None
        at = _storable(self._time(line, values), self.shift)
        visitor = _text(values, columns.visitor_id) if columns.visitor_id else None
        return history.event(session, at, name.value, item_id, visitor=visitor, **amounts)

    def _price(self, text: str, value: Any) -> str:
        """A price with a decimal point. EventError where a text may say thousands as well as decimals."""
        if DECIMAL_COMMA.fullmatch(text):
            return text.replace(".", "").replace(",", ".")
        currency = self.columns.currency or sessrec_settings.CURRENCY
        if isinstance(value, str) and PERHAPS_THOUSANDS.fullmatch(text) and decimals(currency) < 3:
            remedy = "write it without points for thousands, and with two decimals"
            raise EventError("price", f"price {text} may be {text.replace('.', '')} or {text}: {remedy}")
        return text

    def _session(self, line: int, values: Values | Exception) -> str:
        """The row's session; one of a visitor is named by its first millisecond."""
        if isinstance(values, Exception):
            raise EventError("row", str(values))
        if self.columns.visitor_id is None:
            return _text(values, self.columns.session_id)
        if self._starts is None:
            self._starts = self._session_starts(self.columns.visitor_id)
        return f"{_text(values, self.columns.visitor_id)}\0{self._starts[line]}"

    def _session_starts(self, visitor_column: str) -> Any:
        """By line, when the session began that the line's click belongs to, in milliseconds since 1970.

        Reads the file once for it: rows need not be in the order of time. 24 bytes of memory a row.
        """
        visitors, times, lines = array("Q"), array("q"), array("q")
        last = 0
        for line, values in self._rows():
            last = line
            try:
                visitor = "" if isinstance(values, Exception) else _text(values, visitor_column)
            except EventError:
                continue
            if visitor and (at := self._readable_time(line, values)):
                digest = blake2b(visitor.encode(), digest_size=8).digest()
                visitors.append(int.from_bytes(digest))
                times.append((at - EPOCH) // MILLISECOND)
                lines.append(line)
        order = np.lexsort((lines, times, visitors))
        who, when = np.asarray(visitors)[order], np.asarray(times)[order]
        idle = timedelta(minutes=sessrec_settings.SESSION_IDLE_MINUTES) // MILLISECOND
        begins = np.ones(len(order), bool)
        begins[1:] = (who[1:] != who[:-1]) | (np.diff(when) > idle)
        starts = np.zeros(last + 1, np.int64)
        starts[np.asarray(lines)[order]] = when[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        return starts

    def _name(self, values: Values) -> EventName:
        if self.columns.event_name is None:
            return EventName.VIEW_ITEM
        theirs = _text(values, self.columns.event_name)
        name = self.columns.event_names.get(theirs, theirs)
        if name not in NAMES:
            known = ", ".join(EventName.values)
            raise EventError("name", f"event {theirs!r} is none of {known}: use --event {theirs}=NAME")
        return NAMES[name]

    def _time(self, line: int, values: Values) -> datetime:
        if self.columns.start is not None:
            return self.columns.start + timedelta(seconds=line)
        value = values.get(self.columns.time or "")
        if not isinstance(value, datetime):
            value = _parsed_time(value, self.columns.time_unit)
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return value - timedelta(microseconds=value.microsecond % 1000)  # an id carries no more

    def _readable_time(self, line: int, values: Values | Exception) -> datetime | None:
        try:
            return None if isinstance(values, Exception) else self._time(line, values)
        except EventError:
            return None

    def _rows(self) -> Iterator[tuple[int, Values | Exception]]:
        for line, share, values in table_files.rows(self.path, self.columns.named, self.columns.optional):
            self.share = share
            yield line, values


def _text(values: Values, column: str, *, needed: bool = True) -> str:
    """The column's value as text: whole numbers without a point, however the file stores them."""
    value = values.get(column)
    if isinstance(value, bool | list | dict):
        raise EventError("value", f"{column} is {str(value)[:40]}: neither text nor a number")
    if isinstance(value, float | Decimal):
        value = "" if value != value else int(value) if _is_whole(value) else value
    text = "" if value is None else str(value).strip()
    if needed and not text:
        raise EventError("empty", f"{column} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EventError("encoding", f"{column} {text[:40]!r} is not UTF-8") from None
    return text


def _is_whole(number: float | Decimal) -> bool:
    """Not by %, which Decimal refuses beyond its precision of 28 digits."""
    return isfinite(number) and number.as_integer_ratio()[1] == 1


def _parsed_time(value: Any, unit: str) -> datetime:
    """A number since 1970 in the unit, or text of ISO 8601; "UTC" at its end is understood as well."""
    text = str(value).strip().removesuffix("UTC").strip()
    if isinstance(value, str) and COMPACT_DATE.fullmatch(text):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    if unit in TIME_UNITS:
        with suppress(TypeError, ValueError, OverflowError):
            return EPOCH + timedelta(seconds=float(value) / TIME_UNITS[unit])
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        known = f"neither a number ({unit} since 1970) nor a" if unit in TIME_UNITS else "no"
        raise EventError("time", f"time {str(value)[:40]!r} is {known} date of ISO 8601") from None


def _storable(original: datetime, shift: timedelta | None) -> datetime:
    """The shifted time, if rows of it are kept: an older one would be deleted by the next upkeep."""
    by = shift or timedelta(0)
    try:
        at = original + by
    except OverflowError:
        raise EventError("time", f"time {original} can't be shifted by {by.days} days") from None
    now, days = datetime.now(UTC), sessrec_settings.RETENTION_DAYS
    if at > now + CLOCK_SKEW:
        remedy = "is the unit right, and is it UTC where it names no zone?"
        raise EventError("future", f"time {at:%Y-%m-%d %H:%M:%S} lies in the future: {remedy}")
    if days and at < now - timedelta(days=days):
        left_out = f"is older than RETENTION_DAYS ({days}): it would be deleted at once, so it is left out"
        raise EventError("old", f"time {at:%Y-%m-%d %H:%M:%S} {left_out}")
    return at
