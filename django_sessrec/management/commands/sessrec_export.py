"""Command: write the SQL views for BI tools as CSV and Parquet."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import CommandError

from django_sessrec.management.arguments import day
from django_sessrec.management.command import SessrecCommand
from django_sessrec.measuring.bi_export import FORMATS, STORAGE, ExportError, export
from django_sessrec.measuring.days import today
from django_sessrec.models import AuditEntry


class Command(SessrecCommand):
    help = (
        f"Write the views sessrec_bi_... into the storage {STORAGE!r} of settings.STORAGES, a file for each "
        "view and month: those whose sums were made in the last two days, or of --since and --until."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=day, metavar="DAY", help="Such as 2026-11-01.")
        parser.add_argument("--until", type=day, metavar="DAY", help="Today by default.")
        parser.add_argument(
            "--format", action="append", choices=FORMATS, help="May be repeated; by default both."
        )

    def handle(self, *, since: date | None, until: date | None, **options: Any) -> None:
        last = until or today()
        if since and since > last:
            raise CommandError(f"--since {since} lies after {last}: swap the two days.")
        files = 0
        try:
            for name in export(since, until, options["format"]):
                self.stdout.write(name)
                files += 1
        except ExportError as problem:
            raise CommandError(str(problem)) from problem
        AuditEntry.objects.note(AuditEntry.Action.EXPORT, "command", files=files)
        self.stdout.write(f"{files} files written")
