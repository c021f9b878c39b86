"""Store the failed events that the database takes now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_sessrec.capture.replay import CODES, replay, replayable


class Command(BaseCommand):
    help = "Try failed events again, each id once: after a repair of what kept the database from taking them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--code", choices=CODES, help="those of one reason; default: all")

    def handle(self, *, code: str | None, **options: Any) -> None:
        failed = replayable()
        done = replay(failed.filter(code=code) if code else failed)
        self.stdout.write(
            f"{done.stored:,} stored, {done.known:,} known already or withdrawn, {done.failed:,} failed again"
        )
