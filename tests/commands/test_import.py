"""Click files, whole and broken, into the event store."""

import csv
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow
import pytest
from django.core.management.base import CommandError
from django.db import connection
from pyarrow import parquet

from django_sessrec.capture import clickfile, partitions
from django_sessrec.ids import time_of
from django_sessrec.models import Event
from tests.demo.models import Product
from tests.support.click_files import NOW, YESTERDAY, write
from tests.support.real_clicks import real_clicks

pytestmark = pytest.mark.django_db(transaction=True)


def test_lines_of_one_time_that_differ_are_all_bought(here, run):
    amounts = ["1,9", "5,9", "5,8", "5,9", "5,9.00"]  # the last one is told twice
    rows = [f"s,tea,{YESTERDAY},purchase,{amount}" for amount in amounts]
    file = write(here / "orders.csv", *rows, header="session_id,item_id,time,event,pieces,price")
    options = {"time": "time", "event_name": "event", "quantity": "pieces", "price": "price"}
    output = run("sessrec_import", file, **options)
    assert "4 events imported, 1 were there before, stand twice or were erased, 0 rejected" in output
    assert sum(event.quantity for event in Event.objects.all()) == 16
    assert "0 events imported, 5 were there before" in run("sessrec_import", file, **options)


@pytest.mark.parametrize(("currency", "imported"), [("EUR", 3), ("KWD", 5)])
def test_a_price_that_may_be_a_thousand_times_as_much_is_refused(here, run, currency, imported):
    prices = ["1.299", "12.500", "0.125", "1299.5", "9.90"]
    rows = [f"s,{number},{YESTERDAY + number},{price}" for number, price in enumerate(prices)]
    file = write(here / "prices.csv", *rows, header="session_id,item_id,time,price")
    output = run("sessrec_import", file, time="time", price="price", currency=currency)
    assert f"{imported} events imported" in output
    assert ("price 1.299 may be 1299 or 1.299: write it without points" in output) == (currency == "EUR")


def test_a_start_with_a_zone_is_that_moment(here, run):
    file = write(here / "clicks.csv", "s,tea", header="session_id,item_id")
    start = datetime.fromtimestamp(YESTERDAY, UTC)
    run("sessrec_import", file, f"--start={start.astimezone(timezone(timedelta(hours=5))).isoformat()}")
    assert abs(Event.objects.get().occurred_at - start) < timedelta(minutes=1)


def test_clicks_become_events(here, run):
    file = write(
        here / "clicks.csv", f"s1,tea,{YESTERDAY}", f"s1,cup,{YESTERDAY + 9}", f"s2,tea,{YESTERDAY + 4}"
    )
    assert "3 rows: 3 events imported, 0 were there before, 0 rejected." in run(
        "sessrec_import", file, time="time"
    )
    tea, other, cup = Event.objects.order_by("event_id")
    assert [tea.item_id, other.item_id, cup.item_id] == ["tea", "tea", "cup"]
    assert tea.session_id == cup.session_id != other.session_id
    assert tea.occurred_at == datetime.fromtimestamp(YESTERDAY, UTC) == time_of(tea.event_id)
    assert {(event.name, event.source, event.bot) for event in Event.objects.all()} == {
        ("view_item", "import", False)
    }
    assert not list(here.glob("*.rejected.csv"))


def test_twice_is_once_and_more_of_it_is_only_the_more(here, run):
    clicks = [f"s{n % 5},item-{n},{YESTERDAY + n // 3}" for n in range(50)]
    run("sessrec_import", write(here / "clicks.csv", *clicks[:30]), time="time")
    output = run("sessrec_import", write(here / "clicks.csv", *clicks), time="time")
    assert "50 rows: 20 events imported, 30 were there before" in output
    assert Event.objects.count() == 50


def test_clicks_of_one_second_keep_the_order_of_the_file(here, run):
    file = write(here / "clicks.csv", *(f"s,{item_id},{YESTERDAY}" for item_id in "dbca"))
    run("sessrec_import", file, time="time")
    assert "".join(event.item_id for event in Event.objects.order_by("event_id")) == "dbca"


