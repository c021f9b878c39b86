"""Access to the database that SESSREC["DATABASE"] names; no table is made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections, migrations, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from psycopg import IsolationLevel

from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import UnsupportedError

APP_LABEL = "sessrec"
Row = TypeVar("Row", bound=models.Model)


def connection() -> BaseDatabaseWrapper:
    """This thread's connection to the database."""
    return connections[sessrec_settings.DATABASE]


def postgres() -> BaseDatabaseWrapper:
    """The same; raises UnsupportedError if it is not PostgreSQL, as in a shop's tests on SQLite."""
    found = connection()
    if found.vendor != "postgresql":
        raise UnsupportedError(
            f"SESSREC['DATABASE'] = {found.alias!r} is {found.vendor}: django_sessrec needs PostgreSQL, and"
            " neither reads nor stores anything there"
        )
    return found


@contextmanager
def outside_pool() -> Iterator[None]:
    """This thread's connection inside is none of the shop's pool, where it has one (OPTIONS["pool"]).

    A pool that has lost its server tries again after 1, 2, 4, 8 .. seconds, and one whose connections are all
    lent gives none: a thread or process that holds rows, and is no page, must not wait for that.
    """
    pooled = connection()
    if not pooled.settings_dict.get("OPTIONS", {}).get("pool"):
        yield
        return
    own = pooled.copy()
    del own.settings_dict["OPTIONS"]["pool"]
    connections[pooled.alias] = own
    try:
        yield
    finally:
        own.close()
        connections[pooled.alias] = pooled


@contextmanager
def atomic(*, durable: bool = False) -> Iterator[None]:
    """A transaction in the database, or a savepoint inside one.

    One of its own is of READ COMMITTED, whatever OPTIONS["isolation_level"] says: at the stricter levels it
    would see no withdrawal that is committed after its first statement.
    """
    own = connection()
    level = own.settings_dict["OPTIONS"].get("isolation_level") if own.vendor == "postgresql" else None
    with (
        nullcontext() if own.in_atomic_block or level is None else _read_committed(own),
        transaction.atomic(using=own.alias, durable=durable),
    ):
        yield


@contextmanager
def _read_committed(own: BaseDatabaseWrapper) -> Iterator[None]:
    """The connection's transactions that begin inside are of READ COMMITTED."""
    own.close_if_health_check_failed()  # not later, when the next one would be of the shop's level
    if not own.get_autocommit():  # somebody's transaction, begun without Django's atomic()
        yield
        return
    link = own.connection
    before = link.isolation_level
    link.isolation_level = IsolationLevel.READ_COMMITTED
    try:
        yield
    finally:
        if not link.closed:
            link.isolation_level = before


def now() -> datetime:
    """The server's clock (aware, UTC). It decides what is too old: one host's wrong clock deletes nothing."""
    with connection().cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


@contextmanager
def values_apart() -> Iterator[None]:
    """Statements of the ORM inside send their values apart from the text, which names no session then.

    Postgres logs the text of a statement that it cancels or refuses, and that log outlives an erasure. By
    default Django puts the values into the text. For this app's own statements: a shop's may need that.
    """
    own = connection()
    own.ensure_connection()
    link = own.connection
    before = link.cursor_factory
    link.cursor_factory = psycopg.Cursor
    try:
        yield
    finally:
        link.cursor_factory = before


class RoutedManager(models.Manager[Row]):
    """Reads and writes the database whatever the shop's routers say; `.using()` chooses another."""

    def get_queryset(self) -> models.QuerySet[Row]:
        return super().get_queryset().using(self._db or sessrec_settings.DATABASE)


class SessrecModel(models.Model):
    """A table of the app, in the database that SESSREC["DATABASE"] names."""

    objects: ClassVar[RoutedManager[Any]] = RoutedManager()

    class Meta:
        abstract = True


def holds_tables(connection: BaseDatabaseWrapper) -> bool:
    """Whether the app's tables belong there: it is SESSREC["DATABASE"], and PostgreSQL."""
    return connection.alias == sessrec_settings.DATABASE and connection.vendor == "postgresql"


class OwnDatabaseMigration(migrations.Migration):
    """A migration of this app: nothing happens in a database that does not hold its tables.

    Django asks routers, and most shops have none: `migrate` would make the tables in each database, and stop
    in the middle where one is not PostgreSQL. There the migration counts as applied all the same, as it does
    where a router refuses it.
    """

    def apply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        if holds_tables(schema_editor.connection):
            return super().apply(project_state, schema_editor, collect_sql)
        return self.mutate_state(project_state, preserve=False)

    def unapply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        if holds_tables(schema_editor.connection):
            return super().unapply(project_state, schema_editor, collect_sql)
        return project_state


class EventsRouter:
    """A router that keeps the app's tables in SESSREC["DATABASE"], and others' out of a database of its own.

    The last of DATABASE_ROUTERS: it answers for what the shop's own routers leave open.
    """

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return sessrec_settings.DATABASE if model._meta.app_label == APP_LABEL else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label == APP_LABEL:
            return holds_tables(connections[db])
        events_only = sessrec_settings.DATABASE != DEFAULT_DB_ALIAS
        return False if events_only and db == sessrec_settings.DATABASE else None
