"""What a process keeps in memory: bounded, without withdrawn sessions, whichever threads meet in it."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_sessrec.capture import buffers
from django_sessrec.capture.buffers import Buffer, RecentWrites, Rejected
from django_sessrec.ids import uuid7
from tests.support.capture import event


def test_rows_that_were_dropped_leave_room_for_others(monkeypatch):
    monkeypatch.setattr(buffers, "MAX_ROWS", 2)
    recent, gone = RecentWrites(), uuid7()
    recent.remember([event("1", session_id=gone), event("2", session_id=gone)], "before")
    recent.drop(gone)
    assert (recent.rows, recent.bytes) == (0, 0)
    recent.remember([event("3")], "before")
    recent.remember([event("4")], "before")
    assert [row.item_id for row in recent.at_risk("after")] == ["3", "4"]


def test_rows_that_were_dropped_keep_their_places_time(monkeypatch):
    """The oldest entry stays the first one: it is the first that is forgotten."""
    recent, gone, kept = RecentWrites(), uuid7(), uuid7()
    recent.remember([event("1", session_id=kept)], "before")
    recent.remember([event("2", session_id=gone), event("3", session_id=kept)], "before")
    recent.drop(gone)
    assert [row.item_id for row in recent.at_risk("after")] == ["1", "3"]


@pytest.fixture
def often_switched():
    """Threads that take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("often_switched")
def test_threads_that_write_withdraw_and_find_a_crash_at_once_fail_nobody(monkeypatch):
    monkeypatch.setattr(buffers, "MAX_ROWS", 20)
    recent, sessions = RecentWrites(), [uuid7() for _ in range(5)]
    rows = [event(session_id=each) for each in sessions]

    def write(turn):
        recent.remember([*rows], "before")

    def withdraw(turn):
        recent.drop(sessions[turn % 5])

    def crash(turn):
        recent.at_risk(str(turn))

    def repeated(work):
        for turn in range(1_000):
            work(turn)

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(repeated, each) for each in (write, withdraw, crash, write, withdraw)]:
            done.result()
    for each in sessions:
        recent.drop(each)
    assert (recent.rows, recent.bytes) == (0, 0)


def test_the_reason_of_a_refused_event_takes_room_as_well(monkeypatch):
    monkeypatch.setattr(buffers, "MAX_BYTES", 2_000)
    kept = Buffer()
    refused = Rejected({"session_id": str(uuid7()), "item_id": "1"}, "name", "x" * 1_000)
    assert kept.add([refused, refused]) == 1
    kept.take(1)
    assert (kept.rows, kept.bytes) == (0, 0)
