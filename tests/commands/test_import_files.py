"""What click files are made of: column types, packing, broken lines."""

import bz2
import gzip
import json
import lzma
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from zipfile import ZipFile

import pyarrow
import pytest
from django.core.management.base import CommandError
from pyarrow import parquet

from django_sessrec.models import Event
from tests.support.click_files import NOW, YESTERDAY, write

pytestmark = pytest.mark.django_db(transaction=True)


def clicks(count=3, **columns):
    """A table of one session's clicks."""
    defaults = {
        "session_id": ["s"] * count,
        "item_id": [str(number) for number in range(count)],
        "time": [YESTERDAY + number for number in range(count)],
    }
    return pyarrow.table(defaults | columns)


def items():
    return [event.item_id for event in Event.objects.order_by("event_id")]


# What Parquet holds


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Oslo"])
def test_parquet_times_of_every_unit_are_cut_to_milliseconds(here, run, unit, zone):
    at = NOW - timedelta(hours=1)
    times = pyarrow.array([at] * 2, pyarrow.timestamp(unit, zone))
    if unit == "ns":
        times = pyarrow.array([at.timestamp() * 10**9 + 1_234_567] * 2, pyarrow.int64()).cast(times.type)
    parquet.write_table(clicks(2, time=times), here / "clicks.parquet")
    run("sessrec_import", here / "clicks.parquet", time="time")
    expected = at + timedelta(milliseconds=1 if unit == "ns" else 0)
    assert [event.occurred_at for event in Event.objects.all()] == [expected] * 2


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (pyarrow.array([123.0, 124.0, float("nan")]), ["123", "124"]),
        (pyarrow.array([float("inf"), 0.5, None]), ["inf", "0.5"]),
        (pyarrow.array([Decimal(10**37), Decimal(10**37 + 1), None]), [f"{10**37}", f"{10**37 + 1}"]),
        (pyarrow.array([b"sku-1", b"sku-2", b"\xff"], pyarrow.binary()), ["sku-1", "sku-2"]),
        (pyarrow.array([b"sku-1", b"sku-2", b"\xff"], pyarrow.large_binary()), ["sku-1", "sku-2"]),
        (pyarrow.array(["a", "b", None]).dictionary_encode(), ["a", "b"]),
        (pyarrow.array([Decimal("12"), Decimal("13"), None]), ["12", "13"]),
        (pyarrow.array([7, 8, None], pyarrow.uint64()), ["7", "8"]),
        (pyarrow.array([1.0, 2.0, 1e300], pyarrow.float64()), ["1", "2"]),
    ],
)
def test_parquet_ids_of_every_type_become_text(here, run, column, ids):
    parquet.write_table(clicks(item_id=column), here / "clicks.parquet")
    assert "1 rejected" in run("sessrec_import", here / "clicks.parquet", time="time")
    assert items() == ids


@pytest.mark.parametrize("kind", [pyarrow.date32(), pyarrow.date64()])
def test_parquet_dates_are_midnight(here, run, kind):
    day = (NOW - timedelta(days=2)).date()
    parquet.write_table(clicks(time=pyarrow.array([day] * 3, kind)), here / "clicks.parquet")
    run("sessrec_import", here / "clicks.parquet", time="time")
    assert {event.occurred_at for event in Event.objects.all()} == {
        datetime(day.year, day.month, day.day, tzinfo=UTC)
    }


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pyarrow.array([[1], [2], [3]]), "column item_id is of type list<"),
        (pyarrow.array([{"a": 1}] * 3), "column item_id is of type struct<"),
    ],
)
def test_parquet_columns_that_hold_no_id_are_refused_in_a_sentence(here, run, column, reason):
    parquet.write_table(clicks(item_id=column), here / "clicks.parquet")
    with pytest.raises(CommandError, match=reason):
        run("sessrec_import", here / "clicks.parquet", time="time")


def test_parquet_values_that_are_no_ids_cost_their_rows(here, run):
    table = clicks(item_id=pyarrow.array([True, False, None]))
    parquet.write_table(pyarrow.concat_tables([table]), here / "clicks.parquet")
    with pytest.raises(CommandError, match="no row"):
        run("sessrec_import", here / "clicks.parquet", time="time")


def test_a_parquet_time_beyond_pythons_years_costs_its_row(here, run):
    times = pyarrow.array([YESTERDAY, 10**14, YESTERDAY + 1]).cast(pyarrow.timestamp("s"))
    parquet.write_table(clicks(time=times), here / "clicks.parquet")
    assert "2 events imported, 0 were there before, 1 rejected" in run(
        "sessrec_import", here / "clicks.parquet", time="time"
    )


def test_a_parquet_file_that_ends_early_is_refused_in_a_sentence(here, run):
    parquet.write_table(clicks(), here / "whole.parquet")
    (here / "clicks.parquet").write_bytes((here / "whole.parquet").read_bytes()[:-20])
    with pytest.raises(CommandError, match="is no Parquet file, or a broken one"):
        run("sessrec_import", here / "clicks.parquet", time="time")


