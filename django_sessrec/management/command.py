"""The base of the commands: a forgotten migrate is one sentence, not a traceback."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_sessrec.safety import UNMIGRATED, is_unmigrated


class SessrecCommand(BaseCommand):
    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except Exception as problem:
            if is_unmigrated(problem):
                raise CommandError(UNMIGRATED) from problem
            raise
