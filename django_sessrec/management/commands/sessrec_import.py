"""Bring clicks of another system into the event store."""

from __future__ import annotations

import csv
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.clickfile import TIME_UNITS, ClickFile, Columns, UnusableFile
from django_sessrec.capture.event import EventError
from django_sessrec.capture.rows import EventRow
from django_sessrec.management.progress import Progress


class Command(BaseCommand):
    help = "Import clicks from a CSV (with a header) or Parquet file; the same file twice is imported once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--session-id", default="session_id", metavar="COLUMN")
        parser.add_argument("--item-id", default="item_id", metavar="COLUMN")
        parser.add_argument("--time", metavar="COLUMN", help="column of the click's time")
        parser.add_argument(
            "--time-unit", choices=[*TIME_UNITS, "iso"], default="s", help="default: s, since 1970"
        )
        parser.add_argument("--event-name", metavar="COLUMN", help="without it every row is a view_item")
        parser.add_argument(
            "--start",
            type=_date,
            metavar="DATE",
            help="where no column has the time: when the first click was; the others follow each second",
        )
        parser.add_argument(
            "--shift-to-now",
            action="store_true",
            help="move all clicks by whole days, the newest to the last 24 hours, so that trainings see them",
        )
        parser.add_argument(
            "--rejects", type=Path, help="report of rejected rows; default: FILE.rejected.csv, here"
        )

    def handle(self, *, file: Path, rejects: Path | None, shift_to_now: bool, **options: Any) -> None:
        report = rejects or Path(f"{file.name}.rejected.csv")
        progress = Progress(self.stderr, file.name)
        named = ("session_id", "item_id", "time", "time_unit", "event_name", "start")
        try:
            clicks = ClickFile(file, Columns(**{name: options[name] for name in named}))
            if shift_to_now:
                progress("dates", None, {})
                clicks.shift = _shift_to_now(clicks)
            with Rejects(report) as rejected:
                stored = copy_events(_shown(clicks, rejected, progress))
        except (UnusableFile, OSError) as problem:
            raise CommandError(str(problem)) from problem
        finally:
            progress.end()
        known = clicks.read - stored - rejected.rows
        self.stdout.write(
            f"{clicks.read:,} rows: {stored:,} clicks imported, {known:,} were there before, "
            f"{rejected.rows:,} rejected."
        )
        for count, line, reason in rejected.by_code.values():
            self.stdout.write(self.style.WARNING(f"  {count:,} like line {line}: {reason}"))
        if rejected.rows:
            self.stdout.write(f"  Each of them: {report}")


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date such as 2026-01-31") from None


class Rejects:
    """The rejected rows: each in a file, which is made with the first one, and counted by kind."""

    def __init__(self, report: Path) -> None:
        self.report = report
        self.files = ExitStack()
        self.by_code: dict[str, tuple[int, int, str]] = {}  # rows, line and reason of the first

    def __call__(self, line: int, reason: EventError) -> None:
        if not self.by_code:
            file = self.files.enter_context(self.report.open("w", encoding="utf-8", newline=""))
            self.writer = csv.writer(file)
            self.writer.writerow(["line", "reason"])
        self.writer.writerow([line, reason])
        count, first_line, first_reason = self.by_code.get(reason.code, (0, line, str(reason)))
        self.by_code[reason.code] = (count + 1, first_line, first_reason)

    @property
    def rows(self) -> int:
        return sum(count for count, *_ in self.by_code.values())

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, *exception: object) -> None:
        self.files.close()


def _shown(clicks: ClickFile, rejected: Rejects, progress: Progress) -> Iterator[EventRow]:
    for event in clicks.events(rejected):
        progress("import", clicks.share, {"rows": clicks.read, "rejected": rejected.rows})
        yield event


def _shift_to_now(clicks: ClickFile) -> timedelta:
    """Whole days, and the same ones as at an earlier import: else the same clicks would come again."""
    earlier, newest = clicks.earlier_shift(), clicks.newest()
    if earlier is not None or newest is None:
        return earlier or timedelta(0)
    return timedelta(days=(datetime.now(UTC) - newest).days)
