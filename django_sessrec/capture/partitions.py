"""The daily partitions of events and impressions: made ahead, dropped when their day is too old."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count, takewhile

from django.db import OperationalError, ProgrammingError
from django.db.backends.utils import CursorWrapper

from django_sessrec import database
from django_sessrec.models import Event, Impression

DAYS_AHEAD = 7  # an upkeep that fails for a week costs no event
DAYS_AT_ONCE = 50  # of a transaction: each takes about 15 of its locks, and a small Postgres has some 1,500
TABLES = (Event._meta.db_table, Impression._meta.db_table)
NAME = re.compile(rf"(?:{'|'.join(TABLES)})_(\d{{8}})")
INSUFFICIENT_PRIVILEGE = "42501"
LOCK_NOT_AVAILABLE = "55P03"
REMEDY = (
    "the role that makes and drops partitions must own sessrec_event and sessrec_impression and have "
    "CREATE on their schema; let it be the one that migrates, or run sessrec_prune once an hour as that one"
)
LOCK = 0x5E55_4EC0  # of pg_advisory_xact_lock: two processes never make the same partition
LOCK_TIMEOUT = "2s"  # for attaching, which no reader or writer waits for
# Dropping waits for every reader, such as a backup or a training run, and every page waits behind it
# meanwhile: it gives up well before a page does, and tries again.
DROP_LOCK_TIMEOUT = "200ms"
DROP_TRIES = 5
DROP_PAUSE_SECONDS = 1.0
SET_LOCK_TIMEOUT = "set_config('lock_timeout', %s, true)"
CHILDREN = """
SELECT child.relname
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent = ANY (ARRAY[to_regclass(%s), to_regclass(%s)])
"""


class MissingRightsError(ProgrammingError):
    """The database role may not make or drop partitions; the message names the remedy."""


def ensure(first_day: date, last_day: date) -> list[str]:
    """Make what is missing of the days from first to last, both included; return the new partitions."""
    return ensure_days(first_day + timedelta(n) for n in range((last_day - first_day).days + 1))


def ensure_ahead() -> list[str]:
    """Make the partitions of yesterday, of today and of the DAYS_AHEAD to come."""
    today = datetime.now(UTC).date()
    return ensure(today - timedelta(1), today + timedelta(DAYS_AHEAD))


def ensure_days(days: Iterable[date]) -> list[str]:
    """Make what is missing of these days (UTC); return the new partitions.

    Raises MissingRightsError where the role may not, and any other django.db.Error.
    """
    wanted = sorted(set(days))
    parts = (wanted[start : start + DAYS_AT_ONCE] for start in range(0, len(wanted), DAYS_AT_ONCE))
    return [name for part in parts for name in _make_missing(part)]


def _make_missing(days: Sequence[date]) -> list[str]:
    wanted = {f"{table}_{day:%Y%m%d}": (table, day) for day in days for table in TABLES}
    with _changing() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        existing = set(_existing(cursor))
        missing = [name for name in wanted if name not in existing]
        for name in missing:
            table, day = wanted[name]
            # Not CREATE TABLE .. PARTITION OF: it locks out every reader and writer, ATTACH does not.
            cursor.execute(f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING ALL)')
            # Literals: a statement of this kind takes no parameters, which server_side_binding makes of %s.
            bounds = f"FROM ('{_midnight(day)}') TO ('{_midnight(day + timedelta(1))}')"
            cursor.execute(f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" FOR VALUES {bounds}')
    return missing


def older_than(days: int) -> list[str]:
    """The partitions whose whole day is more than `days` days ago by the database's clock."""
    oldest = database.now().date() - timedelta(days)
    with database.connection().cursor() as cursor:
        return [name for name in _existing(cursor) if day_of(name) < oldest]


def hold_rows(names: Iterable[str]) -> list[str]:
    """Those of the partitions that are not empty."""
    with database.connection().cursor() as cursor:
        return [name for name in names if _holds_rows(cursor, name)]


def drop_older_than(days: int) -> list[str]:
    """Drop the partitions that older_than() names; return their names.

    Raises MissingRightsError where the role may not, and any other django.db.Error.
    """
    old = older_than(days)
    for name in old:
        _drop(name)
    return old


def _drop(name: str) -> None:
    for tries_left in reversed(range(DROP_TRIES)):
        try:
            with _changing(DROP_LOCK_TIMEOUT) as cursor:
                # Not its own lock first: pages take that of the whole before it, and read every day's.
                cursor.execute(f'DROP TABLE IF EXISTS "{name}"')
        except OperationalError as problem:
            if not tries_left or getattr(problem.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            time.sleep(DROP_PAUSE_SECONDS)
        else:
            return


def days_ahead() -> int:
    """How many days from today on have their partitions, today left out; -1 where today has none."""
    with database.connection().cursor() as cursor:
        existing = set(_existing(cursor))
    today = datetime.now(UTC).date()
    days = takewhile(
        lambda n: all(f"{table}_{today + timedelta(n):%Y%m%d}" in existing for table in TABLES), count()
    )
    return sum(1 for _ in days) - 1


def day_of(name: str) -> date:
    """The day in a partition's name."""
    return datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()


@contextmanager
def _changing(lock_timeout: str = LOCK_TIMEOUT) -> Iterator[CursorWrapper]:
    """A transaction that changes partitions; one of the caller's own waits for locks afterwards as before."""
    try:
        with database.atomic(), database.connection().cursor() as cursor:
            cursor.execute(f"SELECT current_setting('lock_timeout'), {SET_LOCK_TIMEOUT}", [lock_timeout])
            before, _ = cursor.fetchone()
            yield cursor
            cursor.execute(f"SELECT {SET_LOCK_TIMEOUT}", [before])
    except ProgrammingError as problem:
        if getattr(problem.__cause__, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise MissingRightsError(f"{str(problem).strip()}: {REMEDY}") from problem


def _existing(cursor: CursorWrapper) -> list[str]:
    cursor.execute(CHILDREN, TABLES)
    return sorted(name for (name,) in cursor.fetchall() if NAME.fullmatch(name))


def _holds_rows(cursor: CursorWrapper, name: str) -> bool:
    cursor.execute(f'SELECT EXISTS (SELECT FROM "{name}")')  # noqa: S608
    return bool(cursor.fetchone()[0])


def _midnight(day: date) -> str:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()
