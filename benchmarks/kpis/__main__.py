"""What the figures cost: `python -m benchmarks.kpis --out build/kpis.json`.

A year of lists in an embedded Postgres, made into sums by day, and read as the admin does. The JSON, by
number of lists:

    rollup_s              seconds that a day's sums take, the median and the longest
    rollup_equals_raw     whether the sums are what plain SQL over all raw rows says, lists and money
    today_ms_p50, _p90    the report of 28 days beside the 28 before, as the Today page reads it
    report_ms_p50, _p90   the admin's report page of a year, from request to HTML
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import django
from django.conf import settings

from benchmarks import one_page_shop
from benchmarks.kpis.history import RAW_LISTS, RAW_MONEY, days_before, fill
from example_shop.stack.environment import django_database
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

DAYS = 365


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--lists", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--repeats", type=int, default=30, help="of each page")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with shop():
        for lists in options.lists:
            results[str(lists)] = figures = measure(lists, options.days, options.repeats)
            print(lists, *(f"{name} {value}" for name, value in figures.items()), sep="\n    ", flush=True)
            if options.out:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(not all(each["rollup_equals_raw"] for each in results.values()))


def measure(lists: int, days: int, repeats: int) -> dict[str, Any]:
    """Fill, roll up, compare and read; what was there before is deleted."""
    from django.db import connection

    from django_sessrec.measuring import report, rollups

    empty()
    dates = days_before(datetime.now(UTC).date(), days)
    began = time.perf_counter()
    for number, day in enumerate(dates):
        fill_day(day, number, -(-lists // days))
        tell(f"{lists}: filling", number + 1, days)
    filled = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    seconds = []
    for number, day in enumerate(reversed(dates)):
        began = time.perf_counter()
        rollups.roll_up(day)
        seconds.append(time.perf_counter() - began)
        tell(f"{lists}: rolling up", number + 1, days)
    rollups.roll_up(datetime.now(UTC).date())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    started, equal = time.perf_counter(), equals_raw(dates)
    client, url = report_page(dates)
    return {
        "days": days,
        "fill_s": round(filled, 1),
        "rollup_s": round(median(seconds), 3),
        "rollup_s_longest": round(max(seconds), 3),
        "rollup_equals_raw": equal,
        "raw_s": round(time.perf_counter() - started, 1),
        **timed("today", lambda: report.report(dates[-28:][0], dates[-1]), repeats),
        **timed("report", lambda: succeeds(client.get(url)), repeats),
    }


def fill_day(day: date, number: int, lists: int) -> None:
    from django_sessrec.capture import partitions

    partitions.ensure(day, day)
    fill(day, number, lists)


def equals_raw(dates: list[date]) -> bool:
    """Whether the sums of all days are those of the raw rows."""
    from django.db import connection

    from django_sessrec.measuring import kpis

    by_placement = kpis.figures(dates[0], dates[-1], ("placement",))
    lists = [
        (name, kpi.impressions, kpi.items_shown, kpi.seen_impressions, kpi.clicked_impressions)
        for (name,), kpi in by_placement.items()
    ]
    money = kpis.figures(dates[0], dates[-1])[()].money
    sales = [(currency, each.total, each.direct) for currency, each in money.items()]
    with connection.cursor() as cursor:
        cursor.execute(RAW_LISTS)
        same_lists = lists == cursor.fetchall()
        cursor.execute(RAW_MONEY)
        same_money = sales == cursor.fetchall()
    return same_lists and same_money


def report_page(dates: list[date]) -> tuple[Any, str]:
    """A signed-in browser and the address of the report of all days."""
    from django.contrib.auth import get_user_model
    from django.test import Client
    from django.urls import reverse

    staff, _ = get_user_model().objects.get_or_create(username="staff", is_staff=True, is_superuser=True)
    client = Client(headers={"host": "shop.example.com"})
    client.force_login(staff)
    return client, f"{reverse('admin:sessrec_report_changelist')}?start={dates[0]}&end={dates[-1]}"


def succeeds(response: Any) -> None:
    assert response.status_code == 200, response.status_code


def timed(name: str, read: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Milliseconds, median and 90th percentile; the first two are not counted."""
    times = []
    for _repeat in range(repeats + 2):
        began = time.perf_counter()
        read()
        times.append(1e3 * (time.perf_counter() - began))
    return {
        f"{name}_ms_p50": round(median(times[2:]), 1),
        f"{name}_ms_p90": round(quantiles(times[2:], n=10)[-1], 1),
    }


def empty() -> None:
    """Delete every row and partition of the run before."""
    from django.db import connection

    from django_sessrec.capture import partitions

    tables = ["event", "impression", "attribution", "refund", "rolledupday"]
    tables += [
        "dailylists",
        "dailyrevenue",
        "dailyshop",
        "dailyitem",
        "dailyarm",
        "dailyarmorders",
        "armline",
    ]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"TRUNCATE sessrec_{table}")
    partitions.drop_older_than(1)


def tell(what: str, number: int, of: int) -> None:
    """Progress, every tenth of the way."""
    if number * 10 // of != (number - 1) * 10 // of:
        print(f"{what} {number * 100 // of} %", file=sys.stderr, flush=True)


@contextmanager
def shop() -> Iterator[None]:
    """Django with the admin, on an embedded Postgres that syncs to disk."""
    postgres = Postgres(scratch_folder(), durable=True)
    postgres.start()
    try:
        given = one_page_shop.settings(django_database(postgres.url))
        given["INSTALLED_APPS"] = [
            "django.contrib.admin",
            "django.contrib.staticfiles",
            *given["INSTALLED_APPS"],
        ]
        given["TEMPLATES"][0] |= {
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
        given["SESSREC"] |= {"RETENTION_DAYS": None}
        given |= {"ROOT_URLCONF": "benchmarks.kpis.urls", "TIME_ZONE": "UTC", "STATIC_URL": "static/"}
        settings.configure(**given)
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield
    finally:
        postgres.stop()
        shutil.rmtree(scratch_folder(), ignore_errors=True)


if __name__ == "__main__":
    main()
