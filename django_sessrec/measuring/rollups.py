"""Roll-ups: sums by day, made of the raw rows, that outlive them.

Each table of ROLLUPS holds one day's sums per group. A day is made anew as a whole in one transaction, so
that making it twice changes nothing and a killed one leaves it as it was. Another part of the package adds a
Rollup to ROLLUPS and a model for its table; nothing else knows which there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import Error
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from django_sessrec import database
from django_sessrec.conf import sessrec_settings
from django_sessrec.figure_models import RolledUpDay
from django_sessrec.measuring import arms, attribution, daily
from django_sessrec.measuring.days import ONE, day_of, each_day, first_moment
from django_sessrec.safety import log


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of sums by day.

    table:    its name; it has a column `day`
    insert:   an INSERT of one day's rows. It may use the parameters %(day)s, %(start)s and %(end)s (the day's
              first moment and the next one's), %(horizon)s (ATTRIBUTION_HOURS), %(before)s and %(after)s (how
              far clicks and purchases reach beyond the day), %(first_list)s and %(last_list)s (how far the
              lists of these clicks do), %(time_zone)s
    also:     further tables that the statement fills
    stale:    for one that reads order lines, which outlive events and impressions, in place of these: a
              SELECT of the days to be made anew once lines have changed. It may use %(references)s, those of
              the lines with new refunds, and %(day)s, whose lines may all be new
    """

    table: str
    insert: str
    also: tuple[str, ...] = ()
    stale: str = ""


ROLLUPS: Final[Sequence[Rollup]] = (
    Rollup("sessrec_dailylists", daily.LISTS),
    Rollup("sessrec_dailyshop", daily.SHOP),
    Rollup("sessrec_dailyitem", daily.ITEMS),
    Rollup("sessrec_dailyarm", arms.DAY, also=("sessrec_armline",)),
    Rollup("sessrec_dailyrevenue", daily.REVENUE, stale=daily.DAYS_OF_LINES),
    Rollup("sessrec_dailyarmorders", arms.ORDERS_OF_DAY, stale=arms.DAYS_OF_LINES),
)

LOCK: Final = 0x5E55_0DA1  # of pg_advisory_xact_lock: two at once take turns, day by day
FRESH: Final = timedelta(minutes=5)  # today is not made anew sooner, nor yesterday after midnight
SETTLED: Final = timedelta(hours=1)  # nor is a day that was made after its end
QUARANTINE_OVERLAP: Final = timedelta(days=1)

PARTITIONS: Final = """
SELECT child.relname, pg_stat_get_tuples_inserted(child.oid)
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent IN ('sessrec_event'::regclass, 'sessrec_impression'::regclass)
  AND child.relname ~ '_[0-9]{8}$'
"""
# Orders without a session come without a row in the partitions.
WITHOUT_SESSION: Final = """
SELECT day, sum(rows) FROM (
    SELECT ordered_on AS day, count(*) AS rows
    FROM sessrec_attribution WHERE NOT in_session GROUP BY ordered_on
    UNION ALL
    SELECT refunded_on, count(*) FROM sessrec_refund WHERE NOT in_session GROUP BY refunded_on
) AS orders GROUP BY day
"""
JUDGED: Final = """
SELECT session_id FROM sessrec_quarantine WHERE greatest(found_at, released_at) >= %(since)s
"""
JUDGED_DAYS: Final = """
WITH judged AS (
    SELECT session_id, greatest(found_at, released_at) AS at FROM sessrec_quarantine
    WHERE session_id = ANY (%(sessions)s)
)
SELECT (i.shown_at AT TIME ZONE %(time_zone)s)::date, max(at)
FROM judged JOIN sessrec_impression i USING (session_id) GROUP BY 1
UNION ALL
SELECT (e.occurred_at AT TIME ZONE %(time_zone)s)::date, max(at)
FROM judged JOIN sessrec_event e USING (session_id) GROUP BY 1
"""
HAS_ROWS: Final = """
SELECT EXISTS (SELECT FROM sessrec_event WHERE occurred_at >= %(start)s AND occurred_at < %(end)s)
    OR EXISTS (SELECT FROM sessrec_impression WHERE shown_at >= %(start)s AND shown_at < %(end)s)
"""

