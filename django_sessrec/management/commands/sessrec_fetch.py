"""Command: keep this host's copies of the models up to date, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import signal
import socket
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import CommandError
from django.db import Error, close_old_connections

from django_sessrec import artifact_storage, database
from django_sessrec.management.command import SessrecCommand
from django_sessrec.models import Promotion
from django_sessrec.training.host_copies import AlreadyFetching, Fetcher, only_fetcher

log = logging.getLogger("django_sessrec")


class Command(SessrecCommand):
    help = (
        "Fetch the models in service from the storage of SESSREC['ARTIFACTS_STORAGE'] into this host's "
        "folder, verify them, and remove old ones; one on each host that shows lists."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="fetch once and exit; with 1 if a model in service is missing"
        )
        parser.add_argument("--all", action="store_true", help="also earlier runs and hold-out models")
        parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="default: 5")
        parser.add_argument("--host", default="", help="its name on the Health page; default: its host name")

    def handle(self, *, once: bool, every: float, host: str, **options: Any) -> None:
        if not artifact_storage.configured():
            raise CommandError(
                "SESSREC['ARTIFACTS_STORAGE'] is not set: all hosts read the folder SESSREC['ARTIFACTS']."
            )
        fetcher = Fetcher(host or socket.gethostname(), everything=options["all"])
        try:
            with only_fetcher():
                if once:
                    self._once(fetcher)
                else:
                    self._run(fetcher, every)
        except (AlreadyFetching, OSError) as reason:
            raise CommandError(str(reason)) from reason

    def _once(self, fetcher: Fetcher) -> None:
        missing, now = False, database.now()
        for row in fetcher.step():
            promoted = Promotion.objects.active(row.model)
            late = promoted is not None and not promoted.is_expired_at(now) and row.run != promoted
            missing |= late
            style = self.style.ERROR if late else self.style.SUCCESS
            says = "up to date" if row.run == promoted else "waits for the next run"
            says = f"can't fetch {promoted}: {row.problem}" if late else says
            self.stdout.write(f"{row.model}: {style(says)}. Here: {row.run or 'none'}, {row.size:,} bytes")
        if missing:
            raise CommandError("a model in service is not here", returncode=1)

    def _run(self, fetcher: Fetcher, every: float) -> None:
        stopped = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.wait(every if self._step(fetcher) else 2 * every):
            pass

    def _step(self, fetcher: Fetcher) -> bool:
        """Whether the database answered; where it does not, the models here go on serving."""
        close_old_connections()
        try:
            fetcher.step()
        except (Error, OSError) as error:
            log.warning("%s can't look for models: %s", fetcher.host, error)
            return False
        return True
