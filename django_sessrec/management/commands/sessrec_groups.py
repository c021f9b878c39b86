"""Make the groups merchant, analyst and operator of the admin's recommendation pages."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management.base import CommandError

from django_sessrec.database import APP_LABEL
from django_sessrec.management.command import SessrecCommand

# Rows about single sessions, and what only an operator acts on.
RAW = {
    *("auditentry", "event", "failedevent", "heartbeat", "impression", "ledger", "quarantine", "receipt"),
    "withdrawal",
}
ANALYST = {"export_figures", "inspect_sessions"}
MERCHANT = {
    *ANALYST,
    "edit_rules",
    "promote_models",
    "quarantine_sessions",
    "run_experiments",
    "train_models",
}
OPERATOR = {"promote_models", "quarantine_sessions", "replay_events", "train_models"}


def groups() -> dict[str, set[str]]:
    """Name of each group -> codenames of its permissions."""
    every = {model._meta.model_name or "" for model in apps.get_app_config(APP_LABEL).get_models()}
    pages = {f"view_{name}" for name in every - RAW}
    return {
        "Recommendations: analyst": pages | ANALYST,
        "Recommendations: merchant": pages | MERCHANT,
        "Recommendations: operator": {f"view_{name}" for name in every} | OPERATOR,
    }


class Command(SessrecCommand):
    help = __doc__ or ""

    def handle(self, **options: Any) -> None:
        for name, codenames in groups().items():
            found = Permission.objects.filter(content_type__app_label=APP_LABEL, codename__in=codenames)
            if missing := codenames - set(found.values_list("codename", flat=True)):
                raise CommandError(
                    f"Permissions are missing, run migrate first: {', '.join(sorted(missing))}"
                )
            group, made = Group.objects.get_or_create(name=name)
            group.permissions.add(*found)  # what the shop gave the group besides stays
            self.stdout.write(f"{name}: {'made' if made else 'up to date'}, {len(codenames)} permissions")