HAS_LINES: Final = "SELECT EXISTS (SELECT FROM sessrec_attribution WHERE ordered_on = %(day)s)"


class BusyError(Exception):
    """Another process makes roll-ups at this moment."""


def due_days(now: datetime | None = None) -> list[date]:
    """The days whose sums are missing or older than their rows, the latest first.

    Days are told by the statistics that Postgres keeps of rows inserted into each partition: late rows change
    them, and so does a crash, after which days are made anew for nothing. Days near RETENTION_DAYS or past
    ORDER_LINES_DAYS, some of whose rows may be gone, are made only if they never were.
    """
    now = now or timezone.now()
    counters = _counters()
    if not counters:
        return []
    made = {each.day: each for each in RolledUpDay.objects.all()}
    without_session = _by_day(WITHOUT_SESSION, {})
    since = max((min(each.rolled_up_at, now) for each in made.values()), default=now) - QUARANTINE_OVERLAP
    judged = _judged_days(since)
    days = (day for day in each_day(min(counters) - ONE, day_of(now)) if _has_partitions(day, counters))
    due = []
    for day in days:
        known = made.get(day)
        if known is None:
            due.append(day)
            continue
        if _is_frozen(day, now):
            continue
        changed = known.state != _state(day, counters, without_session)
        # One that was made in the future was made before a clock was put back: it says nothing.
        from_the_future = known.rolled_up_at > now
        changed |= day in judged and (from_the_future or judged[day] > known.rolled_up_at)
        last_made_before_its_end = known.rolled_up_at < first_moment(day + ONE)
        settled = FRESH if last_made_before_its_end else SETTLED
        if (changed or day == day_of(now)) and (from_the_future or known.rolled_up_at <= now - settled):
            due.append(day)
    return due[::-1]


def are_complete(first: date, last: date) -> bool:
    """Whether the sums of these days, both included, hold all rows of each, but for late ones."""
    made = {each.day: each for each in RolledUpDay.objects.filter(day__range=(first, last))}
    ended = {day for day, known in made.items() if known.rolled_up_at >= first_moment(day + ONE)}
    others = [day for day in each_day(first, last) if day not in ended]
    if not others:
        return True  # as usual, for which no statistics are asked
    counters, without_session = _counters(), _by_day(WITHOUT_SESSION, {})
    # No row may have come since, as where capture failed in the evening; without partitions none can have.
    return all(
        made[day].state == _state(day, counters, without_session)
        if day in made
        else not _has_partitions(day, counters)
        for day in others
    )


def noted_due_days() -> list[date]:
    """The due days, noted as such: they stay due until they are made, though others are and days pass."""
    due = due_days()
    RolledUpDay.objects.filter(day__in=due).update(state="")
    return due


def days_with_rows(first: date, last: date) -> list[date]:
    """The days of [first, last], both included, whose raw rows are still kept, the latest first."""
    counters = _counters()
    if not counters:
        return []
    known = each_day(max(first, min(counters) - ONE), min(last, max(counters)))
    return [day for day in known if _has_partitions(day, counters)][::-1]


