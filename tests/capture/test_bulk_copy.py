"""Copies of many rows, as an import makes them: each once, in bounded transactions, none that is erased."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, connections, transaction

from django_sessrec.capture import bulk_copy, partitions, store
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.rows import row_of
from django_sessrec.models import Event
from tests.support.capture import count_pages_in_every_line, event, event_of, in_the_ledger

pytestmark = pytest.mark.django_db(transaction=True)


def test_copy_stores_each_id_once_and_makes_the_days_it_needs():
    days = [datetime(2021, 3, day, 12, tzinfo=UTC) for day in (1, 2, 30)]
    rows = [row_of(event_of(at)) for at in days]
    assert copy_events(iter([*rows, rows[0]])) == 3
    assert copy_events(rows) == 0
    assert set(Event.objects.values_list("occurred_at", flat=True)) == set(days)
    assert partitions.drop_older_than(1_000)


def test_copy_commits_as_it_goes(monkeypatch):
    monkeypatch.setattr(bulk_copy, "COPY_ROWS", 10)

    def broken_file():
        yield from (row_of(event(str(n))) for n in range(25))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk"):
        copy_events(broken_file())
    assert Event.objects.count() == 20


def test_copies_fit_into_the_callers_transaction():
    with transaction.atomic():
        assert copy_events([row_of(event())]) + copy_events([row_of(event())]) == 2
        count_pages_in_every_line()
    assert Event.objects.count() == 2
    assert in_the_ledger() == {"stored": 2}


def test_copy_leaves_withdrawn_sessions_out():
    withdrawn, stays = event(), event()
    erase_sessions([withdrawn.session_id])
    assert copy_events([row_of(withdrawn), row_of(stays), row_of(stays)]) == 1
    assert in_the_ledger() == {"stored": 1, "duplicate": 1, "withdrawn": 1}


def test_a_copy_stores_nothing_of_a_session_that_is_erased_meanwhile():
    row, erased = event(), []

    def erase():
        erased.append(erase_sessions([row.session_id]))
        connections.close_all()

    def erase_first(execute, sql, params, many, context):
        if "INSERT INTO sessrec_event" in sql:
            erasing = threading.Thread(target=erase)
            erasing.start()
            erasing.join()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(erase_first):
        copy_events([row_of(row)])
    assert not erased[0].unfinished
    assert not Event.objects.exists()
    assert in_the_ledger() == {"withdrawn": 1}


def test_a_copy_counts_no_row_twice_where_a_withdrawal_comes_in_between():
    known, new = event(), event("2")
    new.session_id = known.session_id
    store.write([known])

    def withdraw():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO sessrec_withdrawal VALUES (%s, now())", [known.session_id])
        connections.close_all()

    def withdraw_afterwards(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if "INSERT INTO sessrec_event" in sql:
            withdrawing = threading.Thread(target=withdraw)
            withdrawing.start()
            withdrawing.join()
        return answer

    with connection.execute_wrapper(withdraw_afterwards):
        assert copy_events([row_of(known), row_of(new)]) == 1
    assert in_the_ledger() == {"stored": 2, "withdrawn": 1}
