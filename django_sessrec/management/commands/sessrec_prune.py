"""Delete what is older than RETENTION_DAYS, and make the partitions of the days to come."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from django_sessrec.capture import bot_rules, partitions
from django_sessrec.conf import sessrec_settings
from django_sessrec.privacy import retention
from django_sessrec.training import artifact_store, resume, runs


class Command(BaseCommand):
    help = "Do the hourly upkeep now: partitions, quarantine, retention, killed trainings, old artifacts."

    def handle(self, **options: Any) -> None:
        made = partitions.ensure_ahead()
        found = bot_rules.quarantine()
        purged = retention.purge()
        stale = runs.fail_stale()
        resume.discard_old()
        removed = [name for model in sessrec_settings.MODELS for name in artifact_store.prune(model)]
        self.stdout.write(f"{len(made)} partitions made, {len(purged.partitions)} dropped")
        self.stdout.write(
            f"{purged.failed_events} failed events, {purged.quarantines} quarantines and "
            f"{purged.withdrawals} withdrawals deleted"
        )
        self.stdout.write(f"{found.total()} visits put into quarantine")
        self.stdout.write(f"{len(stale)} killed trainings marked as failed, {len(removed)} artifacts removed")
