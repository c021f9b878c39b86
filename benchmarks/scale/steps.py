"""The steps that need Django, each run in a process of its own (which cannot import a package's __main__)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import django
from django.conf import settings

from benchmarks import one_page_shop
from benchmarks.memory import PeakMemory
from benchmarks.patience import be_patient
from django_sessrec.recsys.sessions import SessionLog
from example_shop.stack.environment import django_database

DAYS = 30
CLICKS = 5  # of a session, half a minute apart
SESSION = timedelta(seconds=30) * CLICKS
WRITTEN = 500  # events whose writing is timed, one by one

ID = "(lpad(to_hex({at}), 12, '0') || '7' || substr({digits}, 1, 3) || '8' || substr({digits}, 4, 15))::uuid"
# Chances of about 1 / rank, as in zipf.py; of a session's clicks, seven in ten are near where it began.
RANK = "floor(exp(random() * ln(%(items)s)))::int"
FILL = f"""
WITH sessions AS MATERIALIZED (
    SELECT md5(random()::text) AS digits, (%(start)s + random() * %(length)s)::bigint AS began,
           {RANK} / 50 * 50 AS shelf
    FROM generate_series(1, %(sessions)s)
),
clicks AS (
    SELECT began, digits, began + click * 30000 AS at, md5(digits || click) AS click_digits,
           CASE WHEN random() < 0.7 THEN shelf + (random() * 49)::int + 1 ELSE {RANK} END AS item
    FROM sessions CROSS JOIN generate_series(0, {CLICKS - 1}) AS click
)
INSERT INTO sessrec_event
    (event_id, occurred_at, session_id, name, item_id, quantity, currency, source, bot)
SELECT {ID.format(at="at", digits="click_digits")}, to_timestamp(at / 1000.0),
       {ID.format(at="began", digits="digits")}, 'view_item', least(item, %(items)s)::text,
       1, '', 'server', false
FROM clicks ORDER BY at
"""
SIZE = """
SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'sessrec_event'::regclass
"""


def filled(url: str, items: int, events: int) -> dict[str, float]:
    """Put the events of a month into their partitions, by set-based SQL, and weigh them."""
    set_up(url)
    from django.core.management import call_command
    from django.db import connection

    from django_sessrec.capture import partitions

    call_command("migrate", verbosity=0)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    partitions.ensure((midnight - timedelta(DAYS)).date(), now.date())
    began = time.perf_counter()
    with connection.cursor() as cursor:
        for days_ago in range(1, DAYS + 1):
            start = midnight - timedelta(days_ago)
            milliseconds = {
                "start": start.timestamp() * 1e3,
                "length": (timedelta(1) - SESSION).total_seconds() * 1e3,
            }
            sessions = -(-events // (DAYS * CLICKS))
            cursor.execute(FILL, {**milliseconds, "sessions": sessions, "items": items})
        seconds = time.perf_counter() - began
        cursor.execute("VACUUM ANALYZE sessrec_event")
        cursor.execute("CHECKPOINT")
        cursor.execute(SIZE)
        (size,) = cursor.fetchone()
    return {"fill_s": seconds, "bytes_per_event": float(size) / events}


def event_costs(url: str) -> dict[str, float]:
    """What a page waits for one event to be written, and for the clicks of its session to be read."""
    set_up(url)
    from django_sessrec.capture import store
    from django_sessrec.capture.event import make
    from django_sessrec.capture.session_events import session_events
    from django_sessrec.ids import uuid7

    sessions = [uuid7() for _ in range(WRITTEN)]
    for session in sessions:
        store.write([make("view_item", str(n), session_id=session) for n in range(1, CLICKS)])
    events = [make("view_item", "3", session_id=session) for session in sessions]
    return {
        "event_us": median_us(lambda event: store.write([event]), events),
        "session_us": median_us(session_events, sessions),
    }


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
    return figures | {"sessions": counts.sessions, "clicks": counts.clicks}, sessions


def read_from_files(url: str) -> dict[str, float]:
    """The same by way of the click files: as they are made, and with only the last days to read anew."""
    with tempfile.TemporaryDirectory() as folder:
        set_up(url, ARTIFACTS=folder)
        from django_sessrec.training import click_files, dataset

        now, figures = datetime.now(UTC), {}
        for name in ("made", "again"):
            began = time.perf_counter()
            dataset.read(now - timedelta(days=DAYS + 1), now, from_files=True)
            figures[f"files_{name}_s"] = time.perf_counter() - began
        size = sum(path.stat().st_size for path in click_files.folder().iterdir())
        return figures | {"files_mb": size / 1e6}


def median_us(call: Callable[[Any], Any], arguments: Sequence[Any]) -> float:
    times = []
    for each in arguments:
        began = time.perf_counter()
        call(each)
        times.append(time.perf_counter() - began)
    return 1e6 * median(times[len(times) // 10 :])


def set_up(url: str, **changes: str) -> None:
    given = one_page_shop.settings(django_database(url))
    settings.configure(**given | {"SESSREC": given["SESSREC"] | changes})
    django.setup()
    be_patient()
