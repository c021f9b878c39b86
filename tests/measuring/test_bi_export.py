"""The export of the views: each month a file, the admin's figures to the cent in both formats."""

import csv
import io
import sys
import tracemalloc
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pyarrow import parquet

from django_sessrec import tasks
from django_sessrec.ids import uuid7
from django_sessrec.measuring.bi_export import STORAGE, ExportError, export
from django_sessrec.measuring.days import day_of
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import AuditEntry, DailyItem, RolledUpDay
from tests.support.history import NOON, buy, click, minutes, show

DAY = day_of(NOON)
FILE = f"sessrec_bi_sales/{DAY:%Y-%m}"

pytestmark = pytest.mark.django_db


@pytest.fixture
def storage(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        STORAGE: {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    return storages[STORAGE]


@pytest.fixture
def sold():
    visit = uuid7(NOON)
    click(visit, NOON + minutes(1), "1", show(visit, NOON, ["1"], experiment="=1+1", variant="a"))
    buy(visit, NOON + minutes(2), "1", "10.01", quantity=3)
    roll_up(DAY)


def test_both_formats_hold_the_sums_of_the_admin(storage, sold):
    names = set(export())
    assert {f"{FILE}.csv", f"{FILE}.parquet", f"sessrec_bi_items/{DAY:%Y-%m}.csv"} <= names
    total = figures(DAY, DAY)[()].money["EUR"].total
    (line,) = csv.DictReader(io.StringIO(storage.open(f"{FILE}.csv").read().decode()))
    (row,) = parquet.read_table(io.BytesIO(storage.open(f"{FILE}.parquet").read())).to_pylist()
    assert total == Decimal("30.03") == Decimal(line["total"]) == row["total"]
    assert (line["day"], row["day"]) == (DAY.isoformat(), DAY)


def test_both_formats_hold_three_decimals_where_the_currency_has_them(storage):
    visit = uuid7(NOON)
    click(visit, NOON + minutes(1), "1", show(visit, NOON, ["1"]))
    buy(visit, NOON + minutes(2), "1", "10.015", currency="KWD")
    roll_up(DAY)
    list(export())
    (line,) = csv.DictReader(io.StringIO(storage.open(f"{FILE}.csv").read().decode()))
    (row,) = parquet.read_table(io.BytesIO(storage.open(f"{FILE}.parquet").read())).to_pylist()
    assert line["total"] == "10.015"
    assert row["total"] == Decimal("10.015")


def test_a_month_is_not_held_in_memory(settings, tmp_path):
    folder = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": tmp_path},
    }
    settings.STORAGES = settings.STORAGES | {STORAGE: folder}

    def peak_of(days, month):
        first = date(2026, month, 1)
        for day in (first + timedelta(days=n) for n in range(days)):
            RolledUpDay.objects.create(day=day, rolled_up_at=timezone.now())
            numbers = {"shown": 9, "seen": 8, "clicked": 7, "bought": 6, "sold": 5}
            items = (DailyItem(day=day, item_id=f"item {n}", **numbers) for n in range(1_000))
            DailyItem.objects.bulk_create(items)
        tracemalloc.start()
        try:
            list(export(first, first + timedelta(days=days)))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    list(export(DAY, DAY))  # what is imported and compiled once
    one = peak_of(1, 1)
    assert peak_of(20, 3) < 4 * one
    with (tmp_path / "sessrec_bi_items/2026-03.csv").open() as file:
        lines = list(csv.reader(file))
    assert (len(lines), lines[0][:2], lines[-1][:2]) == (
        20_001,
        ["day", "item_id"],
        ["2026-03-20", "item 999"],
    )
    assert parquet.read_table(tmp_path / "sessrec_bi_items/2026-03.parquet").num_rows == 20_000


def test_a_file_that_is_there_is_replaced(storage, sold):
    list(export())
    list(export())
    assert sorted(storage.listdir("sessrec_bi_sales")[1]) == [f"{DAY:%Y-%m}.csv", f"{DAY:%Y-%m}.parquet"]


def test_another_export_at_the_same_time_leaves_no_second_file(storage, sold, monkeypatch):
    delete = storage.delete

    def and_another_writes(name):
        delete(name)
        if name.endswith(f"{DAY:%Y-%m}.csv"):
            storage.save(name, ContentFile(b"theirs"))

    monkeypatch.setattr(storage, "delete", and_another_writes)
    list(export(formats=["csv"]))
    assert storage.listdir("sessrec_bi_sales")[1] == [f"{DAY:%Y-%m}.csv"]


def test_only_months_that_have_changed_are_written_unless_days_are_named(storage, sold):
    RolledUpDay.objects.update(rolled_up_at=timezone.now() - timedelta(days=3))
    assert list(export()) == []
    assert f"{FILE}.csv" in list(export(since=DAY - timedelta(days=400), until=DAY))
    assert list(export(since=DAY + timedelta(days=40))) == []


def test_the_command_names_its_files_and_is_in_the_audit_trail(storage, sold, capsys):
    call_command("sessrec_export", "--since", f"{DAY}", "--format", "csv")
    out = capsys.readouterr().out.splitlines()
    assert (out[-1], f"{FILE}.csv" in out) == ("4 files written", True)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.done_by, entry.detail) == ("export", "command", {"files": 4})
    with pytest.raises(CommandError, match="swap the two days"):
        call_command("sessrec_export", "--since", "2026-11-01", "--until", "2026-10-01")


def test_without_a_storage_it_says_which_setting_is_missing(sold):
    with pytest.raises(CommandError, match=r"settings\.STORAGES names no storage for exports"):
        call_command("sessrec_export")


def test_without_pyarrow_there_is_csv(storage, sold, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert f"{FILE}.parquet" not in set(export())
    with pytest.raises(ExportError, match=r"pip install django-sessrec\[parquet\]"):
        list(export(formats=["parquet"]))


def test_the_nightly_task_exports_where_there_is_a_storage(settings, storage, sold):
    assert f"{FILE}.csv" in tasks.export()
    del settings.STORAGES[STORAGE]
    assert tasks.export() == []