def roll_up(day: date, *, wait: bool = True, timeout_seconds: float | None = None) -> bool:
    """Make a day's sums anew; False where its raw rows are gone, and then only refunds are taken in.

    wait: for another process that makes roll-ups; else BusyError
    timeout_seconds: for each statement; by default the connection's own

    Raises django.db.Error, and the day is then as it was.
    """
    values = parameters(day)
    now = timezone.now()
    with database.atomic(), database.connection().cursor() as cursor, _settings(cursor, timeout_seconds):
        _take_turn(cursor, wait=wait)
        state = _state(day, _counters(), _by_day(WITHOUT_SESSION, {}))
        known = RolledUpDay.objects.filter(day=day).first()
        cursor.execute(HAS_ROWS, values)
        from_raw = bool(cursor.fetchone()[0]) and not (known and _is_frozen(day, now))
        cursor.execute(attribution.REFUNDED_BEFORE, values)
        values["refunded_before"] = [reference for (reference,) in cursor.fetchall()]
        if from_raw:
            cursor.execute(attribution.LATER_DAYS, values)
            later = [each for (each,) in cursor.fetchall()]
            cursor.execute(attribution.DROP_LINES, values)
            cursor.execute(attribution.LEAVE_TO_NEXT_DAY, values)
            later += [day + ONE] if cursor.rowcount else []
            cursor.execute(attribution.KEEP_LINES, values)
            cursor.execute(attribution.KEEP_REFUNDS, values)
            cursor.execute(attribution.REFUNDS_ELSEWHERE, values)
            later += [each for (each,) in cursor.fetchall()]
            # To be made without these lines or with them, and with refunds that find theirs.
            RolledUpDay.objects.filter(day__in=later).update(state="")
        cursor.execute(attribution.TAKE_REFUNDS, values)
        references = [reference for (reference,) in cursor.fetchall()]
        cursor.execute(HAS_LINES, values)
        has_lines = bool(cursor.fetchone()[0])
        for each in ROLLUPS:
            # Sums of lines that are past ORDER_LINES_DAYS stay as they are.
            if from_raw or known is None or (has_lines and each.stale):
                _fill(cursor, each, values)
        refunded = _fill_stale(cursor, day, references)
        # For exports. A day that a verdict on a session makes due is known by its older time.
        judged = _judged_days(now - QUARANTINE_OVERLAP) if refunded else {}
        others = RolledUpDay.objects.filter(day__in=refunded - judged.keys())
        whole = [each.day for each in others if each.rolled_up_at >= first_moment(each.day + ONE)]
        RolledUpDay.objects.filter(day__in=whole).update(rolled_up_at=now)  # the rest is due anyway
        RolledUpDay.objects.update_or_create(day=day, defaults={"rolled_up_at": now, "state": state})
    return from_raw


def roll_up_due(seconds: float | None = None) -> list[date]:
    """Make what is due, the latest day first; return the days.

    seconds: for a page: begin no further day after so long, end each statement by then, wait for nobody, and
        leave the rest to the schedule

    Raises django.db.Error; a page's own attempt is logged in place of it.
    """
    if seconds is None:
        return [day for day in noted_due_days() if roll_up(day) or True]
    began, done = timezone.now(), []
    lately = (began - 2 * FRESH, began)
    if RolledUpDay.objects.filter(day=day_of(began), rolled_up_at__range=lately).exists():
        return []  # the schedule works
    try:
        for day in noted_due_days():
            if timezone.now() - began > timedelta(seconds=seconds):
                break
            roll_up(day, wait=False, timeout_seconds=seconds)
            done.append(day)
    except BusyError:
        pass
    except Error as problem:
        log("the page shows figures as they were, because a roll-up failed", problem)
    return done


def parameters(day: date) -> dict[str, Any]:
    """What a Rollup's statement may use."""
    horizon = timedelta(hours=sessrec_settings.ATTRIBUTION_HOURS)
    start, end = (first_moment(each).astimezone(UTC) for each in (day, day + ONE))  # real hours from here on
    return {
        "day": day,
        "start": start,
        "end": end,
        "horizon": horizon,
        "before": start - horizon,
        "after": end + 2 * horizon,
        "first_list": start - 2 * horizon,
        "last_list": end + 3 * horizon,
        "time_zone": timezone.get_default_timezone_name(),
    }


def _fill(cursor: CursorWrapper, rollup: Rollup, values: dict[str, Any]) -> None:
    for table in (rollup.table, *rollup.also):
        cursor.execute(f"DELETE FROM {table} WHERE day = %(day)s", values)  # noqa: S608
    cursor.execute(rollup.insert, values)