def test_broken_rows_are_reported_with_line_and_reason_and_the_rest_is_kept(here, run):
    lines = [
        f"s1,tea,{YESTERDAY}",
        f",tea,{YESTERDAY}",
        f"s1,,{YESTERDAY}",
        "s1,tea,yesterday",
        "s1,tea",
        f"s1,{'x' * 201},{YESTERDAY}",
        "",
        f"s1,tea,{YESTERDAY + 10**9}",
        "s1,tea,1000000000",
        f"s1,te\udce4,{YESTERDAY}",
        f's1,"cup, big",{YESTERDAY + 1}',
    ]
    file = here / "clicks.csv"
    file.write_bytes("\n".join(["session_id,item_id,time", *lines]).encode("utf-8", "surrogateescape"))
    output = run("sessrec_import", file, time="time")

    assert "10 rows: 2 events imported, 0 were there before, 8 rejected." in output
    assert sorted(event.item_id for event in Event.objects.all()) == ["cup, big", "tea"]
    with (here / "clicks.csv.rejected.csv").open() as report:
        rejected = {int(row["line"]): row["reason"] for row in csv.DictReader(report)}
    assert list(rejected) == [3, 4, 5, 6, 7, 9, 10, 11]
    for line, reason in {
        3: "session_id is empty",
        4: "item_id is empty",
        5: "time 'yesterday' is neither a number (s since 1970) nor a date of ISO 8601",
        6: "2 fields, the header has 3",
        7: "is not text of 1 to 200 characters",
        9: "lies in the future",
        10: "older than RETENTION_DAYS (90): it would be deleted at once, so it is left out",
        11: "is not UTF-8",
    }.items():
        assert reason in rejected[line]
    assert "2 like line 3: session_id is empty" in output


def test_columns_and_separator_are_the_file_s_own(here, run):
    file = write(
        here / "export.csv",
        f"tea;{(NOW - timedelta(hours=2)).isoformat()};anna;Product Viewed",
        f"tea;{(NOW - timedelta(hours=1)).isoformat()};anna;add-to-cart",
        f"tea;{NOW.isoformat()};anna;wave",
        header="sku;clicked at;visitor;event",
        encoding="utf-8-sig",
    )
    options = {"item_id": "sku", "session_id": "visitor", "time": "clicked at", "time_unit": "iso"}
    output = run("sessrec_import", file, event_name="event", **options)
    assert [event.name for event in Event.objects.order_by("event_id")] == ["view_item", "add_to_cart"]
    assert "event 'wave' is none of view_item" in output
    assert "--event wave=NAME" in output


def test_times_without_a_zone_are_utc_and_whoever_is_ahead_is_told(here, run):
    ahead = NOW + timedelta(hours=2)
    file = write(here / "clicks.csv", f"s,tea,{NOW:%Y-%m-%d %H:%M:%S}", f"s,cup,{ahead:%Y-%m-%d %H:%M:%S}")
    output = run("sessrec_import", file, time="time")
    assert Event.objects.get().occurred_at == NOW
    assert "lies in the future: is the unit right, and is it UTC where it names no zone?" in output


def test_a_file_without_times_gets_them_in_its_order(here, run):
    file = write(here / "clicks.csv", "s1,tea", "s1,cup", "s2,tea", header="session_id,item_id")
    start = NOW - timedelta(days=2)
    for _ in range(2):
        run("sessrec_import", file, f"--start={start:%Y-%m-%d}")
    assert [event.item_id for event in Event.objects.order_by("event_id")] == ["tea", "cup", "tea"]
    assert Event.objects.first().occurred_at.date() == start.date()


def test_old_clicks_are_moved_to_now_by_whole_days_and_only_once(here, run):
    old = NOW - timedelta(days=1_000, hours=5)
    clicks = [f"s,{item_id},{int(old.timestamp()) + n}" for n, item_id in enumerate("ab")]
    file = write(here / "clicks.csv", *clicks)
    with pytest.raises(CommandError, match="no row of"):
        run("sessrec_import", file, time="time")
    run("sessrec_import", file, time="time", shift_to_now=True)
    first = Event.objects.order_by("event_id")[0]
    assert first.occurred_at == old + timedelta(days=1_000)

    newer = write(here / "more.csv", *clicks, f"s,c,{int((old + timedelta(days=30)).timestamp())}")
    run("sessrec_import", newer, time="time", shift_to_now=True)  # its newest would ask for another shift
    assert Event.objects.filter(item_id="a").count() == 1


