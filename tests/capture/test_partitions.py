"""Days ahead are there, old ones go, and nobody waits."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import Error, OperationalError, connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from django_sessrec.capture import partitions, store
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.session_events import session_events
from django_sessrec.capture.store import WriteResult
from tests.support.capture import event, reconnected
from tests.support.roles import ACTS, WRITES_ROWS, clerk

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, LAST = date(2020, 2, 28), date(2020, 3, 1)


@pytest.fixture(autouse=True)
def _leave_only_the_days_ahead():
    yield
    partitions.drop_older_than(2)


def existing():
    with connection.cursor() as cursor:
        return partitions._existing(cursor)


def test_migrate_has_made_a_week_ahead():
    migrated = MigrationRecorder.Migration.objects.filter(app="sessrec").earliest("applied").applied.date()
    assert partitions.ensure(migrated, migrated + timedelta(7)) == []
    partitions.ensure_ahead()  # of the next day, where midnight has passed since
    assert partitions.ensure_ahead() == []


def test_the_tables_can_be_taken_away_and_made_again():
    try:
        call_command("migrate", "sessrec", "zero", verbosity=0)
        assert "sessrec_event" not in connection.introspection.table_names()
    finally:
        call_command("migrate", "sessrec", verbosity=0)
    assert partitions.ensure_ahead() == []


def test_both_tables_get_every_day_once():
    days = (20200228, 20200229, 20200301)
    wanted = {f"sessrec_{table}_{day}" for table in ("event", "impression") for day in days}
    made = partitions.ensure(FIRST, LAST)
    assert (set(made), len(made)) == (wanted, 6)
    assert partitions.ensure(FIRST, LAST) == []


def test_a_transaction_makes_a_few_days_only(monkeypatch):
    """Years of days would take all of Postgres' locks."""
    monkeypatch.setattr(partitions, "DAYS_AT_ONCE", 2)
    assert len(partitions.ensure(FIRST, FIRST + timedelta(4))) == 10
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_inherits made JOIN pg_class child ON child.oid = inhrelid"
            " WHERE relkind = 'r' AND relname ~ '_2020' GROUP BY made.xmin::text"
        )
        assert sorted(cursor.fetchall()) == [(2,), (4,), (4,)]


def test_a_partition_has_its_parents_indexes_and_no_others():
    partitions.ensure(FIRST, FIRST)
    counts = []
    with connection.cursor() as cursor:
        for table in ("sessrec_event", "sessrec_event_20200228"):
            cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = %s", [table])
            counts.append(cursor.fetchone()[0])
    assert counts[0] == counts[1] == 3


def test_whole_days_that_are_too_old_are_dropped():
    today = datetime.now(UTC).date()
    partitions.ensure(today - timedelta(12), today - timedelta(9))
    dropped = partitions.drop_older_than(10)
    assert {partitions.day_of(name) for name in dropped} == {today - timedelta(12), today - timedelta(11)}
    assert {partitions.day_of(name) for name in existing()} >= {today - timedelta(10), today}


def test_a_transaction_of_the_shops_own_waits_for_locks_afterwards_as_before():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '7s'")
        partitions.ensure_days([FIRST])
        assert partitions.drop_older_than(2)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("7s",)


def test_a_partition_of_the_shops_own_is_left_alone():
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE archive PARTITION OF sessrec_event FOR VALUES FROM ('2010-01-01') TO ('2011-01-01')"
        )
        assert "archive" not in partitions.drop_older_than(10)
        cursor.execute("DROP TABLE archive")


def test_two_processes_at_once_make_each_partition_once():
    made = []

    def make():
        made.extend(partitions.ensure(FIRST, LAST))
        connections.close_all()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) == 6


@pytest.fixture(params=["sessrec_event", "sessrec_event_20200228"])
def reader(request):
    """A transaction that has read an old day, as a training run's or a backup's; commits it when called."""
    partitions.ensure(FIRST, FIRST)
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {request.param}")
    yield other.commit
    other.close()


def test_a_day_in_use_is_left_for_the_next_time(reader, monkeypatch):
    monkeypatch.setattr(partitions, "DROP_PAUSE_SECONDS", 0.01)
    with pytest.raises(OperationalError, match="lock timeout"):
        partitions.drop_older_than(30)
    reader()
    assert len(partitions.drop_older_than(30)) == 2


def test_a_day_is_dropped_once_nobody_reads_it_any_more(reader, monkeypatch):
    monkeypatch.setattr(partitions.time, "sleep", lambda _seconds: reader())
    assert len(partitions.drop_older_than(30)) == 2


def test_pages_wait_a_moment_behind_the_drop_of_a_day_in_use(reader, monkeypatch):
    monkeypatch.setattr(partitions, "DROP_PAUSE_SECONDS", 0.01)
    waits = []

    def note(execute, sql, params, many, context):
        if sql.startswith(("DROP", "LOCK")):
            execute("SHOW lock_timeout", None, False, context)
            waits.extend(context["cursor"].fetchone())
        return execute(sql, params, many, context)

    def drop():
        with connection.execute_wrapper(note), pytest.raises(OperationalError, match="lock timeout"):
            partitions.drop_older_than(30)
        connections.close_all()

    dropping = threading.Thread(target=drop)
    dropping.start()
    while dropping.is_alive():
        known = event()
        assert store.write([known]) == WriteResult(stored=1)
        assert len(session_events(known.session_id)) == 1
        assert not erase_sessions([known.session_id]).unfinished
    dropping.join()
    assert set(waits) == {"200ms"}, "a page's read waits a second, a click's erasure half of it"


def test_two_upkeeps_at_once_drop_each_day_once(monkeypatch):
    partitions.ensure(FIRST, LAST)
    listed, both, problems = partitions.older_than, threading.Barrier(2), []

    def older_than(days):
        found = listed(days)
        both.wait()
        return found

    def drop():
        try:
            partitions.drop_older_than(30)
        except Error as problem:
            problems.append(problem)
        connections.close_all()

    threads = [threading.Thread(target=drop) for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(partitions, "older_than", older_than)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
    assert listed(30) == []


def test_making_partitions_locks_no_reader_or_writer_out():
    other = connection.copy()
    try:
        with transaction.atomic():
            partitions.ensure(FIRST, FIRST)
            with other.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
                cursor.execute("DELETE FROM sessrec_event")
                cursor.execute("SELECT count(*) FROM sessrec_event")
                assert cursor.fetchone() == (0,)
    finally:
        other.close()


def test_partitions_are_made_where_the_server_binds_parameters():
    """It takes none in such a statement."""
    options = {**connection.settings_dict["OPTIONS"], "server_side_binding": True}
    with reconnected(OPTIONS=options):
        assert partitions.ensure(FIRST, FIRST) != []
        assert partitions.drop_older_than(2) != []


@pytest.fixture
def role():
    """One that may read and write rows, and owns nothing."""
    with clerk(WRITES_ROWS, ACTS) as execute:
        yield execute


def test_a_role_without_rights_is_told_which(role):
    with pytest.raises(partitions.MissingRightsError, match="CREATE on their schema"):
        partitions.ensure(FIRST, LAST)


def test_a_role_without_rights_is_told_which_when_days_are_too_old(role):
    role("RESET ROLE")
    partitions.ensure(FIRST, LAST)
    role(ACTS)
    with pytest.raises(partitions.MissingRightsError, match="must own sessrec_event"):
        partitions.drop_older_than(2)


def test_a_role_without_rights_writes_into_the_days_that_are_there(role):
    assert store.write([event()]) == WriteResult(stored=1)
