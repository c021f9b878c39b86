"""KPIs against numbers worked out by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest

from django_sessrec import events
from django_sessrec.ids import time_of, uuid7
from django_sessrec.measuring.days import ONE, day_of, first_moment
from django_sessrec.measuring.kpis import Kpi, Money, figures
from django_sessrec.measuring.proportions import Rate
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import DailyItem, Quarantine
from tests.support.history import NOON, buy, click, happen, minutes, order_line, show

DAY = day_of(NOON)

pytestmark = pytest.mark.django_db


def of_day(*by):
    roll_up(DAY)
    return figures(DAY, DAY, by or ("placement",))


def euros(direct=0, assisted=0, buyers=1):
    """What a group's orders brought, all of it of one kind."""
    direct, assisted = Decimal(direct), Decimal(assisted)
    orders = {"direct_orders": buyers if direct else 0, "assisted_orders": buyers if assisted else 0}
    return {"EUR": Money(direct, assisted, direct + assisted, **orders, orders=buyers)}


def test_no_rows_no_figures():
    assert of_day() == {}


def test_a_list_shown_and_never_clicked():
    show(uuid7(NOON), NOON, ["1", "2", "3"])
    assert of_day() == {("home",): Kpi(impressions=1, items_shown=3)}


def test_a_day_worked_out_by_hand():
    ann, bob = uuid7(NOON), uuid7(NOON)
    hers = show(ann, NOON, ["1", "2", "3"])
    click(ann, NOON + minutes(1), "2", hers, position=2)
    click(ann, NOON + minutes(2), "2", hers, position=2)  # again: counts once
    click(ann, NOON + minutes(3), "3", hers, position=3)
    happen(ann, NOON + minutes(4), "add_to_cart", "2")
    buy(ann, NOON + minutes(5), "2", "10.50", quantity=2)
    his = show(bob, NOON, ["4", "5"])
    click(bob, NOON + minutes(1), "4", his)
    buy(bob, NOON + minutes(2), "5", "99")  # shown in the list, never clicked
    assert of_day() == {
        ("home",): Kpi(
            impressions=2,
            items_shown=5,
            clicked_impressions=2,
            clicks=3,
            carts=1,
            purchases=1,
            money={"EUR": Money(Decimal(21), Decimal(99), Decimal(120), 0, 0, 0, 0, 1, 1, 2)},
        )
    }


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("an item that the list did not hold", {"item_id": "9"}),
        ("another session", {"session_id": uuid7(NOON)}),
        ("an impression that never was", {"impression_id": uuid7(NOON)}),
        ("no impression", {"impression_id": None}),
        ("a bot", {"bot": True}),
        ("a day and a minute later", {"at": NOON + minutes(24 * 60 + 1)}),
    ],
)
def test_clicks_that_do_not_count(what, arguments):
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1", "2"])
    given = {"session_id": visit, "at": NOON + minutes(1), "item_id": "1", "impression_id": shown}
    click(**given | arguments)
    assert of_day()[("home",)].clicks == 0, what


def test_lists_shown_to_bots_do_not_count():
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1"], bot=True)
    click(visit, NOON + minutes(1), "1", shown)
    assert of_day() == {}


def test_quarantined_visits_do_not_count_until_they_are_released():
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1"])
    click(visit, NOON + minutes(1), "1", shown)
    buy(visit, NOON + minutes(2), "1", 5)
    counted = of_day()
    Quarantine.objects.create(session_id=visit, reason="flood", clicks=30)
    assert of_day() == {}
    Quarantine.objects.update(released_at=NOON)
    assert of_day() == counted


def test_lists_that_were_seen_and_what_was_clicked_of_them():
    visit = uuid7(NOON)
    seen, clicked, unseen = (show(visit, NOON, ["1", "2"]) for _ in range(3))
    for impression in (seen, clicked):
        at = time_of(impression)
        happen(visit, at, "view_item_list", "", impression, source="browser")
    for impression in (clicked, unseen):  # the second click is of a browser without the script
        click(visit, NOON + minutes(1), "1", impression)
    kpi = of_day()[("home",)]
    assert (kpi.impressions, kpi.seen_impressions, kpi.clicked_impressions) == (3, 2, 2)
    assert (kpi.rate("viewability"), kpi.rate("viewable_ctr")) == (Rate(2, 3), Rate(1, 2))


def test_a_list_shown_before_midnight_and_seen_after_it_counts_as_seen():
    midnight = first_moment(DAY + ONE)
    visit = uuid7(midnight - minutes(1))
    shown = show(visit, midnight - minutes(1), ["1", "2"])
    happen(visit, midnight + minutes(1), "view_item_list", "", shown, source="browser")
    click(visit, midnight + minutes(2), "1", shown)
    kpi = of_day()[("home",)]
    assert (kpi.seen_impressions, kpi.seen_and_clicked) == (1, 1)
    assert set(DailyItem.objects.values_list("item_id", "seen")) == {("1", 1), ("2", 1)}
    roll_up(DAY + ONE)
    assert figures(DAY + ONE, DAY + ONE) == {}


