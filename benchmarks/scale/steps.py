"""The steps that need Django, each run in a process of its own (which cannot import a package's __main__)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import django
import numpy as np
from django.conf import settings

from benchmarks import one_page_shop
from benchmarks.memory import PeakMemory
from benchmarks.scale.zipf import draw
from django_sessrec.recsys.sessions import SessionLog
from example_shop.stack.environment import django_database

DAYS = 30


def stored(url: str, items: int, clicks: int) -> dict[str, float]:
    """Import the clicks through the event store, partitions and all."""
    set_up(url)
    from django.core.management import call_command

    from django_sessrec.capture.bulk_copy import copy_events
    from django_sessrec.capture.rows import EventRow
    from django_sessrec.ids import uuid7

    call_command("migrate", verbosity=0)
    drawn = draw(items, clicks, days=DAYS)
    first_day = datetime.now(UTC) - timedelta(days=DAYS)

    def rows() -> Iterator[EventRow]:
        latest, session_id = -1, None
        for session, item, seconds in zip(*map(np.ndarray.tolist, drawn), strict=True):
            at = first_day + timedelta(seconds=seconds)
            if session != latest:
                latest, session_id = session, uuid7(at)
            yield EventRow(uuid7(at), at, session_id, "view_item", str(item))

    began = time.perf_counter()
    written = copy_events(rows())
    seconds = time.perf_counter() - began
    return {"import_s": seconds, "imported_per_s": written / seconds}


def read(url: str) -> tuple[dict[str, float], SessionLog]:
    """The session log as a training reads it."""
    set_up(url)
    from django_sessrec.training import dataset

    began = time.perf_counter()
    now = datetime.now(UTC)
    with PeakMemory() as memory:
        sessions, counts = dataset.read(now - timedelta(days=DAYS + 1), now)
    seconds = time.perf_counter() - began
    figures = {"read_s": seconds, **{f"read_{name}": value for name, value in memory.figures.items()}}
    return figures | {"sessions": counts.sessions, "items": counts.items, "clicks": counts.clicks}, sessions


def set_up(url: str) -> None:
    settings.configure(**one_page_shop.settings(django_database(url)))
    django.setup()
