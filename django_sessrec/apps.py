"""The app's entry in INSTALLED_APPS."""

import sys
from collections.abc import Sequence
from typing import Any, TextIO

from django.apps import AppConfig
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class SessrecConfig(AppConfig):
    name = "django_sessrec"
    label = "sessrec"
    verbose_name = _("Recommendations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_sessrec import checks  # noqa: F401

        post_migrate.connect(make_partitions, sender=self)
        post_migrate.connect(make_views, sender=self)


def make_partitions(
    *,
    using: str,
    verbosity: int = 0,
    stdout: TextIO | None = None,
    plan: Sequence[tuple[Migration, bool]] = (),
    **_: Any,
) -> None:
    """Make the coming days' partitions wherever the tables have just been made, and not just been dropped."""
    from django_sessrec import database
    from django_sessrec.capture import partitions
    from django_sessrec.models import Event

    connection = connections[using]
    if database.holds_tables(connection):
        if Event._meta.db_table in connection.introspection.table_names():
            partitions.ensure_ahead()
    elif verbosity and any(migration.app_label == SessrecConfig.label for migration, _backwards in plan):
        (stdout or sys.stdout).write(_why_no_tables(connection))


def make_views(*, using: str, plan: Sequence[tuple[Migration, bool]] = (), **_: Any) -> None:
    """Make the views for BI tools, wherever migrations of the app have just been applied."""
    from django_sessrec import database
    from django_sessrec.measuring import views

    connection = connections[using]
    migrated = any(migration.app_label == SessrecConfig.label for migration, _backwards in plan)
    if migrated and database.holds_tables(connection):
        existing = set(connection.introspection.table_names())
        if {view.table for view in views.VIEWS} <= existing:  # not those of an older version, taken back to
            views.make_views(connection)


def _why_no_tables(connection: BaseDatabaseWrapper) -> str:
    from django_sessrec.conf import sessrec_settings

    alias = sessrec_settings.DATABASE
    if connection.alias == alias:
        why = f"it is {connection.vendor}, and they need PostgreSQL"
    else:
        why = f"SESSREC['DATABASE'] is {alias!r}: run migrate --database {alias}"
    return f"django_sessrec has made no tables in {connection.alias!r}: {why}.\n"