def _fill_stale(cursor: CursorWrapper, day: date, references: list[str]) -> set[date]:
    """Make anew what other days say of lines that have changed with this one; return these days."""
    stale = set()
    for rollup in ROLLUPS:
        if rollup.stale:
            cursor.execute(rollup.stale, {"day": day, "references": references})
            others = {each for (each,) in cursor.fetchall()} - {day}
            for other in others:
                _fill(cursor, rollup, parameters(other))
            stale |= others
    return stale


@contextmanager
def _settings(cursor: CursorWrapper, timeout_seconds: float | None) -> Iterator[None]:
    """No compiling, which costs more than it saves, and a time limit; the transaction may be a page's."""
    wanted = {"jit": "off"}
    if timeout_seconds is not None:
        wanted["statement_timeout"] = str(int(1000 * timeout_seconds))
    before = {}
    for name, value in wanted.items():
        cursor.execute("SELECT current_setting(%s), set_config(%s, %s, true)", [name, name, value])
        before[name] = cursor.fetchone()[0]
    yield
    for name, value in before.items():  # after an error the savepoint takes them back
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def _take_turn(cursor: CursorWrapper, *, wait: bool) -> None:
    if wait:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        return
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    if not cursor.fetchone()[0]:
        raise BusyError


def _counters() -> dict[date, int]:
    """UTC day -> rows ever inserted into its partitions."""
    counters: dict[date, int] = {}
    for name, inserted in _rows(PARTITIONS, {}):
        day = datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()
        counters[day] = counters.get(day, 0) + inserted
    return counters


def _judged_days(since: datetime) -> dict[date, datetime]:
    """The days of sessions that came into quarantine or were released since then -> the latest such time."""
    judged: dict[date, datetime] = {}
    sessions = [session for (session,) in _rows(JUDGED, {"since": since})]
    if sessions:  # else Postgres need not look into each partition
        values = {"sessions": sessions, "time_zone": timezone.get_default_timezone_name()}
        with database.values_apart():
            days = _rows(JUDGED_DAYS, values)
        for day, at in days:
            judged[day] = max(judged.get(day, at), at)
    return judged


def _state(day: date, counters: dict[date, int], without_session: dict[date, int]) -> str:
    """What a day's sums are made of: it differs once rows have come, or a setting has changed."""
    values = parameters(day)
    inserted = sum(counters.get(each, 0) for each in _utc_days(values["first_list"], values["after"]))
    hours, zone = sessrec_settings.ATTRIBUTION_HOURS, values["time_zone"]
    return f"{inserted} {without_session.get(day, 0)} {hours} {zone}"


def _has_partitions(day: date, counters: dict[date, int]) -> bool:
    """Whether rows of the day may be there; a day of the shop may lie in two partitions."""
    return any(each in counters for each in _utc_days(first_moment(day), first_moment(day + ONE)))


def _is_frozen(day: date, now: datetime) -> bool:
    """Whether rows or order lines that its sums are made of may be gone; today and yesterday still change."""
    if day >= day_of(now) - ONE:
        return False
    kept, lines = sessrec_settings.RETENTION_DAYS, sessrec_settings.ORDER_LINES_DAYS
    # An order without a session is a line only: made anew, its day would lose it.
    if lines is not None and day <= (now - timedelta(lines)).date():
        return True
    first_list: datetime = parameters(day)["first_list"]
    return kept is not None and first_list < now - timedelta(kept)


def _utc_days(start: datetime, end: datetime) -> Iterable[date]:
    return each_day(start.astimezone(UTC).date(), (end - timedelta.resolution).astimezone(UTC).date())


def _by_day(sql: str, values: dict[str, Any]) -> dict[date, int]:
    return {day: int(rows) for day, rows in _rows(sql, values)}


def _rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with database.connection().cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
