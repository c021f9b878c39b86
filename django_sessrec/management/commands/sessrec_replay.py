"""Command: retry failed events."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from django_sessrec.capture.replay import CODES, replay, replayable
from django_sessrec.management.command import SessrecCommand


class Command(SessrecCommand):
    help = "Retry failed events, each id once, after the cause of the failure is repaired."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--code", choices=CODES, help="those of one reason; default: all")

    def handle(self, *, code: str | None, **options: Any) -> None:
        failed = replayable()
        done = replay(failed.filter(code=code) if code else failed)
        self.stdout.write(
            f"{done.stored:,} stored, {done.known:,} already stored or withdrawn, "
            f"{done.failed:,} failed again"
        )
