"""The steps that need Django, each run in a process of its own (which cannot import a package's __main__)."""

from __future__ import annotations

import tempfile
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


def read_from_files(url: str) -> dict[str, float]:
    """The same by way of the click files: as they are made, and with only the last days to read anew."""
    with tempfile.TemporaryDirectory() as folder:
        set_up(url, ARTIFACTS=folder)
        from django_sessrec.training import click_files, dataset

        now, figures = datetime.now(UTC), {}
        for name in ("made", "again"):
            began = time.perf_counter()
            with PeakMemory() as memory:
                dataset.read(now - timedelta(days=DAYS + 1), now, from_files=True)
            figures[f"files_{name}_s"] = time.perf_counter() - began
            figures |= {f"files_{name}_{figure}": value for figure, value in memory.figures.items()}
        size = sum(path.stat().st_size for path in click_files.folder().iterdir())
        return figures | {"files_mb": size / 1e6}


def set_up(url: str, **changes: str) -> None:
    given = one_page_shop.settings(django_database(url))
    settings.configure(**given | {"SESSREC": given["SESSREC"] | changes})
    django.setup()
