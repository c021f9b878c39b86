"""Retention: deletion of data older than RETENTION_DAYS, a day at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from django_sessrec import database
from django_sessrec.capture import partitions
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.fast_query import patient
from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import ArmLine
from django_sessrec.figure_models import Attribution, Refund
from django_sessrec.models import Event, FailedEvent, Impression, Quarantine, Receipt, Withdrawal

# A write that had begun when its session was withdrawn may have ended after the deletion; a retried one
# comes hours later and is dropped when it arrives.
SWEPT_AGAIN = timedelta(days=2)
TIMEOUT_SECONDS = 600.0  # for the database
RECEIPTS_KEPT = timedelta(days=2)  # a broker brings a message again within hours

# The hourly upkeep has one day to drop, and some more after a week's outage. More than that is a clock that
# runs ahead, or a RETENTION_DAYS that somebody has lowered: what is dropped then is dropped for good.
MAX_DAYS_AT_ONCE = 7

ALLOWANCE = timedelta(days=2)  # whole days go at once; withdrawals and quarantines outlive them by one

# What is kept of visits, and the fields that find the oldest and tell its age. The ids of events and
# impressions carry their time and are indexed, so no partition is read for it.
KEPT = {
    Event: ("pk", "occurred_at"),
    Impression: ("pk", "shown_at"),
    FailedEvent: ("received_at", "received_at"),
    Quarantine: ("found_at", "found_at"),
    Withdrawal: ("withdrawn_at", "withdrawn_at"),
}

# What is kept of orders, and each one's day; ORDER_LINES_DAYS bounds it.
ORDER_LINES = {Attribution: "ordered_on", Refund: "refunded_on", ArmLine: "day"}


class ImplausiblePurgeError(Exception):
    """More days are due than one purge may delete without being told so: of their kind none was deleted."""


class Oldest(NamedTuple):
    """The oldest row of a table, and whether it may still be there."""

    table: str
    oldest: datetime | None
    within_limit: bool


@dataclass(frozen=True)
class Purged:
    """Rows and partitions that a purge deleted."""

    partitions: list[str]  # names, each a day of events or impressions
    failed_events: int
    withdrawals: int
    quarantines: int
    late_rows: int  # of withdrawn sessions
    order_lines: int = 0  # past ORDER_LINES_DAYS


def purge(*, force: bool = False) -> Purged:
    """Drop what is older than RETENTION_DAYS, whole days of events and impressions; None keeps it all.

    Lines of orders go after ORDER_LINES_DAYS. The database's clock tells what is too old.

    force: delete even where more than MAX_DAYS_AT_ONCE days with rows, or with lines of orders, are due
    Raises ImplausiblePurgeError where they are and it is not forced, and django.db.Error where a partition
    stays locked; the next purge goes on from there.
    """
    now = database.now()
    with patient(TIMEOUT_SECONDS):
        swept = erase_sessions(_withdrawn_since(now - SWEPT_AGAIN), wait_seconds=0.0)
    late_rows = sum(swept.rows.values())
    Receipt.objects.filter(received_at__lt=now - RECEIPTS_KEPT).delete()
    if not force and (reason := why_events_stay(now)):
        raise ImplausiblePurgeError(reason)
    dropped, failed, withdrawals, quarantines = _drop_events(now)
    if not force and (reason := _why_order_lines_stay(now)):
        raise ImplausiblePurgeError(reason)
    return Purged(dropped, failed, withdrawals, quarantines, late_rows, _drop_order_lines(now))


def _drop_events(now: datetime) -> tuple[list[str], int, int, int]:
    """Partitions, failed events, withdrawals and quarantines past RETENTION_DAYS."""
    days = sessrec_settings.RETENTION_DAYS
    if days is None:
        return [], 0, 0, 0
    oldest = now - timedelta(days)
    dropped = partitions.drop_older_than(days)
    failed = FailedEvent.objects.filter(received_at__lt=oldest).delete()[0]
    # Withdrawals and quarantines last as long as a session's rows can be there: they keep late ones out.
    # Where the shop listens to every deletion, Django deletes them by their ids.
    with database.values_apart():
        withdrawals = Withdrawal.objects.filter(withdrawn_at__lt=oldest - timedelta(1)).delete()[0]
        quarantines = Quarantine.objects.filter(found_at__lt=oldest - timedelta(1)).delete()[0]
    return dropped, failed, withdrawals, quarantines


def why_events_stay(now: datetime) -> str:
    """Why purge() deletes no events unless it is forced; empty where it does."""
    days = sessrec_settings.RETENTION_DAYS
    if days is None:
        return ""
    due = {partitions.day_of(name) for name in partitions.hold_rows(partitions.older_than(days))}
    return _implausible(due, "rows", f"RETENTION_DAYS = {days}", now)


def _why_order_lines_stay(now: datetime) -> str:
    days = sessrec_settings.ORDER_LINES_DAYS
    if days is None:
        return ""
    due = {
        day
        for rows, field in _due_order_lines(days, now)
        for day in rows.values_list(field, flat=True).distinct()
    }
    return _implausible(due, "order lines", f"ORDER_LINES_DAYS = {days}", now)


def _implausible(due: set[date], kind: str, setting: str, now: datetime) -> str:
    if len(due) <= MAX_DAYS_AT_ONCE:
        return ""
    return (
        f"{len(due)} days of {kind}, from {min(due)} to {max(due)}, are due at once; the database's clock "
        f"says {now:%Y-%m-%d %H:%M} UTC. If that and {setting} are right, run sessrec_prune --force"
    )


def _drop_order_lines(now: datetime) -> int:
    """Delete lines and refunds past ORDER_LINES_DAYS; the sums made of them stay."""
    days = sessrec_settings.ORDER_LINES_DAYS
    if days is None:
        return 0
    gone = {rows.model: rows.delete()[0] for rows, _field in _due_order_lines(days, now)}
    return gone[Attribution]


def _due_order_lines(days: int, now: datetime) -> Iterator[tuple[QuerySet[Any], str]]:
    """The rows of each table that are past `days`, and the field that has their day."""
    oldest = (now - timedelta(days)).date()
    for model, field in ORDER_LINES.items():
        yield model.objects.filter(**{f"{field}__lt": oldest}), field


def oldest_rows(now: datetime) -> Iterator[Oldest]:
    """How old each table's rows are, held against RETENTION_DAYS: the proof that the purge works."""
    days = sessrec_settings.RETENTION_DAYS
    for model, (order, field) in KEPT.items():
        rows = model.objects
        oldest = rows.order_by(order).values_list(field, flat=True).first()
        within = days is None or oldest is None or oldest >= now - timedelta(days) - ALLOWANCE
        yield Oldest(model._meta.db_table, oldest, within)


def _withdrawn_since(moment: datetime) -> list[UUID]:
    recent = Withdrawal.objects.filter(withdrawn_at__gte=moment)
    return list(recent.values_list("pk", flat=True))
