"""What capture costs while its table grows: `python -m benchmarks.capture --rows-before 10000000`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.capture.paired_requests import (
    WARM_UP,
    added,
    begin_visit,
    environ_of,
    in_turn,
    make_handler,
    wsgi,
)

DAYS = 90
CLICKS = 5  # of a visit, half a minute apart
VISIT = timedelta(seconds=30) * CLICKS

ID = "(lpad(to_hex({at}), 12, '0') || '7' || substr({digits}, 1, 3) || '8' || substr({digits}, 4, 15))::uuid"
FILL = f"""
WITH visits AS MATERIALIZED (
    SELECT md5(random()::text) AS digits, (%(start)s + random() * %(length)s)::bigint AS began
    FROM generate_series(1, %(visits)s)
),
clicks AS (
    SELECT began, digits, began + click * 30000 AS at, md5(digits || click) AS click_digits
    FROM visits CROSS JOIN generate_series(0, {CLICKS - 1}) AS click
)
INSERT INTO sessrec_event
    (event_id, occurred_at, session_id, name, item_id, quantity, currency, source, bot)
SELECT {ID.format(at="at", digits="click_digits")}, to_timestamp(at / 1000.0),
       {ID.format(at="began", digits="digits")}, 'view_item', (power(random(), 3) * 50000)::int::text,
       1, '', 'server', false
FROM clicks ORDER BY at
"""
SIZES = """
SELECT sum(pg_table_size(inhrelid)), sum(pg_indexes_size(inhrelid))
FROM pg_inherits WHERE inhparent = 'sessrec_event'::regclass
"""


def growth(rows: int, requests: int) -> dict[str, float]:
    """Page, write and read on a table of 90 days, without rows and then with so many; it is left empty."""
    from django.db import connection

    from django_sessrec.capture import partitions

    today = datetime.now(UTC).date()
    partitions.ensure(today - timedelta(DAYS - 1), today)
    figures = {f"empty_{name}": value for name, value in _costs(requests).items()}
    started = time.perf_counter()
    filled = _fill(rows)
    figures |= {"rows_before": filled, "fill_s": round(time.perf_counter() - started, 1)}
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE sessrec_event")
        cursor.execute("CHECKPOINT")  # neither comes in between
        cursor.execute(SIZES)
        for name, size in zip(("table", "indexes"), cursor.fetchone(), strict=True):
            figures[f"{name}_bytes_per_row"] = round(float(size) / filled, 1)
    figures |= {f"grown_{name}": value for name, value in _costs(requests).items()}
    with connection.cursor() as cursor:  # pages may have closed the one before
        cursor.execute("TRUNCATE sessrec_event")
    partitions.drop_older_than(1)
    return figures


def _fill(rows: int) -> int:
    """Visits of CLICKS clicks each, at any time of 90 days up to now; return how many rows there are then."""
    from django.db import connection

    from django_sessrec.models import Event

    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days_ago in range(DAYS):
        start = midnight - timedelta(days_ago)
        latest = min(start + timedelta(1), now) - VISIT
        length = max(latest - start, timedelta(0))
        milliseconds = {"start": start.timestamp() * 1e3, "length": length.total_seconds() * 1e3}
        with connection.cursor() as cursor:
            cursor.execute(FILL, {**milliseconds, "visits": -(-rows // (DAYS * CLICKS))})
    return Event.objects.count()


def _costs(requests: int) -> dict[str, float]:
    """A tracked page, and by themselves what it writes and what a list reads: of visits of today."""
    from django_sessrec.capture import store
    from django_sessrec.capture.event import make
    from django_sessrec.capture.session_events import session_events
    from django_sessrec.ids import uuid7
    from django_sessrec.models import Event

    bare, with_app = make_handler("wsgi"), make_handler("wsgi", capture=True)
    environ = environ_of("/product/3/", begin_visit(with_app))
    figures = added("tracked", *in_turn(wsgi(bare, environ), wsgi(with_app, environ), requests))
    for session_id in [uuid7() for _ in range(200)]:
        store.write([make("view_item", str(n), session_id=session_id) for n in range(CLICKS)])
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = Event.objects.filter(occurred_at__gte=midnight).values_list("session_id", flat=True)
    visits = list(today.order_by("?")[: requests + WARM_UP])
    visits *= -(-(requests + WARM_UP) // len(visits))
    events = [make("view_item", "3", session_id=session_id) for session_id in visits]
    return {
        **figures,
        "write_us_p50": _median_us(lambda event: store.write([event]), events),
        "session_items_us_p50": _median_us(session_events, visits),
    }


def _median_us(call: Callable[[Any], Any], arguments: list[Any]) -> float:
    times = []
    for each in arguments:
        started = time.perf_counter()
        call(each)
        times.append(time.perf_counter() - started)
    return round(1e6 * median(times[WARM_UP:]), 1)
