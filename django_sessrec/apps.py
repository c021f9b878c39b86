"""The app's entry in INSTALLED_APPS."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
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


def make_partitions(*, using: str, **_: Any) -> None:
    """Make the coming days' partitions wherever the tables have just been made, and not just been dropped."""
    from django_sessrec.capture import partitions
    from django_sessrec.conf import sessrec_settings
    from django_sessrec.models import Event

    if using != sessrec_settings.DATABASE:
        return
    if Event._meta.db_table in connections[using].introspection.table_names():
        partitions.ensure_ahead()