@pytest.mark.parametrize("looked_up", [1_000, 20])
def test_a_file_whose_first_rows_are_too_old_is_moved_as_before(here, run, monkeypatch, looked_up):
    monkeypatch.setattr(clickfile, "LOOKED_UP", looked_up)
    old = NOW - timedelta(days=1_000, hours=5)
    clicks = [f"s{n},item{n},{int((old - timedelta(days=n)).timestamp())}" for n in range(200, -1, -1)]
    output = run("sessrec_import", write(here / "clicks.csv", *clicks), time="time", shift_to_now=True)
    assert "90 events imported, 0 were there before, 111 rejected" in output
    assert "--shift-to-now" not in output
    newer = f"s,newer,{int((old + timedelta(days=1)).timestamp())}"  # would ask for another shift
    file = write(here / "clicks.csv", *clicks, newer)
    assert "0 events imported, 90 were there before" in run(
        "sessrec_import", file, time="time", shift_to_now=True
    )


def test_clicks_of_a_long_session_that_come_newest_first_are_moved_only_once(here, run):
    old = NOW - timedelta(days=1_000, hours=5)
    clicks = [f"u,item{n % 3},{int((old - timedelta(days=n)).timestamp())}" for n in range(10)]
    file = write(here / "clicks.csv", *clicks)
    assert "10 events imported" in run("sessrec_import", file, time="time", shift_to_now=True)
    assert "10 were there before" in run("sessrec_import", file, time="time", shift_to_now=True)


def test_a_time_that_is_garbage_costs_its_row_only_where_clicks_are_moved(here, run):
    old = NOW - timedelta(days=1_000, hours=5)
    clicks = [f"s,item{n},{int(old.timestamp()) + n}" for n in range(5)]
    file = write(here / "clicks.csv", *clicks, "s,garbage,253402214400")
    output = run("sessrec_import", file, time="time", shift_to_now=True)
    assert "5 events imported, 0 were there before, 1 rejected" in output
    assert Event.objects.order_by("event_id")[0].occurred_at == old + timedelta(days=1_000)


def test_a_transaction_stores_clicks_of_a_few_days_only(here, run, monkeypatch):
    """Each day's partition takes a share of Postgres' locks, and years of days would take them all."""
    monkeypatch.setattr(partitions, "DAYS_AT_ONCE", 2)
    times = [YESTERDAY - 86_400 * (number % 7) for number in range(21)]
    file = write(here / "clicks.csv", *(f"s,{number},{time}" for number, time in enumerate(times)))
    assert "21 events imported" in run("sessrec_import", file, time="time")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT occurred_at), count(*) FROM sessrec_event row GROUP BY row.xmin::text"
        )
        assert sorted(cursor.fetchall()) == [(1, 3), *[(2, 6)] * 3]


def test_parquet_with_times_of_its_own(here, run):
    table = pyarrow.table(
        {
            "session_id": [7, 7, None],
            "item_id": [11, 12, 13],
            "at": [NOW - timedelta(minutes=n) for n in (9, 8, 7)],
        }
    )
    parquet.write_table(table, here / "clicks.parquet")
    for _ in range(2):
        output = run("sessrec_import", here / "clicks.parquet", time="at")
    assert "3 rows: 0 events imported, 2 were there before, stand twice or were erased, 1 rejected" in output
    assert [event.item_id for event in Event.objects.order_by("event_id")] == ["11", "12"]
    assert "line 3: session_id is empty" in output


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "clicks.csv",
            "who,what\n",
            {"time": "when"},
            "no column session_id, item_id, when; it has who, what",
        ),
        ("clicks.csv", "session_id,item_id\n", {}, "give --time COLUMN, or --start DATE"),
        ("clicks.csv", "", {"time": "time"}, "is empty"),
        ("clicks.parquet", "PAR1 and no more", {"time": "time"}, "is no Parquet file"),
    ],
)
def test_a_file_that_can_t_be_read_at_all_is_refused(here, run, name, content, options, message):
    (here / name).write_text(content)
    with pytest.raises(CommandError, match=message):
        run("sessrec_import", here / name, **options)


def test_a_file_that_is_not_there_is_named(here, run):
    with pytest.raises(CommandError, match=r"nowhere\.csv"):
        run("sessrec_import", here / "nowhere.csv", time="time")


def test_real_clicks_from_file_to_figures(here, run, sessrec):
    """The main job, on the sample that bol.com ships with Serenade."""
    data = real_clicks("serenade_toy")
    output = run("sessrec_import", data / "train.parquet", time="timestamp", shift_to_now=True)
    assert "113,601 events imported" in output
    assert "published" in run("sessrec_train", "neighbours")
    table = run("sessrec_evaluate", "neighbours").splitlines()
    [whole] = [line.split() for line in table if line.split()[0] == "all"]
    assert float(whole[2]) > 50
    assert float(whole[3]) > 20


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe,b,c\n1,2,3\n", "no CSV file in UTF-8"),
        (bytes(300_000), "no CSV file in UTF-8"),
    ],
)
def test_what_is_no_click_file_is_refused_in_a_sentence(here, run, content, reason):
    (here / "clicks.csv").write_bytes(content)
    with pytest.raises(CommandError, match=reason):
        run("sessrec_import", here / "clicks.csv", time="time")


