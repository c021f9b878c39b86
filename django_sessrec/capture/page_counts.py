"""Counts of tracked pages by consent, so that a shop knows which part of its visits its figures stand for.

Sums only: nothing is kept of a page, its visitor or its product. A process adds up in memory and writes once
a minute; what it has not written yet is lost when it ends.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import date
from threading import Lock
from typing import Final

from django.db import Error
from django.http import HttpRequest
from django.utils import timezone

from django_sessrec.capture import request_filters
from django_sessrec.capture.fast_query import execute_with_deadline
from django_sessrec.safety import log

KINDS: Final = ("with_consent", "without_consent", "staff", "bots")
SECONDS: Final = 60.0  # between two writes of a process

ADD: Final = f"""
INSERT INTO sessrec_dailypages AS known (day, {", ".join(KINDS)})
VALUES ($1::date, $2::int8, $3::int8, $4::int8, $5::int8)
ON CONFLICT (day) DO UPDATE SET {", ".join(f"{kind} = known.{kind} + excluded.{kind}" for kind in KINDS)}
"""  # noqa: S608


class PageCounts:
    """One process's counts that are not written yet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self._counts: defaultdict[date, Counter[str]] = defaultdict(Counter)
        self._written_at = time.monotonic()

    def count(self, kind: str) -> None:
        """Count one page, and write if a minute has passed."""
        today = timezone.localdate(timezone=timezone.get_default_timezone())
        with self._lock:
            self._counts[today][kind] += 1
            if time.monotonic() - self._written_at < SECONDS:
                return
            self._written_at = time.monotonic()
            due, self._counts = self._counts, defaultdict(Counter)
        for day, counts in due.items():
            self._write(day, counts)

    def _write(self, day: date, counts: Counter[str]) -> None:
        try:
            execute_with_deadline(ADD, day.isoformat(), *(str(counts[kind]) for kind in KINDS))
        except Error as problem:  # with the next minute's
            log("could not write the counts of pages", problem)
            with self._lock:
                self._counts[day].update(counts)


pages = PageCounts()


def count_page(request: HttpRequest, *, in_session: bool, captured: bool) -> None:
    """Count a page that shows an item; one that was fetched ahead, or that IGNORE_REQUEST names, is none.

    Staff without consent counts as a visitor: to know them would load the shop's session and user.
    """
    if request_filters.is_prefetch(request):
        return
    if request_filters.from_bot(request):
        pages.count("bots")
    elif not in_session:
        pages.count("without_consent")
    elif captured:
        pages.count("with_consent")
    elif request_filters.is_staff(request):
        pages.count("staff")


def forget() -> None:
    """Begin anew, as a process that has just started."""
    pages.forget()
