"""UUIDs of version 7 (RFC 9562): an event's id is its time, so the same event twice is the same row."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NANOSECONDS = 10**6  # of a millisecond


def uuid7(at: datetime | None = None) -> UUID:
    """A new id, of now or of `at` (aware).

    The 12 bits below the milliseconds are their fraction (RFC 9562, 6.2, method 3), so that what one
    request records keeps its order; the last 62 are random.
    """
    nanoseconds = time.time_ns() if at is None else (at - EPOCH) // timedelta(microseconds=1) * 1000
    milliseconds, rest = divmod(nanoseconds, NANOSECONDS)
    fraction = (rest << 12) // NANOSECONDS
    random = int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random)


def order_line_id(order_id: str, item_id: str, at: datetime | None = None, line: str = "") -> UUID:
    """The id of an event of an order's line, of now or of `at` (aware).

    `line` tells apart lines of one item; without it the id is that of order and item alone.

    All but the time is the same whenever the line is told again: a purchase whose page is loaded three times
    is known as one, and a refund knows its purchase.
    """
    named = f"{order_id}\0{item_id}" + (f"\0{line}" if line else "")
    digest = blake2b(named.encode(), digest_size=10, person=b"order").digest()
    return _with_random(uuid7(at), int.from_bytes(digest))


def seen_id(impression_id: UUID) -> UUID:
    """The id of the event that an impression was seen: always the same, and of the list's own time.

    So a page that tells it twice, or one that the browser takes back from its memory, tells it once.
    """
    random = int.from_bytes(blake2b(impression_id.bytes, digest_size=10, person=b"seen").digest())
    return _with_random(impression_id, random)


def _with_random(uuid: UUID, random: int) -> UUID:
    """A UUIDv7 of the same millisecond, the rest from 80 given bits."""
    return UUID(int=uuid.int >> 80 << 80 | 7 << 76 | random >> 68 << 64 | 2 << 62 | random % 2**62)


def moved(uuid: UUID, by: timedelta) -> UUID:
    """The UUIDv7 with its time moved by whole milliseconds; ValueError where no id carries that time."""
    return UUID(int=uuid.int + (by // timedelta(milliseconds=1) << 80))


def time_of(uuid: UUID) -> datetime:
    """The time that a UUIDv7 carries, to the millisecond; ValueError where it carries none."""
    if uuid.int >> 76 & 15 != 7 or uuid.int >> 62 & 3 != 2:  # its version and variant
        raise ValueError(f"{uuid} is not a UUID of version 7: make ids with uuid7()")
    try:
        return EPOCH + timedelta(milliseconds=uuid.int >> 80)
    except OverflowError:
        raise ValueError(f"{uuid} lies after the year 9999") from None
