"""Command: compare this host's click files with Postgres, or remove them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from django_sessrec.conf import sessrec_settings
from django_sessrec.management.command import SessrecCommand
from django_sessrec.training import click_files


class Command(SessrecCommand):
    help = (
        "Compare the click files of this host (SESSREC['CLICK_FILES']) with the database, by number of "
        "clicks and checksum; what differs is removed, and made anew by the next training run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--discard", action="store_true", help="remove all of them instead")

    def handle(self, *, discard: bool, **options: Any) -> None:
        if discard:
            self.stdout.write(f"{click_files.discard_all()} files removed")
            return
        if not sessrec_settings.CLICK_FILES:
            raise CommandError("SESSREC['CLICK_FILES'] is not set: training runs keep no click files")
        found = click_files.verify()
        wrong = [day for day, right in found.items() if not right]
        self.stdout.write(f"{len(found) - len(wrong)} of {len(found)} days are as in the database")
        if wrong:
            raise CommandError(f"removed: {', '.join(map(str, wrong))}", returncode=1)
