"""Days of the shop: from midnight to midnight in TIME_ZONE, 23 or 25 hours where the clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from django.utils import timezone

ONE: timedelta = timedelta(days=1)


def first_moment(day: date) -> datetime:
    """Midnight of a day."""
    return datetime.combine(day, time.min, timezone.get_default_timezone())


def today() -> date:
    """The day on which the shop now is, whatever the zone of who looks."""
    return day_of(timezone.now())


def day_of(moment: datetime) -> date:
    """The day on which a moment (aware) lies."""
    return moment.astimezone(timezone.get_default_timezone()).date()


def last_days(days: int) -> tuple[date, date]:
    """The last `days` days, today among them."""
    end = today()
    return end - (days - 1) * ONE, end


def whole_days(days: int) -> tuple[date, date]:
    """The last `days` days that are over."""
    end = today() - ONE
    return end - (days - 1) * ONE, end


def each_day(first: date, last: date) -> Iterator[date]:
    """The days from first to last, both included."""
    for number in range((last - first).days + 1):
        yield first + number * ONE
