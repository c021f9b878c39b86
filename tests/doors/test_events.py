"""Events that no page brings, by the public door."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import ProgrammingError, connection, connections, transaction
from django.test import Client

from django_sessrec import events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Ledger
from tests.demo.models import Product
from tests.support.visits import FIREFOX

pytestmark = pytest.mark.django_db(transaction=True)

SESSION = uuid7()
NOW = datetime.now(UTC).replace(microsecond=0)


def hours_ago(hours):
    return NOW - timedelta(hours=hours)


def stored(*fields):
    return list(Event.objects.order_by("event_id").values_list(*(fields or ("name", "item_id"))))


# One event


def test_a_webhook_records_a_purchase_of_an_order_made_earlier():
    events.record(
        session_id=SESSION,
        name="purchase",
        item_id="7",
        at=hours_ago(2),
        quantity=2,
        price="9.90",
        currency="EUR",
    )
    event = Event.objects.get()
    assert (event.session_id, event.name, event.item_id, event.quantity) == (SESSION, "purchase", "7", 2)
    assert (str(event.price), event.currency, event.source) == ("9.90", "EUR", "webhook")
    assert event.occurred_at == hours_ago(2)


def test_its_id_is_handed_back():
    assert events.record(session_id=SESSION, name="add_to_cart", item_id="7") == Event.objects.get().pk


def test_async_code_awaits_it():
    told = {"session_id": SESSION, "name": "add_to_cart", "item_id": "7"}
    event_id = async_to_sync(events.arecord)(**told)
    assert stored("pk", "item_id") == [(event_id, "7")]
    with pytest.raises(events.EventError):
        async_to_sync(events.arecord)(**told, quantity=0)


def test_the_session_that_a_page_began_goes_on(settings):
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:plain": "pk"}}
    tea = Product.objects.create(name="tea")
    client = Client(headers={"user-agent": FIREFOX})
    client.cookies["consent"] = "yes"
    client.get(f"/demo/product/{tea.pk}/plain/")
    [view] = Event.objects.all()
    events.record(session_id=str(view.session_id), name="purchase", item_id=tea)
    assert stored("name", "item_id", "session_id") == [
        ("view_item", str(tea.pk), view.session_id),
        ("purchase", str(tea.pk), view.session_id),
    ]


def test_a_till_names_its_sessions_and_its_source_as_it_likes():
    for item in ("tea", "cup"):
        events.record(session_id="till 3, receipt 1047", name="purchase", item_id=item, source="till")
    events.record(session_id="till 3, receipt 1048", name="purchase", item_id="tea", source="till")
    sessions = [session for (session,) in stored("session_id")]
    assert sessions[0] == sessions[1] != sessions[2]
    assert set(stored("source")) == {("till",)}


def test_a_repeated_webhook_is_one_event():
    line = {"session_id": SESSION, "name": "purchase", "item_id": "7", "at": hours_ago(1)}
    ids = {events.record(**line, key="line 1") for _ in range(3)}
    ids.add(events.record(**line, key="line 2"))
    assert len(ids) == Event.objects.count() == 2


def test_an_orders_line_told_again_is_one_event():
    line = {"session_id": SESSION, "name": "purchase", "item_id": "7", "at": hours_ago(1), "order_id": 1047}
    assert events.record(**line) == events.record(**line) != events.record(**line | {"item_id": "8"})
    result = events.import_events([line, line | {"order_id": "1048"}])
    assert (result.stored, result.known) == (1, 1)
    assert Event.objects.count() == 3


REFUND = {"session_id": SESSION, "name": "refund", "item_id": "7", "order_id": "A1", "at": hours_ago(1)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"price": 10, "key": "refund 1"}, {"price": 10, "key": "refund 2"}),
        ({"price": 10}, {"price": 25}),
        ({"price": 10}, {"price": 10, "quantity": 2}),
        ({"price": 10, "name": "purchase"}, {"price": 10}),
    ],
    ids=["keys", "prices", "quantities", "its purchase"],
)
def test_refunds_of_one_line_and_moment_are_told_apart(one, other):
    ids = {events.record(**REFUND | each) for each in (one, other, one)}
    assert len(ids) == Event.objects.count() == 2
    assert len({each.hex[-19:] for each in ids}) == 1, "of one line"
    assert events.import_events([REFUND | one, REFUND | other]).known == 2


def test_many_refunds_of_one_line_and_moment_are_told_apart():
    for number in range(100):
        events.record(**REFUND, price=1, key=f"refund {number}")
    assert Event.objects.count() == 100


def test_each_refund_counts_that_is_told_without_a_time():
    told = {key: value for key, value in REFUND.items() if key != "at"}
    events.record(**told | {"name": "purchase"})
    for _again in range(20):
        events.record(**told)
    assert Event.objects.filter(name="refund").count() == 20


def test_a_key_names_its_refund_whatever_else_is_said_of_it():
    for price in (10, 25):
        events.record(**REFUND, price=price, key="refund 1")
    assert stored("price") == [(10,)]


def test_without_a_key_each_call_is_an_event():
    for _ in range(2):
        events.record(session_id=SESSION, name="purchase", item_id="7", at=hours_ago(1))
    assert Event.objects.count() == 2


def test_in_a_transaction_it_is_written_with_the_commit():
    with transaction.atomic():
        events.record(session_id=SESSION, name="purchase", item_id="7")
        assert stored() == []
    assert stored() == [("purchase", "7")]


def test_a_rolled_back_transaction_leaves_none():
    with transaction.atomic():
        events.record(session_id=SESSION, name="purchase", item_id="7")
        transaction.set_rollback(True)
    assert stored() == []


def test_in_a_transaction_that_has_failed_already_nothing_is_raised():
    with transaction.atomic(), connection.cursor() as cursor:
        with suppress(ProgrammingError):
            cursor.execute("SELECT nonsense")
        events.record(session_id=SESSION, name="purchase", item_id="7")


def test_a_sensitive_item_leaves_no_row():
    secret = Product.objects.create(name="secret", sensitive=True)
    events.record(session_id=SESSION, name="purchase", item_id=secret)
    assert stored() == []
    assert not FailedEvent.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"name": "wave"}, "name"),
        ({"name": None}, "name"),
        ({"item_id": None}, "item_id"),
        ({"item_id": ""}, "item_id"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": None}, "session_id"),
        ({"at": datetime(2026, 1, 1)}, "time"),  # noqa: DTZ001
        ({"at": NOW + timedelta(days=1)}, "time"),
        ({"at": NOW - timedelta(days=91)}, "time"),
        ({"at": datetime(1, 1, 1, tzinfo=UTC)}, "time"),
        ({"at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, "time"),
        ({"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}, "time"),
        ({"at": NOW.isoformat()}, "time"),
        ({"at": NOW.date()}, "time"),
        ({"at": int(NOW.timestamp())}, "time"),
        ({"at": ""}, "time"),
        ({"quantity": 0}, "quantity"),
        ({"price": "much"}, "price"),
        ({"currency": "euro"}, "currency"),
        ({"source": "The Till"}, "source"),
        ({"source": None}, "source"),
        ({"source": 7}, "source"),
        ({"order_id": "\ud800"}, "order_id"),
        ({"session_id": "\ud800"}, "session_id"),
        ({"session_id": "\ud800" * 36}, "session_id"),
        ({"key": "line 1"}, "time"),
    ],
)
@pytest.mark.parametrize(
    "kept_once", [{}, {"key": "line 1"}, {"order_id": 1047}], ids=["alone", "key", "order"]
)
def test_a_wrong_value_is_named_and_nothing_is_kept(wrong, code, kept_once):
    given = {"session_id": SESSION, "name": "purchase", "item_id": "7"} | kept_once
    if "key" in kept_once:
        given["at"] = None if wrong == kept_once else NOW
    with pytest.raises(events.EventError) as refused:
        events.record(**(given | wrong))
    assert refused.value.code == code
    assert stored() == []


@pytest.mark.parametrize(
    "field", ["name", "session_id", "quantity", "price", "currency", "source", "item_id"]
)
def test_what_was_wrong_is_shown_in_brief_however_long_it_is(field):
    """It stands in the log, and in memory while the database is down."""
    endless = "\ud800" * 10**6
    with pytest.raises(events.EventError) as refused:
        events.record(**({"session_id": SESSION, "name": "purchase", "item_id": "7"} | {field: endless}))
    assert len(str(refused.value)) < 500


def test_in_a_shops_tests_on_another_database_nothing_is_stored_and_nothing_raised(settings):
    connections.settings["lite"] = connection.settings_dict | {"ENGINE": "django.db.backends.sqlite3"}
    settings.SESSREC = settings.SESSREC | {"DATABASE": "lite"}
    try:
        with transaction.atomic("default"):
            assert events.record(session_id=SESSION, name="purchase", item_id="7").version == 7
    finally:
        del connections["lite"], connections.settings["lite"]


@pytest.mark.parametrize("source", [None, 7, "The Till"])
def test_an_import_from_a_wrong_source_is_refused_as_a_whole(source):
    with pytest.raises(events.EventError) as refused:
        events.import_events(clicks(1), source=source)
    assert refused.value.code == "source"


# Many events


def clicks(count, **fields):
    return [
        {"session_id": f"s{n % 5}", "item_id": f"item-{n}", "at": hours_ago(1) + timedelta(seconds=n)}
        | fields
        for n in range(count)
    ]


def test_a_history_is_imported_once_however_often_it_is_given():
    first = events.import_events(clicks(30))
    assert (first.read, first.stored, first.known, first.refused) == (30, 30, 0, 0)
    again = events.import_events(iter(clicks(50)))
    assert (again.read, again.stored, again.known, again.refused) == (50, 20, 30, 0)
    assert set(stored("name", "source")) == {("view_item", "import")}
    assert sum(day.stored for day in Ledger.objects.all()) == 50


def test_orders_and_refunds_are_imported_with_their_amounts():
    order = {"session_id": "s", "item_id": "tea", "at": hours_ago(3), "price": "4.50", "currency": "EUR"}
    events.import_events(
        [order | {"name": "Order Completed", "quantity": 3}, order | {"name": "refund", "at": hours_ago(2)}],
        source="erp",
    )
    assert stored("name", "quantity", "price", "source") == [
        ("purchase", 3, Event.objects.first().price, "erp"),
        ("refund", 1, Event.objects.first().price, "erp"),
    ]


def test_a_wrong_event_costs_itself_only():
    secret = Product.objects.create(name="secret", sensitive=True)
    codes = {
        "item_id": {"item_id": None},
        "time": {"at": "yesterday"},
        "unknown": {"nmae": "purchase"},
        "sensitive": {"item_id": str(secret.pk)},
        "session_id": {"session_id": "\ud800"},
    }
    result = events.import_events([*clicks(3), *({**clicks(1)[0], **each} for each in codes.values())])
    assert (result.stored, result.refused) == (3, len(codes))
    refused = {refusal.index: refusal.code for refusal in result.refusals}
    assert refused == dict(enumerate(codes, 3))
    assert result.codes == dict.fromkeys(codes, 1)


def test_two_sessions_in_one_second_keep_each_its_own_order():
    at = hours_ago(1)
    rows = [
        {"session_id": session, "item_id": item, "at": at} for item in "edcba" for session in ("s1", "s2")
    ]
    events.import_events(rows)
    for session in {session for (session,) in stored("session_id")}:
        found = Event.objects.filter(session_id=session).order_by("event_id")
        assert "".join(event.item_id for event in found) == "edcba"


def test_names_are_constants():
    events.record(session_id=uuid4(), name=events.EventName.ADD_TO_CART, item_id="7")
    assert stored() == [("add_to_cart", "7")]
