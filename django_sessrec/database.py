"""The database that SESSREC["DATABASE"] names: its connection, transactions, clock, and manager."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_sessrec.conf import sessrec_settings

Row = TypeVar("Row", bound=models.Model)


def connection() -> BaseDatabaseWrapper:
    """This thread's connection to the database."""
    return connections[sessrec_settings.DATABASE]


def atomic(*, durable: bool = False) -> transaction.Atomic:
    """A transaction in the database, or a savepoint inside one."""
    return transaction.atomic(using=sessrec_settings.DATABASE, durable=durable)


def now() -> datetime:
    """The server's clock (aware, UTC). It decides what is too old: one host's wrong clock deletes nothing."""
    with connection().cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


class RoutedManager(models.Manager[Row]):
    """Reads and writes the database whatever the shop's routers say; `.using()` chooses another."""

    def get_queryset(self) -> models.QuerySet[Row]:
        return super().get_queryset().using(self._db or sessrec_settings.DATABASE)
