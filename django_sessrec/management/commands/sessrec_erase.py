"""Command: erase sessions from every table, on a visitor's request (GDPR 17)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from django_sessrec.privacy.erasure import erase


class Command(BaseCommand):
    help = "Erase the sessions with these ids from every table; late events of them are dropped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "session_ids",
            nargs="+",
            metavar="SESSION_ID",
            help="As my-data/ shows it, or the cookie's whole value.",
        )

    def handle(self, *, session_ids: list[str], **options: Any) -> None:
        checked = [_session_id(text) for text in session_ids]  # all of them, before any is erased
        for session_id in checked:
            counts = ", ".join(f"{rows} of {table}" for table, rows in erase(session_id).items())
            self.stdout.write(f"{session_id}: {counts}")


def _session_id(text: str) -> UUID:
    try:
        return UUID(text.partition(".")[0])  # of a cookie, what stands before its signature
    except ValueError:
        raise CommandError(
            f"{text!r} is no session id: give a UUID, as my-data/ shows it, or the cookie's whole value."
        ) from None