def test_a_shift_beyond_the_calendar_rejects_the_row_only(here, run):
    file = write(here / "clicks.csv", "s1,tea,9999-12-31T23:59:59", "s1,cup,0001-01-01T00:00:00")
    output = run("sessrec_import", file, time="time", time_unit="iso", shift_to_now=True)
    assert "2 rows: 1 events imported, 0 were there before, 1 rejected." in output
    assert "like line 2: time 9999-12-31 23:59:59+00:00 can't be shifted" in output


def test_a_start_that_is_no_date_is_named(here, run):
    with pytest.raises(CommandError, match="'nonsense' is not a date such as 2026-01-31"):
        run("sessrec_import", "clicks.csv", "--start", "nonsense")


# Sessions


def test_sessions_that_interleave_within_one_second_keep_the_files_order(here, run):
    lines = [f"{session},{item},{YESTERDAY}" for item in "edcbafghij" for session in ("s1", "s2")]
    run("sessrec_import", write(here / "clicks.csv", *lines), time="time")
    for session in set(Event.objects.values_list("session_id", flat=True)):
        found = Event.objects.filter(session_id=session).order_by("event_id")
        assert "".join(event.item_id for event in found) == "edcbafghij"


@pytest.mark.parametrize("order", [list, reversed], ids=["in order", "reversed"])
def test_a_visitors_clicks_are_split_where_a_session_would_end(here, run, order):
    at = YESTERDAY - 86_400
    times = [at, at + 1_700, at + 3_400, at + 3_400 + 1_801, at + 50_000]
    lines = [f"ann,{number},{time}" for number, time in enumerate(times)]
    lines.insert(2, f"bob,9,{at}")
    file = write(here / "events.csv", *order(lines), header="visitorid,itemid,timestamp")
    options = {"visitor_id": "visitorid", "item_id": "itemid", "time": "timestamp"}
    run("sessrec_import", file, **options)
    sessions = {}
    for event in Event.objects.order_by("event_id"):
        sessions.setdefault(event.session_id, []).append(event.item_id)
    assert sorted("".join(clicked) for clicked in sessions.values()) == ["012", "3", "4", "9"]
    assert "0 events imported, 6 were there before" in run("sessrec_import", file, **options)


def test_a_visit_that_two_exports_share_is_stored_once(here, run):
    """An export begins in the middle of a visit, and the next one overlaps it."""
    lines = [f"ann,{number},{YESTERDAY + 60 * number}" for number in range(6)]
    options = {"visitor_id": "visitor", "time": "time"}
    for part in (lines[:4], lines[2:]):
        run("sessrec_import", write(here / "part.csv", *part, header="visitor,item_id,time"), **options)
    assert [event.item_id for event in Event.objects.order_by("event_id")] == list("012345")


def test_visitors_and_sessions_are_not_both_named(here, run):
    with pytest.raises(CommandError, match="not allowed with"):
        run("sessrec_import", "clicks.csv", "--visitor-id", "a", "--session-id", "b")


# Event names, orders


def test_event_names_are_mapped(here, run):
    lines = [f"s,tea,{YESTERDAY + n},{name}" for n, name in enumerate(("view", "addtocart", "transaction"))]
    file = write(here / "clicks.csv", *lines, header="session_id,item_id,time,event")
    mapped = ["--event=view=view_item", "--event=addtocart=add_to_cart", "--event=transaction=purchase"]
    run("sessrec_import", file, *mapped, time="time", event_name="event")
    assert list(Event.objects.order_by("event_id").values_list("name", flat=True)) == [
        "view_item", "add_to_cart", "purchase"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mapped", "reason"), [("view", "is not of the form"), ("view=look", "'look' is none of")]
)
def test_a_map_to_nowhere_is_named(here, run, mapped, reason):
    file = write(here / "clicks.csv", f"s,tea,{YESTERDAY}")
    with pytest.raises(CommandError, match=reason):
        run("sessrec_import", file, "--event", mapped, time="time")