# What files are called and how they are packed


@pytest.mark.parametrize("name", ["CLICKS.PARQUET", "clicks.pq", "clicks.parquet.gzip", "clicks"])
def test_the_first_bytes_say_what_a_file_is(here, run, name):
    parquet.write_table(clicks(), here / name)
    assert "3 events imported" in run("sessrec_import", here / name, time="time")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_csv_is_read(here, run, compression):
    text = write(here / "plain.csv", *(f"s,{item},{YESTERDAY}" for item in "dbca")).read_bytes()
    with pyarrow.CompressedOutputStream(str(here / "clicks.csv.packed"), compression) as packed:
        packed.write(text)
    run("sessrec_import", here / "clicks.csv.packed", time="time")
    assert items() == list("dbca")


def test_a_compressed_file_that_ends_early_is_refused_in_a_sentence(here, run):
    lines = [f"s{number},item-{number * 7919},{YESTERDAY + number}" for number in range(5_000)]
    whole = gzip.compress(write(here / "plain.csv", *lines).read_bytes())
    (here / "clicks.csv.gz").write_bytes(whole[:-2_000])
    with pytest.raises(CommandError, match=r"clicks\.csv\.gz can't be read on"):
        run("sessrec_import", here / "clicks.csv.gz", time="time")


def zipped(content):
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("pack", "what"),
    [
        (zipped, "a ZIP archive or a workbook of Excel: unpack it, or save its sheet as CSV"),
        (bz2.compress, "compressed by bzip2: unpack it"),
        (lzma.compress, "compressed by xz: unpack it"),
        (lambda content: content.decode().encode("utf-16"), "text in UTF-16: save it in UTF-8"),
        (lambda content: gzip.compress(b"PAR1" + content), "a Parquet file that was compressed as a whole"),
        (lambda content: gzip.compress(zipped(content)), "a ZIP archive"),
        (lambda _content: b'[{"session_id": "s"}]', "a JSON array: write each of its objects into a line"),
        (
            lambda _content: b'{\n  "session_id": "s",\n  "item_id": "tea"\n}',
            "not with an object in each line",
        ),
        (lambda _content: b"<!doctype html>", "HTML or XML"),
    ],
)
def test_what_is_given_by_mistake_is_named_with_its_remedy(here, run, pack, what):
    plain = write(here / "plain.csv", f"s,tea,{YESTERDAY}").read_bytes()
    (here / "clicks.csv").write_bytes(pack(plain))
    with pytest.raises(CommandError, match=what.replace("(", r"\(")):
        run("sessrec_import", here / "clicks.csv", time="time")


def test_a_folder_is_read_file_by_file(here, run):
    folder = here / "export"
    folder.mkdir()
    for number in range(3):
        parquet.write_table(clicks(session_id=[f"s{number}"] * 3), folder / f"part-{number}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").write_text("checksum")
    assert "9 rows: 9 events imported" in run("sessrec_import", folder, time="time")


def test_an_empty_folder_is_named(here, run):
    (here / "export").mkdir()
    with pytest.raises(CommandError, match="is a folder without files"):
        run("sessrec_import", here / "export", time="time")


# What CSV holds


@pytest.mark.parametrize("count", [1_000, 3_000])
def test_a_stray_quote_costs_its_row_only(here, run, count):
    lines = [f"s{number},item{number},{YESTERDAY + number}" for number in range(count)]
    lines[2] = '"' + lines[2]
    lines[500] = lines[500].replace("item", '"item')
    file = write(here / "clicks.csv", *lines)
    assert f"{count} rows: {count - 2} events imported".replace(",", "") in run(
        "sessrec_import", file, time="time"
    ).replace(",", "")


def test_a_row_of_several_lines_is_one(here, run):
    file = write(here / "clicks.csv", f'"two\nlines, ""quoted""",tea,{YESTERDAY}', f"s,cup,{YESTERDAY}")
    assert "2 rows: 2 events imported" in run("sessrec_import", file, time="time")


def test_a_line_without_an_end_costs_its_row_only(here, run):
    file = write(here / "clicks.csv", f"s,{'x' * 3_000_000},{YESTERDAY}", f"s,cup,{YESTERDAY}")
    assert "2 rows: 1 events imported, 0 were there before, 1 rejected" in run(
        "sessrec_import", file, time="time"
    )


def test_separators_inside_a_quoted_header_are_not_the_files(here, run):
    file = write(
        here / "clicks.csv",
        f"a;1;{YESTERDAY};x",
        header='session_id;item_id;time;"name, colour, size, price"',
    )
    assert "1 events imported" in run("sessrec_import", file, time="time")


@pytest.mark.parametrize(
    "written", ["%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S"]
)
@pytest.mark.parametrize("unit", ["iso", "s", "ms"])
def test_dates_as_text_are_read_whatever_the_unit(here, run, written, unit):
    file = write(here / "clicks.csv", f"s,tea,{NOW.strftime(written)}")
    run("sessrec_import", file, time="time", time_unit=unit)
    assert Event.objects.get().occurred_at == NOW


