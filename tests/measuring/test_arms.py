"""Sums of an experiment's arms, by hand from a few sessions."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.capture import partitions
from django_sessrec.capture.cookie import LONGEST_SESSION
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.experiment_models import INTERLEAVED, ArmLine, DailyArm, DailyArmOrders
from django_sessrec.ids import uuid7
from django_sessrec.measuring.arms import HOURS, MEASURES, PAIRS, Arm, arms, usual
from django_sessrec.measuring.days import ONE, day_of, first_moment
from django_sessrec.measuring.latest_lists import products_reached
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import DailyLists, DailyShop, Quarantine
from django_sessrec.privacy.retention import purge
from django_sessrec.serving.interleaving import teams
from tests.support.experiments import a_running_one, takes_part
from tests.support.history import buy, click, minutes, order_line, show

pytestmark = pytest.mark.django_db

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
LATER = NOON + timedelta(days=1)


@pytest.fixture
def experiment():
    return a_running_one(NOON - timedelta(hours=1))


def arms_of(experiment):
    roll_up(day_of(NOON))
    return arms(experiment)


def sums(arm: Arm):
    return {measure: arm.sum(measure) for measure in MEASURES if arm.sum(measure)}


def test_a_session_is_as_long_as_its_cookie_allows():
    assert timedelta(hours=HOURS) == LONGEST_SESSION


def test_each_session_counts_in_its_variant_with_all_that_it_did(experiment):
    takes_part(NOON, "old", lists=3, clicks=1)
    takes_part(NOON, "old", lists=1, spends=40)
    takes_part(NOON, "new", lists=2, clicks=2, spends=10)
    found = arms_of(experiment)
    assert {name: arm.sessions for name, arm in found.items()} == {"old": 2, "new": 1}
    assert sums(found["old"]) == {
        "lists": 4,
        "answered": 4,
        "filled": 4,
        "clicked": 1,
        "ordered": 1,
        "lines": 1,
        "revenue": 40,
    }
    assert sums(found["new"])["clicked"] == 2
    clicks = found["old"].ratio("clicks")
    assert (clicks.hits, clicks.trials, clicks.sessions) == (1, 4, 2)
    assert (clicks.squares.hits, clicks.squares.product, clicks.squares.trials) == (1, 3, 10)
    revenue = found["old"].ratio("revenue")
    assert (revenue.value, revenue.squares.hits) == (20, 1_600)


def test_an_order_counts_without_a_click_but_not_before_the_first_list(experiment):
    session = takes_part(NOON, "new")
    buy(session, NOON - minutes(5), "3", 99)
    buy(session, NOON + minutes(5), "4", 7)
    assert arms_of(experiment)["new"].sum("revenue") == 7


def test_a_large_basket_counts_up_to_the_cap():
    experiment = a_running_one(NOON - timedelta(hours=1), cap=100)
    takes_part(NOON, "new", spends=2_500)
    assert arms_of(experiment)["new"].sum("revenue") == 100


def test_another_currency_is_an_order_and_no_revenue(experiment):
    session = takes_part(NOON, "new")
    buy(session, NOON + minutes(5), "4", 7, currency="SEK")
    assert sums(arms_of(experiment)["new"])["ordered"] == 1
    assert arms_of(experiment)["new"].sum("revenue") == 0


def test_a_refund_is_taken_back_and_leaves_no_debt(experiment):
    session = takes_part(NOON, "new", spends=50)
    buy(session, NOON + timedelta(hours=5), "7", 80, name="refund")
    arm = arms_of(experiment)["new"]
    assert (arm.sum("revenue"), arm.sum("refunded"), arm.ratio("refunds").value) == (0, 1, 1)


def test_only_lists_since_all_variants_serve_are_counted(experiment):
    takes_part(NOON - timedelta(hours=2), "new")
    assert arms_of(experiment) == {}


def test_nothing_counts_after_the_stop(experiment):
    experiment.stopped_at = NOON + minutes(1)
    experiment.save()
    takes_part(NOON, "new")
    takes_part(NOON + minutes(2), "new")
    assert arms_of(experiment)["new"].sessions == 1


def test_what_has_not_begun_has_no_arms():
    experiment = a_running_one(NOON, counted_from=None)
    takes_part(NOON, "new")
    assert arms_of(experiment) == {}


def test_a_session_that_changed_its_variant_stays_in_the_first(experiment):
    session = takes_part(NOON, "old")
    show(session, NOON + minutes(3), ["1"], experiment=experiment.name, variant="new", model="neighbours")
    found = arms_of(experiment)
    assert list(found) == ["old"]
    assert found["old"].sum("lists") == 2


def test_lists_of_another_model_and_short_ones_are_told(experiment):
    takes_part(NOON, "new", model="itemknn")
    takes_part(NOON, "new", model="", step="popular")
    short = uuid7(NOON)
    show(short, NOON, ["1"], experiment=experiment.name, variant="new", model="neighbours", wanted=2)
    arm = arms_of(experiment)["new"]
    assert (arm.sum("lists"), arm.sum("answered"), arm.sum("filled")) == (3, 1, 2)


def test_a_holdout_is_answered_as_planned():
    experiment = a_running_one(NOON - minutes(9), variants={"none": None, "new": {}})
    session = uuid7(NOON)
    show(session, NOON, [], experiment=experiment.name, variant="none", model="", step="holdout")
    arm = arms_of(experiment)["none"]
    assert (arm.sum("answered"), arm.sum("filled"), arm.sum("clicked")) == (1, 1, 0)


@pytest.mark.parametrize(("variant", "step", "filled"), [("none", "holdout", 1), ("new", "empty", 0)])
def test_an_empty_list_counts_in_its_arm_and_in_no_other_figure(variant, step, filled):
    experiment = a_running_one(NOON - minutes(9), variants={"none": None, "new": {}, "old": {}})
    columns = {"experiment": experiment.name, "variant": variant, "model": "", "step": step, "wanted": 8}
    show(uuid7(NOON), NOON, [], **columns)
    takes_part(NOON, "old")
    arm = arms_of(experiment)[variant]
    assert (arm.sessions, arm.sum("lists"), arm.sum("filled"), arm.sum("answered")) == (1, 1, filled, filled)
    assert {row.impressions for row in DailyLists.objects.all()} == {1}
    shop = DailyShop.objects.get(day=day_of(NOON))
    assert (shop.sessions, shop.with_list) == (2, 1)
    assert products_reached("home") == (1, 2)


def test_bots_and_quarantined_sessions_count_nowhere(experiment):
    takes_part(NOON, "new", bot=True)
    held = takes_part(NOON, "new")
    Quarantine.objects.create(session_id=held, reason="flood", clicks=99)
    assert arms_of(experiment) == {}


def test_a_visitor_erased_in_the_middle_takes_all_figures_along(experiment):
    takes_part(NOON, "new", clicks=1, spends=5)
    gone = takes_part(NOON, "new", clicks=1, spends=9)
    erase_sessions([gone])
    arm = arms_of(experiment)["new"]
    assert (arm.sessions, arm.sum("clicked"), arm.sum("revenue")) == (1, 1, 5)


def test_a_session_over_midnight_belongs_to_the_day_of_its_first_list(experiment):
    day = day_of(NOON)
    midnight = first_moment(day + ONE)
    takes_part(midnight - minutes(2), "new", lists=4, clicks=4)
    for each in (day, day + ONE):
        roll_up(each)
    assert [(row.day, row.sessions) for row in DailyArm.objects.all()] == [(day, 1)]
    assert arms(experiment)["new"].sum("clicked") == 4


def test_days_of_one_experiment_are_summed(experiment):
    for days in (0, 1):
        takes_part(NOON - timedelta(minutes=30) + timedelta(days=days), "new", spends=3)
        roll_up(day_of(NOON) + days * ONE)
    assert (arms(experiment)["new"].sessions, arms(experiment)["new"].sum("revenue")) == (2, 6)


def test_days_add_up():
    one = Arm(2, [1.0] * len(MEASURES), [2.0] * len(PAIRS))
    assert one + Arm() == one
    assert (one + one).sessions == 4


def test_interleaved_clicks_are_credited_to_the_team_of_their_place():
    experiment = a_running_one(NOON - minutes(9), kind="interleaving")
    items, by_hand = ["p", "a", "b", "c", "d"], ["pinned", *["neighbours"] * 4]
    wanted = 0
    for _session in range(12):
        session = uuid7(NOON)
        shown = show(session, NOON, items, experiment=experiment.name, variant=INTERLEAVED, reasons=by_hand)
        order = teams(experiment.name, session, 4)
        for place in (0, 2, 3):
            click(session, NOON + minutes(1), items[1 + place], shown)
            wanted += 1 if order[place] else -1
        click(session, NOON + minutes(2), "p", shown)  # nobody drafted it
    arm = arms_of(experiment)[INTERLEAVED]
    assert arm.sum("preferred") == wanted
    assert arm.ratio("preference").squares.hits == 12, "each session prefers one team by one click"


def test_the_usual_sessions_of_a_placement_are_one_arm():
    takes_part(NOON, "old", lists=2, clicks=1, spends=500, placement="home", experiment="")
    takes_part(NOON, "old", lists=1, placement="basket", experiment="")
    roll_up(day_of(NOON))
    arm = usual("home", NOON - timedelta(days=1), LATER, "EUR", 100)
    assert (arm.sessions, arm.sum("lists"), arm.sum("clicked"), arm.sum("revenue")) == (1, 2, 1, 100)
    assert arm.ratio("revenue").squares.hits == 100**2
    assert usual("nowhere", NOON, LATER) == Arm()
    assert usual("basket", NOON - timedelta(days=1), LATER).sum("ordered") == 0


def test_the_time_of_a_list_is_a_mean_over_lists(experiment):
    takes_part(NOON, "new", lists=3, duration_us=4_000)
    takes_part(NOON, "new", duration_us=12_000)
    takes_part(NOON, "new")  # stored by a version that did not say
    time = arms_of(experiment)["new"].ratio("time")
    assert (time.hits, time.trials, time.squares.hits) == (24, 5, 12**2 + 12**2)


def refund(session, at, order="1001", price="10"):
    order_line(session, "refund", order, at, price)


@pytest.fixture
def long_ago():
    """An experiment of four weeks ago: two sessions with an order each, the second past midnight."""
    at = NOON - timedelta(days=24)
    experiment = a_running_one(at - minutes(9))
    first, second = (takes_part(at + timedelta(hours=hours), "new") for hours in (0, 11))
    order_line(first, "purchase", "1001", at + minutes(5), "30")
    order_line(second, "purchase", "1002", at + timedelta(hours=13), "20")
    for days in (0, 1):  # the earlier day first: what was ordered after midnight is not known yet
        roll_up(day_of(at) + days * ONE)
    return experiment, at, first


def test_an_order_past_midnight_counts_on_the_day_of_its_sessions_first_list(long_ago):
    experiment, at, _first = long_ago
    arm = arms(experiment)["new"]
    assert (arm.sessions, arm.sum("ordered"), arm.sum("revenue")) == (2, 2, 50)
    assert arm.ratio("revenue").squares.hits == 30**2 + 20**2
    assert {row.day for row in DailyArmOrders.objects.all()} == {day_of(at)}


def test_a_refund_on_day_20_reaches_its_arm(long_ago):
    experiment, at, first = long_ago
    later = at + timedelta(days=20)
    refund(first, later, price="12")
    refund(first, later, order="1002", price="20")
    roll_up(day_of(later))
    arm = arms(experiment)["new"]
    assert (arm.sum("ordered"), arm.sum("revenue"), arm.sum("refunded")) == (2, 18, 2)
    assert arm.ratio("revenue").squares.hits == 18**2
    assert arm.ratio("refunds").value == 1


def test_a_refund_reaches_its_arm_when_the_raw_rows_are_gone(long_ago, settings):
    experiment, at, first = long_ago
    partitions.drop_older_than(10)
    settings.SESSREC = {**settings.SESSREC, "RETENTION_DAYS": 10}
    refund(first, at + timedelta(days=20), price="30")
    roll_up(day_of(at + timedelta(days=20)))
    arm = arms(experiment)["new"]
    assert (arm.sessions, arm.sum("lists"), arm.sum("revenue")) == (2, 2, 20)
    roll_up(day_of(at))
    assert arms(experiment)["new"] == arm, "a day that is made anew later keeps what it knew"


def test_lines_that_are_past_their_time_leave_the_sums_as_they_are(long_ago, settings):
    experiment, at, first = long_ago
    settings.SESSREC = {**settings.SESSREC, "ORDER_LINES_DAYS": 23}
    purge()
    refund(first, at + timedelta(days=20), order="1002", price="20")
    roll_up(day_of(at + timedelta(days=20)))
    assert arms(experiment)["new"].sum("revenue") == 50
    assert not ArmLine.objects.exists()