def test_orders_and_refunds_bring_their_amounts(here, run):
    lines = [f"s,tea,{YESTERDAY},purchase,2,4.50,1047", f"s,tea,{YESTERDAY + 60},refund,,4.5,1047"]
    wrong = ["two", "9" * 5_000]
    lines += [f"s,tea,{YESTERDAY},purchase,{quantity},4.50,1048" for quantity in wrong]
    file = write(here / "orders.csv", *lines, header="session_id,item_id,time,event,pieces,price,number")
    options = {"event_name": "event", "quantity": "pieces", "price": "price", "order_id": "number"}
    output = run("sessrec_import", file, time="time", currency="EUR", **options)
    assert "2 events imported, 0 were there before, 2 rejected" in output
    purchase, refund = Event.objects.order_by("occurred_at")
    assert (purchase.name, purchase.quantity, purchase.price, purchase.currency) == (
        "purchase", 2, Decimal("4.50"), "EUR"
    )  # fmt: skip
    assert (refund.name, refund.quantity, refund.price) == ("refund", 1, Decimal("4.50"))


def test_quantities_as_pandas_writes_them_are_whole_numbers(here, run):
    """A column with a gap is one of floats there."""
    written = ["2.0", "3.00", "", "2.5", "2.", "-1.0", "1.000"]
    lines = [f"s,{number},{YESTERDAY + number},{quantity}" for number, quantity in enumerate(written)]
    file = write(here / "clicks.csv", *lines, header="session_id,item_id,time,pieces")
    output = run("sessrec_import", file, time="time", quantity="pieces")
    assert "3 events imported, 0 were there before, 4 rejected" in output
    assert list(Event.objects.order_by("event_id").values_list("quantity", flat=True)) == [2, 3, 1]


def test_an_orders_lines_of_one_item_are_told_apart_by_a_column(here, run):
    lines = [f"s,shirt,{YESTERDAY},purchase,1047,{size}" for size in ("S", "M", "M")]
    lines.append(f"s,,{YESTERDAY},view_search_results,,")
    file = write(here / "orders.csv", *lines, header="session_id,item_id,time,event,number,position")
    options = {"event_name": "event", "order_id": "number", "line": "position"}
    assert "3 events imported, 1 were there before" in run("sessrec_import", file, time="time", **options)


def test_a_decimal_comma_is_read_where_it_can_be_nothing_else(here, run):
    prices = ["9,90", "1.299,90", "9.90", "1,299", "9,9,0"]
    lines = [f"s;{number};{YESTERDAY + number};{price}" for number, price in enumerate(prices)]
    file = write(here / "prices.csv", *lines, header="session_id;item_id;time;price")
    output = run("sessrec_import", file, time="time", price="price", currency="EUR")
    assert "3 events imported, 0 were there before, 2 rejected" in output
    assert "price '1,299' is not an amount" in output
    stored = Event.objects.order_by("occurred_at").values_list("price", flat=True)
    assert list(stored) == [Decimal("9.90"), Decimal("1299.90"), Decimal("9.90")]


# Before it counts


def test_a_check_tells_what_there_is_and_stores_nothing(here, run):
    lines = [f"s{number % 2},item-{number},{YESTERDAY}" for number in range(4)]
    output = run("sessrec_import", write(here / "clicks.csv", *lines, "s,,1"), time="time", check=True)
    assert "5 rows: 4 events of 2 sessions and 4 items" in output
    assert "1 rejected. Nothing was stored." in output
    assert not Event.objects.exists()


def test_a_check_says_whether_the_catalogue_knows_the_ids(here, run):
    known = Product.objects.create(name="tea", stock=0).pk  # sold out since
    lines = [f"s,{item},{YESTERDAY},slug" for item in (known, "gone", "")]
    file = write(here / "clicks.csv", *lines, header="session_id,item_id,time,slug")
    found = "item ids that were looked up exist in your catalogue"
    assert f"1 of 2 {found}." in run("sessrec_import", file, time="time", check=True)
    wrong = run("sessrec_import", file, time="time", check=True, item_id="slug")
    assert f"0 of 1 {found}, none of slug: --item-id names the column" in wrong


def test_sensitive_items_are_rejected(here, run):
    secret = Product.objects.create(name="secret", sensitive=True)
    file = write(here / "clicks.csv", f"s,{secret.pk},{YESTERDAY}", f"s,tea,{YESTERDAY}")
    assert "1 events imported, 0 were there before, 1 rejected" in run("sessrec_import", file, time="time")
    assert Event.objects.get().item_id == "tea"
