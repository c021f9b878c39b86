"""Command: move rows from the stream into Postgres, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from django_sessrec.capture import stream
from django_sessrec.capture.stream_consumer import Consumer
from django_sessrec.management.command import SessrecCommand


class Command(SessrecCommand):
    help = "Store the rows of SESSREC['STREAM_URL']; run one, or several: each row is stored once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="exit when the stream is empty")

    def handle(self, *, once: bool, **options: Any) -> None:
        if not stream.configured():
            raise CommandError("SESSREC['STREAM_URL'] is not set: pages write to the database directly.")
        try:
            consumer = Consumer()
        except stream.MissingClientError as problem:
            raise CommandError(str(problem)) from problem
        try:
            self.consume(consumer, once=once)
        except stream.OtherShopError as problem:
            raise CommandError(str(problem)) from problem

    def consume(self, consumer: Consumer, *, once: bool) -> None:
        self.stopped = False
        if once:
            rows = sum(iter(lambda: consumer.step(wait_ms=1), 0))
            self.stdout.write(f"{rows:,} rows stored")
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        consumer.run(lambda: self.stopped)

    def stop(self, *signal_and_frame: Any) -> None:
        """After the batch in hand."""
        self.stopped = True
