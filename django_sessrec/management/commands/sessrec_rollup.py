"""Command: make the figures' sums by day, from the raw rows."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import CommandError
from django.db import Error

from django_sessrec.management.arguments import day
from django_sessrec.management.command import SessrecCommand
from django_sessrec.management.progress import Progress
from django_sessrec.measuring.days import today
from django_sessrec.measuring.rollups import days_with_rows, noted_due_days, roll_up


class Command(SessrecCommand):
    help = (
        "Make the sums by day that reports read: those that are due, or with --since or --until every day of "
        "which raw rows are left, the latest first. Each day is finished by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=day, metavar="DAY", help="The first day, such as 2026-11-01.")
        parser.add_argument("--until", type=day, metavar="DAY", help="The last day; today by default.")

    def handle(self, *, since: date | None, until: date | None, **options: Any) -> None:
        last = until or today()
        if since and since > last:
            raise CommandError(f"--since {since} lies after {last}: swap the two days.")
        due = noted_due_days()
        days = due if since is None and until is None else days_with_rows(since or date.min, last)
        progress = Progress(self.stderr, "sessrec_rollup")
        for number, each in enumerate(days):
            progress("roll up", number / len(days), {"day": each})
            try:
                roll_up(each)
            except Error as problem:
                progress.end()
                raise CommandError(
                    f"{each}: {str(problem).strip()}. The {number} days after it are done: continue with "
                    f"--until {each}."
                ) from problem
        if days:
            progress("roll up", 1, {"day": days[-1]})
            progress.end()
        span = f", {days[-1]} to {days[0]}" if days else ""
        self.stdout.write(f"{len(days)} days rolled up{span}")
