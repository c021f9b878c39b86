"""The SQL views for BI tools: a schema that stays, the admin's sums, and no small groups."""

from decimal import Decimal

import pytest
from django.db import connection

from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import ONE, day_of
from django_sessrec.measuring.kpis import figures, sessions
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.measuring.views import SMALLEST, VIEWS
from tests.support.history import NOON, buy, click, minutes, order_line, show

DAY = day_of(NOON)

pytestmark = pytest.mark.django_db


def read(view, *columns):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM sessrec_bi_{view} ORDER BY {', '.join(columns)}")
        return cursor.fetchall()


@pytest.fixture
def day():
    """Six sessions on the home page and two on the basket's, which is too few to be told."""
    for number in range(8):
        visit = uuid7(NOON + minutes(number))
        shown = show(visit, NOON, ["1", "2"], placement="home" if number < 6 else "basket")
        click(visit, NOON + minutes(1), "1", shown)
        buy(visit, NOON + minutes(2), "1", "10.01")
        buy(visit, NOON + minutes(2), "elsewhere", "5.55", currency="CHF" if number == 7 else "EUR")
    roll_up(DAY)


def test_small_groups_are_one_row_and_sums_stay_those_of_the_admin(day):
    assert read("lists", "placement", "sessions", "impressions", "clicks") == [
        ("home", 6, 6, 6),
        ("other", 2, 2, 2),
    ]
    whole = figures(DAY, DAY)[()]
    ((impressions, clicks),) = read("lists", "sum(impressions)", "sum(clicks)")
    assert (impressions, clicks) == (whole.impressions, whole.clicks)
    sums = read("sales", "currency", "placement", "direct", "total")
    assert sums == [
        ("CHF", "other", 0, Decimal("5.55")),
        ("EUR", "", 0, Decimal("38.85")),
        ("EUR", "home", Decimal("60.06"), Decimal("60.06")),
        ("EUR", "other", Decimal("20.02"), Decimal("20.02")),
    ]
    assert whole.money["EUR"].total == sum(total for currency, _, _, total in sums if currency == "EUR")
    assert whole.money["EUR"].direct == sum(direct for currency, _, direct, _ in sums if currency == "EUR")


def test_a_session_and_a_buyer_of_two_groups_count_in_both_and_once_among_the_sessions():
    for number in range(SMALLEST):
        visit = uuid7(NOON + minutes(number))
        for placement, item in (("home", "1"), ("basket", "2")):
            shown = show(visit, NOON, [item], placement=placement)
            click(visit, NOON + minutes(1), item, shown)
            buy(visit, NOON + minutes(2), item, "1")
    roll_up(DAY)
    assert read("lists", "sum(sessions)") == read("sales", "sum(orders)") == [(2 * SMALLEST,)]
    assert read("sessions", "with_list", "with_order") == [(SMALLEST, SMALLEST)]
    in_both = {
        f"{view.name}.{column}"
        for view in VIEWS
        for column, words in view.columns.items()
        if "do not add up groups" in words
    }
    assert in_both == {
        "sessrec_bi_lists.sessions",
        *(f"sessrec_bi_sales.{name}" for name in ("direct_orders", "assisted_orders", "orders")),
    }


def test_sessions_and_items(day):
    assert read("sessions", "day", "sessions", "with_order") == [(DAY, 8, 8)]
    assert sessions(DAY, DAY)[DAY].sessions == 8
    assert read("items", "item_id", "shown", "clicked", "bought", "sold") == [
        ("1", 8, 8, 8, 8),
        ("2", 8, 0, 0, 0),
        ("elsewhere", 0, 0, 0, 8),
    ]


def test_items_that_hardly_anybody_saw_are_not_told():
    for item_id, lists in (("rare", SMALLEST - 1), ("common", SMALLEST)):
        for _list in range(lists):
            show(uuid7(NOON), NOON, [item_id])
    roll_up(DAY)
    assert read("items", "item_id", "shown") == [("common", 5), ("other", 4)]


def test_no_view_has_a_column_that_leads_to_a_person():
    columns = {column for view in VIEWS for column in view.columns}
    assert not columns & {"session_id", "reference", "buyer", "event_id", "impression_id"}


def test_each_column_says_what_it_is():
    with connection.cursor() as cursor:
        for view in VIEWS:
            cursor.execute(
                "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
                [view.name],
            )
            assert dict(cursor.fetchall()) == view.columns, "its migration must make the views again"
            cursor.execute("SELECT obj_description(%s::regclass)", [view.name])
            assert cursor.fetchone() == (view.words,)


def test_the_schema_is_the_documented_one():
    """A BI tool's questions must not break: new columns come last, and none goes."""
    group = ["day", "placement", "model", "run_id", "step", "experiment", "variant"]
    assert {view.name: list(view.columns) for view in VIEWS} == {
        "sessrec_bi_lists": [
            *(*group, "sessions", "impressions", "items_shown", "seen_impressions", "clicked_impressions"),
            *("seen_and_clicked", "clicks", "carts", "purchases", "short_impressions"),
        ],
        "sessrec_bi_sales": [
            *(*group, "currency", "direct_orders", "assisted_orders", "orders", "direct", "assisted"),
            *("total", "direct_refunded", "assisted_refunded", "total_refunded", "without_session"),
        ],
        "sessrec_bi_sessions": [
            *("day", "sessions", "with_list", "with_basket", "with_order", "bots", "quarantined"),
        ],
        "sessrec_bi_pages": ["day", "with_consent", "without_consent", "staff", "bots"],
        "sessrec_bi_items": ["day", "item_id", "shown", "seen", "clicked", "bought", "sold"],
    }


def test_a_refund_is_no_session():
    visit = uuid7(NOON - ONE)
    order_line(visit, "purchase", "1001", NOON - ONE)
    order_line(visit, "refund", "1001", NOON)
    for day in (DAY - ONE, DAY):
        roll_up(day)
    assert [each.sessions for each in sessions(DAY - ONE, DAY).values()] == [1, 0]
