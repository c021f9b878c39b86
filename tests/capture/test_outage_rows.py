"""Rows of an outage: what memory has room for is kept and counted once, and what it has not is told."""

from django.db import connection

from django_sessrec.capture import buffers, stream
from django_sessrec.capture import outbox as outbox_module
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.store import WriteResult
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent
from tests.support.capture import event, in_the_ledger, nowhere, renamed


def test_refused_events_beyond_the_buffer_are_counted(transactional_db, no_broker, monkeypatch, caplog):
    monkeypatch.setattr(buffers, "MAX_ROWS", 10)
    session_id = uuid7()
    rejected = [buffers.Rejected({"session_id": str(session_id), "n": n}, "name", "") for n in range(30)]
    with renamed("TABLE", "sessrec_failedevent"):
        for each in rejected:
            outbox.reject([each])
    assert "no room in memory" in caplog.text
    outbox.deliver([event()])
    assert in_the_ledger() == {"stored": 1, "refused": 30}


def test_refused_events_are_kept_once_though_their_count_fails(transactional_db, no_broker, monkeypatch):
    monkeypatch.setattr(buffers, "MAX_ROWS", 10)
    session_id = uuid7()
    with renamed("TABLE", "sessrec_failedevent"):
        for n in range(30):
            outbox.reject([buffers.Rejected({"session_id": str(session_id), "n": n}, "name", "")])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_ledger ADD CONSTRAINT few CHECK (refused <= 10)")
        outbox.flush()
        cursor.execute("ALTER TABLE sessrec_ledger DROP CONSTRAINT few")
    outbox.flush()
    assert FailedEvent.objects.count() == 10
    assert in_the_ledger() == {"refused": 30}


def test_duplicates_of_an_outage_are_counted(transactional_db, no_broker):
    """Sent twice by a browser that heard no answer; what is in doubt is not a duplicate."""
    row = event("1")
    with nowhere():
        for _ in range(3):
            outbox.deliver([row])
    outbox.deliver([event("2")])
    assert in_the_ledger() == {"stored": 2, "duplicate": 2}


def test_what_memory_has_no_room_for_is_lost_and_no_more_than_that(
    transactional_db, no_broker, monkeypatch, caplog
):
    monkeypatch.setattr(buffers, "MAX_ROWS", 10)
    with nowhere():
        written = [outbox.deliver([event(str(n))]) for n in range(15)]
    assert written == [None] * 10 + [WriteResult(lost=1)] * 5
    assert "5 rows" not in caplog.text, "told with the outage's end"
    for _ in range(2):
        outbox.deliver([event("last")])
    assert Event.objects.count() == 15 - outbox.counts["lost"] + 2 == 12
    assert caplog.text.count("5 rows are lost: memory was full while") == 1
    assert stream.configured() is False


def test_a_process_that_ends_says_what_memory_had_no_room_for(
    transactional_db, no_broker, monkeypatch, caplog
):
    monkeypatch.setattr(buffers, "MAX_ROWS", 10)
    monkeypatch.setattr(outbox_module, "CLOSE_SECONDS", 0.1)
    with nowhere():
        for n in range(15):
            outbox.deliver([event(str(n))])
        outbox.close()
    assert "15 rows are lost with this process" in caplog.text