def test_a_purchase_belongs_to_the_latest_click_before_it():
    visit = uuid7(NOON)
    first = show(visit, NOON, ["1"], placement="home")
    second = show(visit, NOON + minutes(1), ["1"], placement="basket")
    third = show(visit, NOON + minutes(2), ["1"], placement="product")
    click(visit, NOON + minutes(3), "1", first)
    click(visit, NOON + minutes(4), "1", second)
    buy(visit, NOON + minutes(5), "1", 8)
    click(visit, NOON + minutes(6), "1", third)
    revenue = {placement: kpi.revenue for (placement,), kpi in of_day().items()}
    assert revenue == {"basket": {"EUR": Decimal(8)}, "home": {}, "product": {}}


def test_a_purchase_after_the_attribution_hours_is_not_ours():
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1", "2"])
    click(visit, NOON, "1", shown)
    click(visit, NOON, "2", shown)
    buy(visit, NOON + minutes(24 * 60 - 1), "1", 5)
    buy(visit, NOON + minutes(24 * 60 + 1), "2", 7)
    roll_up(DAY + ONE)
    assert figures(DAY + ONE, DAY + ONE)[()].money == {
        "EUR": Money(Decimal(5), total=Decimal(12), direct_orders=1, orders=1)
    }


def test_attribution_hours_is_read_live(settings):
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1"])
    click(visit, NOON, "1", shown)
    buy(visit, NOON + minutes(61), "1", 5)
    assert of_day()[("home",)].purchases == 1
    settings.SESSREC = {**settings.SESSREC, "ATTRIBUTION_HOURS": 1}
    assert of_day()[("home",)].purchases == 0


def test_after_midnight_a_click_counts_for_the_day_of_the_list_and_money_for_that_of_the_order():
    visit = uuid7(NOON)
    late = first_moment(DAY + ONE) - minutes(1)
    shown = show(visit, late, ["1"])
    click(visit, late + minutes(2), "1", shown)
    buy(visit, late + minutes(3), "1", 4)
    assert of_day("day") == {
        (DAY,): Kpi(1, 1, clicked_impressions=1, clicks=1, purchases=1),
    }
    roll_up(DAY + ONE)
    assert figures(DAY + ONE, DAY + ONE, ("day",)) == {(DAY + ONE,): Kpi(money=euros(4))}


def test_a_click_on_the_list_of_the_day_before_takes_the_purchase():
    visit = uuid7(NOON)
    midnight = first_moment(DAY)
    before = show(visit, midnight - minutes(5), ["1"], placement="home")
    after = show(visit, midnight + minutes(1), ["1"], placement="basket")
    click(visit, midnight + minutes(2), "1", after)
    click(visit, midnight + minutes(3), "1", before)
    buy(visit, midnight + minutes(4), "1", 4)
    assert of_day()[("basket",)].purchases == 0


def test_a_browser_whose_clock_is_behind_still_counts():
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1"])
    click(visit, NOON - minutes(90), "1", shown)
    assert of_day()[("home",)].clicks == 1


def test_refunds_and_currencies_and_purchases_without_a_price():
    visit = uuid7(NOON)
    shown = show(visit, NOON, ["1", "2", "3"])
    for item_id in ("1", "2", "3"):
        click(visit, NOON + minutes(1), item_id, shown)
    buy(visit, NOON + minutes(2), "1", 30)
    buy(visit, NOON + minutes(3), "1", 30, name="refund")
    buy(visit, NOON + minutes(2), "2", "7.25", currency="CHF")
    buy(visit, NOON + minutes(2), "3", None, currency="EUR")
    kpi = of_day()[("home",)]
    assert kpi.revenue == {"CHF": Decimal("7.25"), "EUR": Decimal(0)}
    assert kpi.money["EUR"].direct_refunded == 30
    assert kpi.purchases == 3


def test_grouped_by_everything():
    visit = uuid7(NOON)
    common = {"placement": "home", "experiment": "autumn"}
    show(visit, NOON, ["1"], variant="a", model="", step="popular", **common)
    shown = show(visit, NOON, ["1"], variant="b", run_id=7, **common)
    click(visit, NOON, "1", shown)
    by = ("placement", "model", "run", "step", "experiment", "variant")
    assert of_day(*by) == {
        ("home", "", None, "popular", "autumn", "a"): Kpi(impressions=1, items_shown=1),
        ("home", "neighbours", 7, "model", "autumn", "b"): Kpi(1, 1, clicked_impressions=1, clicks=1),
    }


