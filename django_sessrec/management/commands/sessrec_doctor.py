"""Command: examine the installation and print a remedy for each problem."""

from __future__ import annotations

import sys
from typing import Any

from django_sessrec import tasks
from django_sessrec.management.command import SessrecCommand
from django_sessrec.operations.examination import examine
from django_sessrec.operations.findings import Level


class Command(SessrecCommand):
    help = (
        "Examine settings, database, broker, workers, models, catalogue and events; exits with 1 if one "
        "fails."
    )
    requires_system_checks = []  # they are part of the report

    def handle(self, **options: Any) -> None:
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.WARN: self.style.WARNING,
            Level.FAIL: self.style.ERROR,
        }
        failed = False
        for finding in examine(tasks.broker()):
            failed |= finding.level == Level.FAIL
            level = styles[finding.level](f"{finding.level:<4}")
            self.stdout.write(f"{level} {finding.subject:<10} {finding.message}")
            if finding.remedy:
                self.stdout.write(f"{'':<15} -> {finding.remedy}")
        if failed:
            sys.exit(1)