@pytest.mark.parametrize("unit", ["iso", "s", "ms"])
def test_text_of_eight_digits_is_a_date(here, run, unit):
    file = write(here / "clicks.csv", f"s,tea,{NOW:%Y%m%d}", "s,cup,20261399")
    output = run("sessrec_import", file, time="time", time_unit=unit)
    assert Event.objects.get().occurred_at == NOW.replace(hour=0, minute=0, second=0)
    assert ("is no date" if unit == "iso" else "is older than RETENTION_DAYS") in output


def test_where_times_are_iso_a_whole_number_may_be_a_date_and_never_seconds(here, run):
    times = pyarrow.array([int(f"{NOW:%Y%m%d}"), YESTERDAY, YESTERDAY + 1])
    parquet.write_table(clicks(time=times), here / "clicks.parquet")
    output = run("sessrec_import", here / "clicks.parquet", time="time", time_unit="iso")
    assert "1 events imported, 0 were there before, 2 rejected" in output
    assert f"time '{YESTERDAY}' is no date of ISO 8601" in output


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_are_of_the_unit(here, run, unit, factor):
    file = write(here / "clicks.csv", f"s,tea,{YESTERDAY * factor}")
    run("sessrec_import", file, time="time", time_unit=unit)
    assert int(Event.objects.get().occurred_at.timestamp()) == YESTERDAY


def test_a_file_of_which_no_row_is_taken_is_an_error(here, run):
    with pytest.raises(CommandError, match="no row"):
        run("sessrec_import", write(here / "clicks.csv", "s,tea,soon"), time="time")


# What JSON Lines hold


def lines_of(*objects):
    return "".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in objects)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_object_in_each_line_is_a_row(here, run, pack):
    bought = {"session_id": "s", "item_id": 7, "time": YESTERDAY + 1, "event": "purchase", "price": 9.9}
    text = lines_of(
        {"time": YESTERDAY, "item_id": "tea", "session_id": "s", "event": "view_item"}, "\n", bought
    )
    (here / "clicks.jsonl").write_bytes(pack(text.encode()))
    names = {"time": "time", "event_name": "event", "price": "price", "currency": "EUR"}
    assert "2 events imported, 0 were there before, 0 rejected" in run(
        "sessrec_import", here / "clicks.jsonl", **names
    )
    assert items() == ["tea", "7"]
    assert Event.objects.get(name="purchase").price == Decimal("9.90")


def test_a_broken_object_costs_its_row_only(here, run):
    good = {"session_id": "s", "item_id": "tea", "time": YESTERDAY}
    nested, flag = good | {"item_id": {"sku": "tea"}}, good | {"item_id": True}
    text = lines_of(good, "{broken\n", "[1]\n", nested, flag, good | {"item_id": None}, "[" * 100_000 + "\n")
    (here / "clicks.jsonl").write_text(text)
    output = run("sessrec_import", here / "clicks.jsonl", time="time")
    assert "7 rows: 1 events imported, 0 were there before, 6 rejected" in output
    assert "line 2: the line is no JSON" in output
    assert "line 4: item_id is {'sku': 'tea'}: neither text nor a number" in output


def test_a_field_that_no_object_has_is_named(here, run):
    (here / "clicks.jsonl").write_text(lines_of({"session_id": "s", "sku": "tea", "time": YESTERDAY}))
    with pytest.raises(CommandError, match="has no column item_id; it has session_id, sku, time"):
        run("sessrec_import", here / "clicks.jsonl", time="time")


def test_a_field_that_only_late_objects_have_is_read(here, run):
    """Most events are views, and exports leave out what an event has not."""
    views = [
        {"session_id": "s", "item_id": "tea", "time": YESTERDAY + number, "event": "view_item"}
        for number in range(150)
    ]
    bought = {**views[-1], "event": "purchase", "amount": 2, "paid": 9.9, "order": "o-1"}
    (here / "clicks.jsonl").write_text(lines_of(*views, bought))
    names = {"time": "time", "event_name": "event", "quantity": "amount", "price": "paid", "currency": "EUR"}
    output = run("sessrec_import", here / "clicks.jsonl", **names, order_id="order")
    assert "151 events imported" in output
    assert "No row has" not in output
    event = Event.objects.get(name="purchase")
    assert (event.quantity, event.price) == (2, Decimal("9.90"))


def test_a_field_that_only_some_events_need_and_none_has_is_told(here, run):
    click = {"session_id": "s", "item_id": "tea", "time": YESTERDAY, "paid": ["no price"]}
    (here / "clicks.jsonl").write_text(lines_of(click))
    for check in (True, False):
        output = run("sessrec_import", here / "clicks.jsonl", time="time", order_id="oder", check=check)
        assert "No row has a value in oder." in output
