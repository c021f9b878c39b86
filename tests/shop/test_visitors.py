"""Simulated visitors: the same under a seed, true to their own truth, and never sent to another machine."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from django_sessrec.capture import store
from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import ONE, day_of, each_day, first_moment, last_days, today, whole_days
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.rollups import roll_up_due
from django_sessrec.models import DailyPages, Event, Impression
from example_shop.shop import assortment
from example_shop.shop.browser import Browser, StrangeHostError
from example_shop.shop.history import happenings
from example_shop.shop.models import Order, Product
from example_shop.shop.population import visitors_of
from example_shop.shop.traffic import Traffic
from example_shop.shop.visitors import Goods, ShopVisitors

DAY = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def visitors():
    products = assortment.products()
    for number, product in enumerate(products, 1):
        product.pk = number
    return visitors_of(products)


def told(visitors, seed):
    draw = np.random.default_rng(seed)
    return [(each.at, each.name, each.row, each.bot) for each in happenings(visitors, DAY, 50, draw)]


def test_the_same_seed_makes_the_same_day(visitors):
    assert told(visitors, 7) == told(visitors, 7) != told(visitors, 8)


@pytest.mark.parametrize("date", [(2026, 3, 29), (2026, 10, 25)], ids=["23 hours", "25 hours"])
def test_a_days_visits_begin_on_it_though_the_clocks_change(visitors, date):
    midnight = datetime(*date, tzinfo=ZoneInfo("Europe/Oslo"))
    visits = {}
    for each in happenings(visitors, midnight, 500, np.random.default_rng(7)):
        visits.setdefault(each.session_id, []).append(each.at)
    assert {moments[0].astimezone(midnight.tzinfo).date() for moments in visits.values()} == {midnight.date()}
    pauses = [(b - a).total_seconds() for moments in visits.values() for a, b in pairwise(moments)]
    assert all(0 <= pause < 3_000 for pause in pauses)


def test_visits_follow_the_truth_that_is_told(visitors):
    draw = np.random.default_rng(3)
    visits = [visitors.visit(draw) for _ in range(2_000)]
    steps = [step for visit in visits for step in pairwise(visit)]
    likely = sum(np.sum(visitors.next_item_odds(a) > visitors.next_item_odds(a)[b]) < 120 for a, b in steps)
    assert likely > 0.7 * len(steps)  # a tenth of the range gets most of what comes next
    assert 0.25 < sum(len(visit) == 1 for visit in visits) / len(visits) < 0.4


def test_some_visits_are_about_two_things(visitors):
    draw = np.random.default_rng(5)
    minds = [len({intent.kind for intent in visitors.intents(draw)}) for _ in range(400)]
    assert 20 < Counter(minds)[2] < 120
    assert max(minds) == 2


def test_what_suits_best_is_what_comes_next_most_likely(visitors):
    intent = visitors.intent(np.random.default_rng(1))
    odds = visitors.next_item_odds(10, intent)
    assert visitors.suits(10, int(odds.argmax()), intent) == 1
    assert visitors.suits(10, int(np.argsort(odds)[1]), intent) < 0.2


def test_a_product_may_be_the_only_one_of_its_kind():
    mugs = [Goods(str(number), "mugs", "Alma", "ink", 9.0) for number in range(60)]
    tent = Goods("60", "tents", "Fjell", "clay", 90.0)
    odds = ShopVisitors([*mugs, tent], {}).next_item_odds(60)
    assert np.isfinite(odds[:60]).all()


def test_some_take_along_what_goes_with_it(visitors):
    row = next(row for row, each in enumerate(visitors.goods) if each.kind == "teapots")
    companion = visitors.companion(row)
    assert visitors.goods[companion].kind in {"mugs", "carafes"}
    draw = np.random.default_rng(7)
    day = [each for _day in range(20) for each in happenings(visitors, DAY, 100, draw)]
    baskets = {}
    for each in day:
        if each.name == "add_to_cart":
            baskets.setdefault(each.session_id, []).append(visitors.goods[each.row].kind)
    assert max(Counter(map(len, baskets.values()))) > 1
    assert all(len(set(kinds)) == len(kinds) for kinds in baskets.values()), "one of a kind"


def test_an_empty_shop_says_what_to_do():
    with pytest.raises(ValueError, match="fill_shop"):
        visitors_of([])


@pytest.mark.django_db(transaction=True)
def test_history_is_written_as_events():
    call_command("fill_shop", verbosity=0)
    call_command("simulate_history", days=2, sessions_per_day=100, verbosity=0)
    events = Event.objects.all()
    known = {str(pk) for pk in Product.objects.values_list("pk", flat=True)}
    names = set(events.values_list("name", flat=True))
    assert (
        {"view_item", "add_to_cart", "purchase"}
        <= names
        <= {"view_item", "add_to_cart", "purchase", "refund"}
    )
    assert set(events.values_list("item_id", flat=True)) <= known
    assert events.filter(bot=True).exists()
    views = events.filter(name="view_item")
    counted = DailyPages.objects.aggregate(
        **{name: Sum(name) for name in ("with_consent", "without_consent", "bots")}
    )
    assert counted["with_consent"] == views.filter(bot=False).count()
    assert counted["bots"] == views.filter(bot=True).count()
    for kind, bot in (("with_consent", False), ("bots", True)):
        by_day = Counter(map(day_of, views.filter(bot=bot).values_list("occurred_at", flat=True)))
        assert {day: pages for day, pages in DailyPages.objects.values_list("day", kind) if pages} == by_day
    assert 0 < counted["without_consent"] < counted["with_consent"]
    assert not events.filter(occurred_at__gt=datetime.now(UTC)).exists()


@pytest.mark.django_db(transaction=True)
def test_lists_of_past_days_are_clicked_where_they_name_what_comes_next():
    call_command("fill_shop", verbosity=0)
    call_command("simulate_history", days=2, sessions_per_day=200, verbosity=0)
    call_command("simulate_lists", days=2, verbosity=0)
    lists = {each.pk: each for each in Impression.objects.all()}
    assert {day_of(each.shown_at) for each in lists.values()} >= {*each_day(*whole_days(2))}
    clicks = Event.objects.filter(name="select_item")
    assert clicks
    for click in clicks:
        followed = lists[click.impression_id]
        assert followed.session_id == click.session_id
        assert followed.item_ids[click.position - 1] == click.item_id


@pytest.mark.django_db(transaction=True)
def test_a_list_just_past_midnight_takes_no_list_from_the_day(goods):
    product = Product.objects.first()
    midnight = first_moment(today() - ONE)
    for at in (midnight - timedelta(milliseconds=100), midnight + timedelta(hours=9)):
        store.write([make("view_item", str(product.pk), session_id=uuid7(at), at=at)])
    call_command("simulate_lists", days=2, verbosity=0)
    assert Impression.objects.filter(placement="product_page").count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_second_call_adds_no_list():
    call_command("fill_shop", verbosity=0)
    call_command("simulate_history", days=1, sessions_per_day=100, verbosity=0)
    call_command("simulate_lists", days=1, verbosity=0)
    lists = Impression.objects.count()
    assert {each.placement for each in Impression.objects.all()} == {"product_page", "basket", "home"}
    call_command("simulate_lists", days=1, verbosity=0)
    assert Impression.objects.count() == lists


@pytest.mark.django_db(transaction=True)
def test_one_order_line_in_ten_comes_back_and_is_taken_from_its_order():
    call_command("fill_shop", verbosity=0)
    call_command("simulate_history", days=30, sessions_per_day=120, verbosity=0)
    bought, back = (Event.objects.filter(name=name).count() for name in ("purchase", "refund"))
    assert 0.02 * bought < back < 0.2 * bought
    roll_up_due()
    [(_key, whole)] = figures(*last_days(31)).items()
    assert 0 < whole.money["EUR"].total_refunded < whole.money["EUR"].total


@pytest.mark.parametrize(
    "url", ["http://example.com", "https://127.0.0.1", "http://127.0.0.1.example.com:8000", "ftp://localhost"]
)
def test_visitors_stay_on_this_machine(url):
    with pytest.raises(StrangeHostError, match=r"127\.0\.0\.1:8000"):
        Browser(url, "Mozilla/5.0")
    with pytest.raises(CommandError, match="not on this machine"):
        call_command("simulate_traffic", url=url)


def test_a_shop_that_is_closed_is_reported(goods):
    with pytest.raises(CommandError, match="make shop"):
        call_command("simulate_traffic", url="http://127.0.0.1:9")


@pytest.mark.django_db(transaction=True)
def test_visitors_click_buy_and_leave_their_events(live_server):
    call_command("fill_shop", verbosity=0)
    products = list(Product.objects.all())
    seen = Counter()
    traffic = Traffic(
        live_server.url,
        visitors_of(products),
        [product.get_absolute_url() for product in products],
        think_seconds=0,
        seen=lambda what: seen.update([what]),
    )
    for seed in range(8):
        traffic.visit(seed)
    assert seen["visits"] + seen["bots"] == 8
    assert not [what for what in seen if what.startswith("answers")], seen
    assert seen["recommendations clicked"] > 0
    assert seen["orders"] == Order.objects.count() > 0
    recorded = Counter(Event.objects.values_list("name", flat=True))
    assert recorded["select_item"] > 0
    assert recorded["view_item"] > recorded["select_item"]
    kinds = dict(Product.objects.values_list("pk", "category_id"))
    added = Event.objects.filter(name="add_to_cart").values_list("session_id", "item_id")
    assert added
    held = Counter((session, kinds[int(item_id)]) for session, item_id in added)
    assert set(held.values()) == {1}, "one teapot is enough"
