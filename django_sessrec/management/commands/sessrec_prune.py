"""Command: delete rows older than RETENTION_DAYS, and create the partitions of the coming days."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from django_sessrec.management.command import SessrecCommand
from django_sessrec.operations.upkeep import UpkeepError, upkeep


class Command(SessrecCommand):
    help = (
        "Do the hourly upkeep now: partitions, quarantine, roll-ups, retention, killed training runs, old "
        "artifacts."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--force",
            action="store_true",
            help="delete even if implausibly many days are due at once",
        )

    def handle(self, *, force: bool, **options: Any) -> None:
        try:
            done = upkeep(force=force)
        except UpkeepError as problem:
            raise CommandError(f"{problem}. sessrec_doctor says what is missing.") from problem
        purged = done["purged"]
        self.stdout.write(f"{len(done['partitions'])} partitions made, {len(purged.partitions)} dropped")
        self.stdout.write(
            f"{purged.failed_events} failed events, {purged.quarantines} quarantined sessions and "
            f"{purged.withdrawals} withdrawals deleted"
        )
        self.stdout.write(f"{done['quarantined'].total()} sessions put into quarantine")
        self.stdout.write(f"{len(done['rolled_up'])} days of figures rolled up")
        self.stdout.write(
            f"{len(done['stale_runs'])} killed training runs marked as failed, "
            f"{len(done['artifacts'])} artifacts removed"
        )
