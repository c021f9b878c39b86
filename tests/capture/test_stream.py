"""The stream loses nothing and counts nothing twice, whoever dies."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_sessrec.capture import stream
from django_sessrec.capture import stream_consumer as consuming
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.event import to_payload
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.session_events import session_events
from django_sessrec.capture.stream_consumer import Consumer
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Heartbeat, Receipt
from django_sessrec.operations import services
from django_sessrec.operations.findings import Code
from tests.support.capture import captured, event, in_the_ledger, settle, shown
from tests.support.roles import ACTS, clerk


class Killed(BaseException):
    """Ends a consumer as kill -9 does: nothing after it is carried out."""


class KilledBeforeAcknowledging(Consumer):
    def _acknowledge(self, entries):
        raise Killed


class KilledBeforeStoring(Consumer):
    def _store(self, messages):
        raise Killed


@pytest.fixture
def soon(monkeypatch):
    """A consumer that holds messages counts as dead at once."""
    monkeypatch.setattr(consuming, "CLAIM_AFTER_MS", 1)


@pytest.mark.parametrize("death", [KilledBeforeStoring, KilledBeforeAcknowledging])
def test_what_a_killed_consumer_held_is_stored_and_counted_once(stream_server, soon, death):
    for n in range(5):
        outbox.deliver([event(str(n))])
    with pytest.raises(Killed):
        death().step()
    outbox.deliver([event("later")])
    settle()
    assert sorted(item for _, item in captured()) == ["0", "1", "2", "3", "4", "later"]
    assert in_the_ledger() == {"stored": 6}
    assert stream.backlog().messages == 0


def test_what_is_stored_already_is_never_taken_for_new(stream_server, soon, monkeypatch):
    monkeypatch.setattr(consuming, "SWEEP_SECONDS", 0)
    outbox.deliver([event("stored, not acknowledged")])
    consumer = KilledBeforeAcknowledging()
    with pytest.raises(Killed):
        consumer.step()
    outbox.deliver([event("of a dead one")])
    with pytest.raises(Killed):
        KilledBeforeStoring().step()
    consumer._unfinished = True  # as after an error; then it dies between storing and acknowledging
    monkeypatch.setattr(consumer, "_acknowledge", lambda entries: Consumer._acknowledge(consumer, entries))
    store_once = consumer._store

    def store_and_die(messages):
        store_once(messages)
        raise Killed

    monkeypatch.setattr(consumer, "_store", store_and_die)
    with pytest.raises(Killed):
        consumer.step()
    settle()
    assert in_the_ledger() == {"stored": 2}


def test_the_books_forget_consumers_that_ended(stream_server, monkeypatch):
    for n in range(3):
        outbox.deliver([event(str(n))])
        Consumer().step()
    assert len(stream_server.xinfo_consumers(stream.key(), stream.GROUP)) == 3
    monkeypatch.setattr(consuming, "FORGOTTEN_MS", -1)
    settle()
    assert len(stream_server.xinfo_consumers(stream.key(), stream.GROUP)) == 1


def test_a_duplicate_among_what_a_killed_consumer_held_still_counts(stream_server, soon):
    twice = event("1")
    outbox.deliver([twice])
    outbox.deliver([twice])
    with pytest.raises(Killed):
        KilledBeforeAcknowledging().step()
    settle()
    assert in_the_ledger() == {"stored": 1, "duplicate": 1}


def test_two_consumers_share_the_work(stream_server, monkeypatch):
    monkeypatch.setattr(consuming, "BATCH", 3)
    for n in range(12):
        outbox.deliver([event(str(n))])
    first, second = Consumer(), Consumer()
    rows = [first.step(), second.step(), first.step(), second.step()]
    assert rows == [3, 3, 3, 3]
    assert in_the_ledger() == {"stored": 12}


@pytest.mark.parametrize("messages", [1, 100])
def test_a_hundred_messages_cost_the_questions_of_one(stream_server, django_assert_num_queries, messages):
    session_id = uuid7()
    for n in range(messages):
        outbox.deliver([event(str(n), session_id=session_id)], [shown(session_id, "1")] if n % 3 else [])
    consumer = Consumer()
    consumer._join()
    consumer._give_sign_of_life()
    with django_assert_num_queries(10):
        consumer.step()


def test_an_acknowledgement_that_failed_is_made_good(stream_server, monkeypatch):
    outbox.deliver([event("1")])
    consumer = Consumer()
    acknowledge, failures = consumer._acknowledge, [ConnectionError("gone")]

    def acknowledge_later(entries):
        if failures:
            raise failures.pop()
        acknowledge(entries)

    monkeypatch.setattr(consumer, "_acknowledge", acknowledge_later)
    monkeypatch.setattr(consuming, "PAUSE", 0)
    batches = []
    consumer.run(lambda: len(batches) == 2, batches.append)
    assert (captured(), in_the_ledger(), stream.backlog().messages) == (
        [("view_item", "1")],
        {"stored": 1},
        0,
    )


def test_while_the_tables_are_away_the_stream_keeps_what_pages_add(stream_server, monkeypatch):
    monkeypatch.setattr(consuming, "PAUSE", 0)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")

    outbox.deliver([event("1")])
    consumer, rounds = Consumer(), []

    def two_rounds_later():
        rounds.append(1)
        if len(rounds) == 3:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE elsewhere RENAME TO sessrec_event")
        return len(rounds) > 3

    consumer.run(two_rounds_later)
    assert (captured(), in_the_ledger()) == ([("view_item", "1")], {"stored": 1})


def test_a_full_stream_sends_pages_to_postgres(stream_server, settings):
    settings.SESSREC = {**settings.SESSREC, "STREAM_MAX_LENGTH": 2}
    for n in range(6):
        outbox.deliver([event(str(n))])
    assert stream.backlog().messages == 2
    assert Event.objects.count() == 4
    settle()
    assert in_the_ledger() == {"stored": 6}


def test_a_server_without_memory_left_sends_pages_to_postgres(stream_server):
    stream_server.config_set("maxmemory", "1mb")
    try:
        outbox.deliver([event("1")])
    finally:
        stream_server.config_set("maxmemory", "0")
    assert captured() == [("view_item", "1")]


def test_a_server_that_is_away_is_not_waited_for_and_costs_no_row(
    settings, transactional_db, tmp_path, caplog
):
    settings.SESSREC = {**settings.SESSREC, "STREAM_URL": f"unix://{tmp_path}/nobody.sock"}
    session_id = uuid7()
    for item in "123":
        outbox.deliver([event(item, session_id=session_id)])
    assert [each.item_id for each in session_events(session_id)] == ["1", "2", "3"]
    assert caplog.text.count("did not take") == 1
    assert erase_sessions([session_id]).rows["sessrec_event"] == 3


def test_pages_wait_for_the_server_as_long_as_they_may_by_now(stream_server, monkeypatch):
    """A client that waits longer, made for another test, would have a page wait for a server that hangs."""
    monkeypatch.setattr(stream, "TIMEOUT_SECONDS", stream.TIMEOUT_SECONDS / 2)
    waits = stream.client().connection_pool.connection_kwargs["socket_timeout"]
    assert waits == stream.TIMEOUT_SECONDS


def test_the_server_keeps_no_click_of_a_session_that_was_erased(stream_server):
    erased, other = uuid7(), uuid7()
    outbox.deliver([event("before", session_id=erased)])
    erase_sessions([erased])
    late = [event("late", session_id=erased), event("of somebody else", session_id=other)]
    outbox.deliver(late)
    assert stream.events_of(erased) == []
    assert [item_id for _, _, item_id, _ in stream.events_of(other)] == ["of somebody else"]
    settle()
    assert captured("item_id") == [("of somebody else",)]


def test_a_session_is_kept_out_as_long_as_its_clicks_may_come(stream_server):
    erase_sessions([erased := uuid7()])
    [left] = [each for each in stream_server.keys("*") if str(erased) in str(each)]
    assert timedelta(hours=24) <= timedelta(seconds=stream_server.ttl(left)) <= timedelta(hours=25)


def test_a_message_that_nobody_can_read_is_kept_and_stops_nobody(stream_server):
    outbox.deliver([event("1")])
    stream_server.xadd(stream.key(), {"events": "[{]"})
    stream_server.xadd(stream.key(), {"events": '[{"event_id": 5}]'})
    stream_server.xadd(stream.key(), {"something": "else"})
    outbox.deliver([event("2")])
    settle()
    assert captured("item_id") == [("1",), ("2",)]
    assert set(FailedEvent.objects.values_list("code", flat=True)) == {"unreadable"}
    assert in_the_ledger() == {"stored": 2, "failed": 2}


def test_what_nobody_can_read_goes_with_its_session(stream_server):
    good, other = event("1"), event("2")
    odd = to_payload(good) | {"event_id": str(uuid7()), "quantity": "many"}
    junk = {"session_id": "ours", "note": f"of {good.session_id}"}
    stream_server.xadd(stream.key(), {"events": json.dumps([to_payload(other), odd, junk, 5])})
    stream_server.xadd(stream.key(), {"events": f"[{{{good.session_id}"})
    settle()
    assert captured("item_id") == [("2",)]
    kept = {each.session_id: each for each in FailedEvent.objects.exclude(session_id=None)}
    assert kept.keys() == {good.session_id}
    assert kept[good.session_id].payload == odd
    erase_sessions([good.session_id])
    left = [f"{each.payload} {each.detail}" for each in FailedEvent.objects.all()]
    assert len(left) == 3
    assert str(good.session_id) not in "".join(left)


def test_what_nobody_can_read_does_not_keep_a_day_from_its_partition(stream_server):
    early = event("1", at=datetime.now(UTC) - timedelta(days=20))
    stream_server.xadd(stream.key(), {"events": json.dumps([to_payload(early)])})
    stream_server.xadd(stream.key(), {"events": '[{"event_id": 5}]'})
    settle()
    assert captured("item_id") == [("1",)]


def test_an_emptied_server_gets_its_group_again(stream_server, monkeypatch):
    monkeypatch.setattr(consuming, "PAUSE", 0)
    consumer, batches = Consumer(), []
    consumer.step(wait_ms=1)
    stream_server.flushdb()
    outbox.deliver([event("1")])
    consumer.run(lambda: sum(batches) == 1, batches.append)
    assert captured() == [("view_item", "1")]


def test_the_command_says_what_is_missing(settings, transactional_db):
    with pytest.raises(CommandError, match="STREAM_URL"):
        call_command("sessrec_consume")


def test_the_command_consumes_what_waits_and_gives_a_sign_of_life(stream_server):
    outbox.deliver([event("1"), event("2")])
    out = StringIO()
    call_command("sessrec_consume", once=True, stdout=out)
    assert out.getvalue() == "2 rows stored\n"
    assert Heartbeat.objects.filter(name="consumer").exists()
    assert Receipt.objects.count() == 1


def test_a_consumer_stops_at_another_shops_stream_until_that_is_settled(stream_server):
    Consumer().step(wait_ms=1)
    Consumer().step(wait_ms=1)  # another one of the same shop
    stream_server.set("sessrec:owner", "another shop's")
    outbox.deliver([event("1")])
    with pytest.raises(stream.OtherShopError):
        Consumer().run(lambda: False)
    with pytest.raises(CommandError, match=r"STREAM_KEY_PREFIX.* delete the key 'sessrec:owner'"):
        call_command("sessrec_consume", once=True)
    assert captured() == []
    (finding,) = services.stream_backlog()
    assert (finding.code, finding.level) == (Code.STREAM_ANOTHERS, "fail")

    stream_server.delete("sessrec:owner")
    settle()
    assert captured("item_id") == [("1",)]
    (finding,) = services.stream_backlog()
    assert finding.code == Code.STREAM_FLOWS


@pytest.mark.django_db
def test_a_role_that_may_not_read_the_migrations_takes_any_stream_for_its_own(stream_server):
    stream_server.set("sessrec:owner", "another shop's")
    with clerk(ACTS):
        stream.claim(stream_server)
        assert not stream.is_of_another_shop(stream_server)
    assert stream.is_of_another_shop(stream_server)


def test_rows_that_were_streamed_are_counted_as_such(stream_server):
    outbox.deliver([event("1")])
    assert outbox.counts == {"streamed": 1}


def test_two_shops_on_one_server_share_no_key(stream_server, settings):
    session_id = uuid7()
    for prefix in ("first:", "second:"):
        settings.SESSREC = {**settings.SESSREC, "STREAM_KEY_PREFIX": prefix}
        outbox.deliver([event(prefix, session_id=session_id)])
        assert stream.backlog().messages == 1
        assert [each.item_id for each in session_events(session_id)] == [prefix]
    assert sorted(key.partition(":")[0] for key in stream_server.scan_iter()) == [
        *["first"] * 2,
        *["second"] * 2,
    ]
    settle()
    assert captured("item_id") == [("second:",)]
