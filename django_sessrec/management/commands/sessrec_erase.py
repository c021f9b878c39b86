"""Command: erase sessions from every table, on a visitor's request (GDPR 17)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final
from uuid import UUID

from django.core.management.base import CommandError
from django.db import Error

from django_sessrec.capture.deadlines import patient
from django_sessrec.management.command import SessrecCommand
from django_sessrec.privacy.erasure import erase

PATIENCE_SECONDS: Final = 60.0  # with each session


class Command(SessrecCommand):
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
        failed: dict[UUID, Error] = {}
        for session_id in checked:
            try:
                with patient(PATIENCE_SECONDS):
                    rows = erase(session_id)
            except Error as problem:
                failed[session_id] = problem
                continue
            counts = ", ".join(f"{number} of {table}" for table, number in rows.items())
            self.stdout.write(f"{session_id}: {counts}")
        if failed:
            left, cause = " ".join(map(str, failed)), next(iter(failed.values()))
            reason = str(cause).strip()
            raise CommandError(
                f"not erased, the database says {reason!r}: run it again with {left}"
            ) from cause


def _session_id(text: str) -> UUID:
    try:
        return UUID(text.partition(".")[0])  # of a cookie, what stands before its signature
    except ValueError:
        raise CommandError(
            f"{text!r} is no session id: give a UUID, as my-data/ shows it, or the cookie's whole value."
        ) from None
