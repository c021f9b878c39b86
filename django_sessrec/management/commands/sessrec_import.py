"""Command: import clicks, orders and refunds of another system."""

from __future__ import annotations

import csv
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.clickfile import TIME_UNITS, ClickFile, Columns, UnusableFile
from django_sessrec.capture.event import EventError
from django_sessrec.capture.history import without_sensitive
from django_sessrec.capture.rows import row_of
from django_sessrec.catalogue import get_catalogue
from django_sessrec.management.command import SessrecCommand
from django_sessrec.management.progress import Progress
from django_sessrec.models import Event

COLUMNS = (
    *("session_id", "visitor_id", "item_id", "time", "time_unit", "event_name", "quantity", "price"),
    *("currency", "order_id", "line", "start"),
)
LOOKED_UP = 20  # the file's last ids: older ones may be of products that are gone


class Command(SessrecCommand):
    help = (
        "Import events from a CSV file with a header, a file with a JSON object in each line, a Parquet file,"
        " or a folder of them, also compressed by gzip or zstd; the same file twice is imported once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--session-id", default="session_id", metavar="COLUMN")
        whose.add_argument(
            "--visitor-id",
            metavar="COLUMN",
            help="where ids are visitors', not sessions': a pause of SESSION_IDLE_MINUTES ends a session",
        )
        parser.add_argument("--item-id", default="item_id", metavar="COLUMN")
        parser.add_argument(
            "--time", metavar="COLUMN", help="column of the event's time; UTC where it names no zone"
        )
        parser.add_argument(
            "--time-unit",
            choices=[*TIME_UNITS, "iso"],
            default="s",
            help="of numbers since 1970, default: s; dates as text (ISO 8601) are read whatever the unit,"
            " and with iso nothing else",
        )
        parser.add_argument("--event-name", metavar="COLUMN", help="without it every row is a view_item")
        parser.add_argument(
            "--event",
            action="append",
            type=_mapped,
            default=[],
            metavar="THEIRS=OURS",
            help="the file's name of an event and this app's, such as addtocart=add_to_cart; repeatable",
        )
        parser.add_argument("--quantity", metavar="COLUMN")
        parser.add_argument("--price", metavar="COLUMN", help="of one piece")
        parser.add_argument("--currency", default="", metavar="CODE", help="of all prices, such as EUR")
        parser.add_argument("--order-id", metavar="COLUMN", help="of purchases and refunds")
        parser.add_argument(
            "--line", metavar="COLUMN", help="with --order-id: what tells apart its lines of one item"
        )
        parser.add_argument(
            "--start",
            type=_date,
            metavar="DATE",
            help="where no column has the time: when the first event was, UTC where it names no zone; the"
            " others follow, a second for each row",
        )
        parser.add_argument(
            "--shift-to-now",
            action="store_true",
            help="for demo data, not for your own history: move all events by whole days, the newest to the"
            " last 24 hours",
        )
        parser.add_argument("--check", action="store_true", help="read the whole file and store nothing")
        parser.add_argument(
            "--rejects", type=Path, help="report of rejected rows; default: FILE.rejected.csv, here"
        )

    def handle(
        self,
        *,
        file: Path,
        rejects: Path | None,
        shift_to_now: bool,
        check: bool,
        event: list[tuple[str, str]],
        **options: Any,
    ) -> None:
        report = rejects or Path(f"{file.name}.rejected.csv")
        progress = Progress(self.stderr, file.name)
        seen = Seen()
        try:
            columns = Columns(**{name: options[name] for name in COLUMNS}, event_names=dict(event))
            clicks = ClickFile(file, columns)
            if shift_to_now:
                progress("dates", None, {})
                clicks.shift = clicks.shift_to_now()
            with Rejects(report) as rejected:
                events = without_sensitive(_shown(clicks, rejected, progress), rejected)
                stored = seen.count(events) if check else copy_events(map(row_of, events))
        except (UnusableFile, OSError) as problem:
            raise CommandError(str(problem)) from problem
        finally:
            progress.end()
        if check:
            self.stdout.write(
                f"{clicks.read:,} rows: {seen}, {rejected.rows:,} rejected. Nothing was stored."
            )
            self._compare_with_catalogue(list(seen.items)[-LOOKED_UP:])
        else:
            known = clicks.read - stored - rejected.rows
            self.stdout.write(
                f"{clicks.read:,} rows: {stored:,} events imported, {known:,} were there before"
                f"{', stand twice or were erased' if known else ''}, {rejected.rows:,} rejected."
            )
        for column in sorted(clicks.empty):
            self.stdout.write(self.style.WARNING(f"  No row has a value in {column}."))
        for count, line, reason in rejected.by_code.values():
            self.stdout.write(self.style.WARNING(f"  {count:,} like line {line}: {reason}"))
        if rejected.rows:
            self.stdout.write(f"  Each of them: {report}")
        if rejected.rows == clicks.read > 0:
            raise CommandError(f"no row of {file} can be imported: see the reasons above")

    def _compare_with_catalogue(self, item_ids: list[str]) -> None:
        """Whether the file's ids are those of the shop: the events of others teach nothing that is shown."""
        known = get_catalogue().known(item_ids)  # what is sold out now was sold when it was clicked
        found = f"  {len(known)} of {len(item_ids)} item ids that were looked up exist in your catalogue"
        if item_ids and not known:
            such = ", ".join(item_ids[:3])
            remedy = f", none of {such}: --item-id names the column of the ids that it resolves."
            self.stdout.write(self.style.WARNING(found + remedy))
        elif item_ids:
            self.stdout.write(f"{found}.")


def _date(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is not a date such as 2026-01-31") from None


def _mapped(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.rpartition("=")
    if not (theirs and equals and ours):
        raise ArgumentTypeError(f"{text!r} is not of the form addtocart=add_to_cart")
    return theirs, ours


class Seen:
    """Counts of a dry run over a file."""

    def __init__(self) -> None:
        self.events = 0
        self.sessions: set[UUID] = set()
        self.items: dict[str, None] = {}  # in the file's order
        self.first: datetime | None = None
        self.last: datetime | None = None

    def count(self, events: Iterator[Event]) -> int:
        for event in events:
            self.events += 1
            self.sessions.add(event.session_id)
            if event.item_id:
                self.items[event.item_id] = None
            self.first = min(self.first or event.occurred_at, event.occurred_at)
            self.last = max(self.last or event.occurred_at, event.occurred_at)
        return self.events

    def __str__(self) -> str:
        days = f", {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}" if self.first and self.last else ""
        return (
            f"{self.events:,} events of {len(self.sessions):,} sessions and {len(self.items):,} items{days}"
        )


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


def _shown(clicks: ClickFile, rejected: Rejects, progress: Progress) -> Iterator[tuple[int, Event]]:
    for row in clicks.events(rejected):
        progress("import", clicks.share, {"rows": clicks.read, "rejected": rejected.rows})
        yield row