def test_days_are_those_of_the_time_zone(settings):
    settings.TIME_ZONE = "Pacific/Auckland"  # 12 or 13 hours ahead
    show(uuid7(NOON), NOON, ["1"])
    assert of_day("day") == {}
    roll_up(DAY + ONE)
    assert list(figures(DAY, DAY + ONE, ("day",))) == [(DAY + ONE,)]


def test_the_lists_of_one_session_are_one_piece_of_evidence():
    """Half of twenty sessions click all of their five lists: as uncertain as twenty lists, not a hundred."""
    for number in range(20):
        visit = uuid7(NOON)
        for _list in range(5):
            shown = show(visit, NOON, ["1"], model="ab"[number // 5 % 2])
            if number % 2:
                click(visit, NOON + minutes(1), "1", shown)
    (kpi,) = of_day().values()
    assert (kpi.sessions, kpi.impressions, kpi.rate("ctr").value) == (20, 100, 0.5)
    assert kpi.rate("ctr").interval == pytest.approx(Rate(19, 38, effective=19).interval)
    assert kpi.rate("ctr").effective == pytest.approx(19)


def test_what_one_session_spends_moves_the_revenue():
    spent = [Decimal(10)] * 9 + [Decimal(110)]
    for amount in spent:
        visit = uuid7(NOON)
        click(visit, NOON + minutes(1), "1", show(visit, NOON, ["1"]))
        buy(visit, NOON + minutes(2), "1", amount)
    (kpi,) = of_day().values()
    assert kpi.revenue == {"EUR": Decimal(200)}
    # deviations of -10 nine times and of 90: 10/9 * 9000, its root 100, times 1.96
    assert kpi.revenue_margin("EUR") == pytest.approx(196, abs=0.1)


@pytest.fixture
def clicked():
    """A session that clicked a product in a list."""
    visit = uuid7(NOON)
    click(visit, NOON + minutes(1), "1", show(visit, NOON, ["1", "2"]))
    return visit


def test_a_thank_you_page_loaded_three_times_counts_once(clicked):
    for load in range(3):
        order_line(clicked, "purchase", "1001", NOON + minutes(5 + load))
    order_line(clicked, "purchase", "1002", NOON + minutes(20), price="7")  # the same product again
    (kpi,) = of_day().values()
    assert (kpi.purchases, kpi.revenue) == (1, {"EUR": Decimal(17)})


def test_two_lines_of_one_product_both_count_and_a_refund_is_taken_from_its_own(clicked):
    order = {"session_id": clicked, "item_id": "1", "at": NOON + minutes(5), "currency": "EUR"}
    order["order_id"] = "1001"
    small = order | {"name": "purchase", "line": "S", "price": 10}
    medium = order | {"name": "purchase", "line": "M", "price": 20}
    refund = medium | {"name": "refund", "price": 30}  # the line takes back no more than it brought
    result = events.import_events([small, medium, small, medium, refund])
    assert (result.stored, result.known) == (3, 2)
    assert of_day()[("home",)].revenue == {"EUR": Decimal(10)}


def test_a_refund_of_the_purchases_own_time_counts(clicked):
    told = {"session_id": clicked, "item_id": "1", "at": NOON + minutes(5), "price": 10, "currency": "EUR"}
    result = events.import_events(
        [told | {"name": name, "order_id": "1001"} for name in ("purchase", "refund")]
    )
    assert result.stored == 2
    assert of_day()[("home",)].revenue == {"EUR": Decimal(0)}


def test_a_refund_belongs_to_its_purchase_however_late(clicked):
    order_line(clicked, "purchase", "1001", NOON + minutes(5), price="10", quantity=3)
    order_line(clicked, "refund", "1001", NOON + timedelta(hours=30), price="10")
    order_line(clicked, "refund", "1001", NOON + timedelta(hours=70), price="10")
    assert of_day()[("home",)].revenue == {"EUR": Decimal(30)}
    roll_up(DAY + ONE)
    assert figures(DAY, DAY)[()].revenue == {"EUR": Decimal(20)}
    roll_up(DAY + 3 * ONE)
    (whole,) = figures(DAY, DAY).values()
    assert (whole.revenue, whole.money["EUR"].direct_refunded) == ({"EUR": Decimal(10)}, 20)


def test_a_refund_of_the_same_day_counts_once(clicked):
    order_line(clicked, "purchase", "1001", NOON + minutes(5))
    order_line(clicked, "refund", "1001", NOON + minutes(9))
    assert of_day()[("home",)].revenue == {"EUR": Decimal(0)}


def test_refunds_take_no_more_than_their_purchase_brought(clicked):
    order_line(clicked, "purchase", "1001", NOON + minutes(5), price="10", quantity=2)
    for load in range(3):
        order_line(clicked, "refund", "1001", NOON + minutes(40 + load), price="10", quantity=2)
    assert of_day()[("home",)].revenue == {"EUR": Decimal(0)}


def test_a_refund_of_an_order_that_no_click_led_to_takes_nothing(clicked):
    order_line(clicked, "purchase", "1001", NOON + minutes(5))
    order_line(clicked, "refund", "999", NOON + timedelta(hours=40))
    stranger = uuid7(NOON)
    order_line(stranger, "refund", "1001", NOON + timedelta(hours=41))
    assert of_day()[("home",)].revenue == {"EUR": Decimal(10)}


def test_coarser_groups_add_up():
    visit = uuid7(NOON)
    show(visit, NOON, ["1"], placement="home", model="a")
    show(visit, NOON, ["1", "2"], placement="home", model="b")
    show(visit, NOON, ["1"], placement="basket", model="a")
    assert of_day("placement") == {("basket",): Kpi(1, 1), ("home",): Kpi(2, 3)}
    assert list(of_day("model", "placement")) == [("a", "basket"), ("a", "home"), ("b", "home")]
    assert sum(of_day("placement", "model").values(), Kpi()) == figures(DAY, DAY)[()] == Kpi(3, 4)


def test_lists_with_fewer_products_than_wanted_are_short():
    visit = uuid7(NOON)
    show(visit, NOON, ["1", "2"], wanted=2)
    show(visit, NOON, ["1", "2"], wanted=3)
    show(visit, NOON, ["1"])  # stored by a version that did not say
    assert of_day()[("home",)].rate("short_share") == Rate(1, 3)


def test_lists_and_sales_by_what_was_known_of_the_session():
    for clicks, intents, price in ((0, None, None), (3, 1, "20"), (4, 2, "5"), (12, 3, None)):
        visit = uuid7(NOON)
        shown = show(visit, NOON, ["1", "2"], session_clicks=clicks, session_intents=intents)
        if price:
            click(visit, NOON + minutes(1), "1", shown)
            buy(visit, NOON + minutes(2), "1", price)
    show(uuid7(NOON), NOON, ["1", "2"])  # stored by a version that did not say
    by_length, by_intents = of_day("session_length"), of_day("intents")
    assert {key: kpi.impressions for (key,), kpi in by_length.items()} == {"": 1, "0": 1, "10+": 1, "3-4": 2}
    assert {key: kpi.impressions for (key,), kpi in by_intents.items()} == {"": 2, "1": 1, "2": 1, "3+": 1}
    assert by_length["3-4",].rate("ctr") == Rate(2, 2)
    assert by_length["3-4",].money == euros(25, buyers=2)
    assert by_intents["2",].money == euros(5)
    assert by_intents["3+",].money == {}


def test_weeks_add_up_days_and_begin_with_the_period():
    monday = DAY - timedelta(days=DAY.weekday())
    days = [monday - timedelta(days=each) for each in (10, 8, 7, 1)]
    for day in days:
        at = first_moment(day) + timedelta(hours=12)
        visit = uuid7(at)
        click(visit, at + minutes(1), "1", show(visit, at, ["1", "2"]))
        buy(visit, at + minutes(2), "1", "10")
        roll_up(day)
    start = monday - timedelta(days=10)
    weeks = figures(start, monday, ("placement", "week"))
    assert list(weeks) == [("home", start), ("home", monday - timedelta(days=7))]
    by_day = figures(start, monday, ("day",))
    assert sum(weeks.values(), Kpi()) == sum(by_day.values(), Kpi())
    assert weeks[("home", start)] == by_day[(days[0],)] + by_day[(days[1],)]
    assert weeks[("home", start)].squares == (by_day[(days[0],)] + by_day[(days[1],)]).squares


def test_a_currency_of_three_decimals_is_summed_to_the_last_of_them():
    visit = uuid7(NOON)
    click(visit, NOON + minutes(1), "1", show(visit, NOON, ["1"]))
    buy(visit, NOON + minutes(2), "1", "12.345", quantity=3, currency="KWD")
    buy(visit, NOON + minutes(3), "1", "12.345", name="refund", currency="KWD")
    assert of_day()[("home",)].revenue == {"KWD": Decimal("24.690")}


@pytest.mark.parametrize(
    "by", [("visitor",), ("variant",), ("placement", "session_id"), ("day", "day"), ("day", "week")]
)
def test_unknown_groupings_name_the_known_ones(by):
    with pytest.raises(ValueError, match="placement, step"):
        figures(DAY, DAY, by)
