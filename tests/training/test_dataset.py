"""The clicks that a training reads: the same as the ORM finds, and none that must not teach."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest
from django.db import connection

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Quarantine, Withdrawal
from django_sessrec.training.dataset import LONGEST, read, read_baskets
from tests.demo.models import Product
from tests.support.capture import reconnected
from tests.support.visits import click_row, store_visits, synthetic_visits

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(days=10)


@pytest.fixture(params=["postgres", "files"], autouse=True)
def _source(request, monkeypatch, sessrec):
    """Whatever is said of what a training run reads holds for the click files as well."""
    if request.param == "files":
        for verb in (read, read_baskets):
            monkeypatch.setitem(globals(), verb.__name__, partial(verb, from_files=True))


def sessions_of(log):
    return [log.index.item_ids(log[session]) for session in range(len(log))]


def test_copy_reads_what_the_orm_reads():
    store_visits(synthetic_visits())
    log, counts = read(START - timedelta(days=10), NOW)

    expected = defaultdict(list)
    for event in Event.objects.order_by("event_id"):
        expected[event.session_id].append(event)
    assert sorted(sessions_of(log)) == sorted([e.item_id for e in events] for events in expected.values())
    assert sorted(log.times.tolist()) == sorted(
        int(event.occurred_at.timestamp()) for events in expected.values() for event in events
    )
    assert (np.diff(log.started) >= 0).all()
    assert counts.sessions == len(expected) == 600
    assert counts.clicks == Event.objects.count()
    assert counts.items == Event.objects.values("item_id").distinct().count()


def test_only_the_window_is_read():
    before, inside, after = uuid7(START), uuid7(START), uuid7(START)
    copy_events(
        [
            click_row(before, "early", START - timedelta(milliseconds=1)),
            click_row(inside, "first", START),
            click_row(after, "late", NOW),
        ]
    )
    assert sessions_of(read(START, NOW)[0]) == [["first"]]


def test_bots_and_withdrawn_sessions_teach_nothing():
    bot, withdrawn, visitor = (uuid7(START) for _ in range(3))
    store_visits([(bot, START, ["a", "b"])], bot=True)
    store_visits([(withdrawn, START, ["c", "d"]), (visitor, START, ["e", "f"])])
    Withdrawal.objects.create(session_id=withdrawn)
    log, counts = read(START, NOW)
    assert sessions_of(log) == [["e", "f"]]
    assert counts.bot_clicks == 2
    assert log.index.ids == ("", "e", "f")


def test_more_items_than_a_statement_takes_parameters_are_asked_about_in_turn():
    """The shop's queryset may send each id as a parameter; PostgreSQL's protocol counts them in 16 bits."""
    items = 2**16 + 10
    Product.objects.bulk_create(Product(pk=pk, name="test", sensitive=True) for pk in (1, items))
    at = START.replace(hour=0)
    copy_events(click_row(uuid7(at), str(pk), at) for pk in range(1, items + 1))
    options = {**connection.settings_dict["OPTIONS"], "server_side_binding": True}
    with reconnected(OPTIONS=options):
        log, counts = read(START - timedelta(days=1), NOW)
    assert counts.sensitive_clicks == 2
    assert (counts.items, "1" in log.index, str(items) in log.index) == (items - 2, False, False)


def test_sensitive_items_are_left_out_of_the_sessions():
    secret = Product.objects.create(name="test", sensitive=True)
    store_visits([(uuid7(START), START, ["a", str(secret.pk), "b"])])
    log, counts = read(START, NOW)
    assert sessions_of(log) == [["a", "b"]]
    assert counts.sensitive_clicks == 1


def test_an_endless_session_is_left_out_and_counted():
    store_visits([(uuid7(START), START, [f"item-{n % 50}" for n in range(LONGEST + 1)])])
    store_visits([(uuid7(START), START, ["a", "b"])])
    log, counts = read(START, NOW)
    assert sessions_of(log) == [["a", "b"]]
    assert counts.endless_sessions == 1


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ([("view_item", "a", 0), ("view_item", "a", 0.5)], ["a"]),  # a reload
        ([("view_item", "a", 0), ("view_item", "a", 30)], ["a", "a"]),  # a second look
        ([("view_item", "a", 0), ("add_to_cart", "a", 30)], ["a"]),  # one interest
        ([("add_to_cart", "a", 0), ("view_item", "b", 5)], ["a", "b"]),  # from a list, without a look
        ([("view_item", "a", 0), ("view_item", "b", 5), ("add_to_cart", "a", 9)], ["a", "b", "a"]),
        ([("view_item", "a", 0), ("remove_from_cart", "b", 5), ("purchase", "c", 9)], ["a"]),
    ],
)
def test_one_interest_is_one_click(clicks, expected):
    session = uuid7(START)
    copy_events(
        click_row(session, item_id, START + timedelta(seconds=seconds), name=name)
        for name, item_id, seconds in clicks
    )
    assert sessions_of(read(START, NOW)[0]) == [expected]


def test_quarantined_sessions_teach_nothing_until_they_are_released():
    held = uuid7(START)
    store_visits([(held, START, ["c", "d"]), (uuid7(START), START, ["e", "f"])])
    Quarantine.objects.create(session_id=held, reason="flood", clicks=2)
    log, counts = read(START, NOW)
    assert sessions_of(log) == [["e", "f"]]
    assert counts.quarantined_clicks == 2
    Quarantine.objects.update(released_at=NOW)
    log, counts = read(START, NOW)
    assert len(log) == 2
    assert counts.quarantined_clicks == 0


def test_an_item_in_too_many_of_a_day_s_sessions_teaches_as_much_as_may_be(sessrec):
    """Of 200 sessions a day 40 push one item: it stays in the 20 that a tenth allows, each day anew."""
    sessrec["MAX_ITEM_SHARE"] = 0.1
    for day in (1, 2):
        at = NOW.replace(hour=1) - timedelta(days=day)
        pushed = [(uuid7(at), at, ["pushed"]) for n in range(40)]
        others = [(uuid7(at), at, [f"b{n}", f"c{n}"]) for n in range(160)]
        store_visits([*pushed, *others])
    log, counts = read(START, NOW)
    assert sum("pushed" in session for session in sessions_of(log)) == 2 * 20
    assert (len(log), counts.capped_clicks) == (2 * 180, 2 * 20)


def test_in_a_shop_of_few_items_each_is_in_many_sessions():
    store_visits([(uuid7(START), START, ["a", "b", "c"]) for _ in range(300)])
    assert read(START, NOW)[1].capped_clicks == 0


def test_clicks_of_one_millisecond_keep_their_order():
    session = uuid7(START)
    rows = [
        click_row(session, item_id, START + timedelta(microseconds=n)) for n, item_id in enumerate("dbca")
    ]
    copy_events(reversed(rows))
    assert sessions_of(read(START, NOW)[0]) == [["d", "b", "c", "a"]]


def test_without_events_the_log_is_empty():
    log, counts = read(START, NOW)
    assert len(log) == counts.clicks == counts.items == 0


def test_a_basket_is_what_a_session_put_into_it_or_bought_each_item_once():
    one, other = uuid7(START), uuid7(START + timedelta(hours=1))
    minute = timedelta(minutes=1)
    copy_events(
        [
            click_row(one, "viewed", START),
            click_row(one, "kettle", START + minute, name="add_to_cart"),
            click_row(one, "cup", START + 2 * minute, name="add_to_cart"),
            click_row(one, "kettle", START + 3 * minute, name="purchase"),
            click_row(other, "socks", START + timedelta(hours=1), name="purchase"),
            click_row(uuid7(START), "robot", START, name="purchase", bot=True),
        ]
    )
    log, counts = read_baskets(START, NOW)
    assert sessions_of(log) == [["kettle", "cup"], ["socks"]]
    assert (counts.sessions, counts.sessions_of_two, counts.items, counts.bot_clicks) == (2, 1, 3, 1)
