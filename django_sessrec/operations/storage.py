"""Examinations of the storage: the database's rights, clock and partitions, and the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.apps import apps
from django.db.migrations.executor import MigrationExecutor
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.capture import partitions
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, Impression
from django_sessrec.operations.findings import Code, Finding, ago, fail, ok, warn
from django_sessrec.privacy.retention import oldest_rows

CLOCK_DIFFERS = timedelta(seconds=5)
CLOCK_IS_WRONG = timedelta(minutes=1)  # events are refused from five minutes on
DISK_LOW = 1_000_000_000  # bytes: some artifacts of a large shop
DISK_FULL = 100_000_000
ACCESS = """
SELECT current_user, current_schema() IS NOT NULL,
       has_table_privilege(to_regclass('django_migrations'), 'SELECT'),
       current_setting('transaction_read_only') = 'on', pg_is_in_recovery(),
       current_setting('default_transaction_isolation')
"""
SNAPSHOT_OF_THE_TRANSACTION = {"repeatable read", "serializable"}
RIGHTS = """
SELECT relname, current_user, relnamespace::regnamespace::text,
       has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
           AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'),
       pg_has_role(relowner, 'USAGE'), has_schema_privilege(relnamespace, 'CREATE')
FROM pg_class
WHERE oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
ORDER BY relname
"""


def tables() -> Iterator[Finding]:
    connection = database.connection()
    with connection.cursor() as cursor:
        cursor.execute(ACCESS)
        role, may_enter, may_read_migrations, read_only, standby, isolation = cursor.fetchone()
    if read_only:
        yield fail(
            Code.DATABASE_READ_ONLY,
            _("The database is a standby: it takes no rows.")
            if standby
            else _("The database is read-only: it takes no rows."),
            _("Let DATABASE name the primary server.")
            if standby
            else _(
                "See default_transaction_read_only of the server and of the role: hosts of databases set it "
                "when the disk is full."
            ),
        )
    if isolation in SNAPSHOT_OF_THE_TRANSACTION:
        yield warn(
            Code.DATABASE_ISOLATION,
            _(
                "default_transaction_isolation is %(level)s: events of a session that is erased at the same "
                "time may be stored."
            )
            % {"level": isolation},
            _(
                "ALTER ROLE the role SET default_transaction_isolation = 'read committed', or let DATABASE "
                "name a database of the events' own."
            ),
        )
    if not may_enter or may_read_migrations is False:
        yield fail(
            Code.RIGHTS_MISSING,
            _("The role %(role)s may not read the tables.") % {"role": role},
            _(
                "GRANT USAGE ON SCHEMA public TO the role, and SELECT, INSERT, UPDATE, DELETE ON ALL TABLES "
                "IN SCHEMA public; if the tables are in another schema, name that."
            ),
        )
        return
    executor = MigrationExecutor(connection)
    wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "sessrec"]
    if executor.migration_plan(wanted):
        yield fail(
            Code.DATABASE_MIGRATIONS, _("Tables are missing or out of date."), _("Run manage.py migrate.")
        )
        return
    version = ".".join(str(part) for part in connection.get_database_version())
    yield ok(
        Code.DATABASE_READY,
        _("PostgreSQL %(version)s, every migration is applied.") % {"version": version},
    )


def clock() -> Iterator[Finding]:
    """The clock of this process against the database's, which decides what is too old."""
    before = datetime.now(UTC)
    theirs = database.now()
    ours = before + (datetime.now(UTC) - before) / 2
    apart = abs(theirs - ours)
    if apart < CLOCK_DIFFERS:
        return
    message = _("The clock of this process and the database's are %(seconds)d seconds apart.")
    remedy = _("Synchronise both clocks, for example with chrony; events dated in the future are refused.")
    found = fail if apart >= CLOCK_IS_WRONG else warn
    yield found(Code.DATABASE_CLOCK, message % {"seconds": apart.total_seconds()}, remedy)


def rights() -> Iterator[Finding]:
    """Whether the role may read and write every table, and make and drop partitions."""
    names = [model._meta.db_table for model in apps.get_app_config("sessrec").get_models()]
    with database.connection().cursor() as cursor:
        cursor.execute(RIGHTS, [names])
        rows = cursor.fetchall()
    closed = [table for table, _role, _schema, may_write, *_rest in rows if not may_write]
    if closed:
        yield fail(
            Code.RIGHTS_MISSING,
            _("The role %(role)s may not read and write %(tables)s.")
            % {"role": rows[0][1], "tables": ", ".join(closed)},
            _("GRANT SELECT, INSERT, UPDATE, DELETE ON these tables TO the role."),
        )
    partitioned = {Event._meta.db_table, Impression._meta.db_table}
    for table, role, schema, _may_write, owns, may_create in rows:
        if table in partitioned and not (owns and may_create):
            yield warn(
                Code.RIGHTS_NO_PARTITIONS,
                _("The role %(role)s can't make or drop the partitions of %(table)s.")
                % {"role": role, "table": table},
                _(
                    "Let it own the table and GRANT CREATE ON SCHEMA %(schema)s to it, or run sessrec_prune "
                    "once an hour as a role that may."
                )
                % {"schema": schema},
            )
            return
    if rows and not closed:
        yield ok(Code.RIGHTS_GRANTED, _("The role %(role)s has every right it needs.") % {"role": rows[0][1]})


def days() -> Iterator[Finding]:
    """The daily partitions of today and of the days to come."""
    wanted, ahead = partitions.DAYS_AHEAD, partitions.days_ahead()
    if ahead >= wanted:
        yield ok(
            Code.PARTITIONS_READY, _("Partitions exist for today and %(days)d more days.") % {"days": ahead}
        )
        return
    remedy = _("Run sessrec_prune, and let beat run the upkeep.")
    if ahead < 0:
        message = _("Today has no partition: nothing can be stored.")
        yield fail(Code.PARTITIONS_MISSING, message, remedy)
    else:
        message = _("Partitions exist for %(ahead)d of the next %(wanted)d days.") % {
            "ahead": ahead,
            "wanted": wanted,
        }
        yield warn(Code.PARTITIONS_MISSING, message, remedy)


def retention() -> Iterator[Finding]:
    late = [each for each in oldest_rows(database.now()) if not each.within_limit]
    for each in late:
        yield fail(
            Code.RETENTION_EXCEEDED,
            _("%(table)s has rows from %(ago)s.")
            % {"table": each.table, "ago": ago(each.oldest) if each.oldest else ""},
            _(
                "Run sessrec_prune, and let beat run the upkeep. Where many days are due at once and the "
                "clocks are right: sessrec_prune --force."
            ),
        )
    if not late:
        yield ok(Code.RETENTION_KEPT, _("No row is older than RETENTION_DAYS allows."))


def disk() -> Iterator[Finding]:
    """Free disk space for models."""
    home = sessrec_settings.artifacts.absolute()
    folder = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    message = _("%(size)s are free for models in %(folder)s.") % {
        "size": filesizeformat(free),
        "folder": home,
    }
    if free >= DISK_LOW:
        yield ok(Code.DISK_FREE, message)
        return
    found = fail if free < DISK_FULL else warn
    yield found(
        Code.DISK_LOW, message, _("Free disk space: a training run that cannot write its model fails.")
    )
