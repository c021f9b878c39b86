"""Which visits are no person's: each kind of program is found by its own rule, and people are left alone."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.db import connection, connections

from django_sessrec.capture import bot_rules
from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.rows import EventRow
from django_sessrec.ids import uuid7
from django_sessrec.models import AuditEntry, Event, Quarantine
from django_sessrec.operations.quarantine import release
from tests.support.history import happen, show
from tests.support.real_clicks import real_clicks

pytestmark = pytest.mark.django_db
UNEVEN = (4, 31, 9, 70, 2, 18)


def hour_ago():
    return datetime.now(UTC) - timedelta(hours=1)


def visit(items, pauses=UNEVEN, *, at=None, source="server"):
    """Store a visit's clicks, so many seconds apart; returns its session."""
    at = at or hour_ago()
    session_id = uuid7(at)
    clicks = zip(items, accumulate(cycle(pauses), initial=0), strict=False)
    times = [(item, at + timedelta(seconds=seconds)) for item, seconds in clicks]
    copy_events(
        EventRow(uuid7(time), time, session_id, "view_item", str(item), source=source) for item, time in times
    )
    return session_id


def found():
    return dict(Quarantine.objects.values_list("session_id", "reason"))


@pytest.mark.parametrize(
    ("reason", "items", "pauses", "bound"),
    [
        ("flood", range(8), (0.1, 3), 31),
        ("even_pace", range(8), (5, 6, 7, 4.5), 20),
        ("crawl", range(1_000), UNEVEN, 100),
        ("repeat", [7, 7, 8], UNEVEN, 31),
        ("endless", range(9), (60, 1_500, 1_700), 42),
    ],
)
def test_each_kind_of_program_is_found_by_its_rule_from_its_bound_on(reason, items, pauses, bound):
    at = datetime.now(UTC) - timedelta(hours=30)
    clicks = [item for item, _ in zip(cycle(items), range(bound), strict=False)]
    just_below = visit(clicks[:-1], pauses, at=at)
    program = visit(clicks, pauses, at=at)
    assert bot_rules.quarantine() == {reason: 1}
    assert found() == {program: reason}
    assert just_below not in found()
    assert bot_rules.quarantine() == {}, "found once"


def browse(*, script):
    """Sixteen product pages within a minute, each with a list; told of by the browser's script or not."""
    session_id = visit(range(16), (2, 5, 3))
    at = hour_ago()
    impression_id = show(session_id, at, ["1", "2"])
    if script:
        happen(session_id, at, "view_item_list", "", impression_id, source="browser")
    return session_id


def test_a_burst_without_the_script_is_a_program_s_where_browsers_tell_of_theirs():
    browse(script=True)
    program = browse(script=False)
    assert bot_rules.quarantine() == {"no_script": 1}
    assert set(found()) == {program}


def test_a_shop_without_the_script_on_its_pages_misses_it_from_nobody():
    browse(script=False)
    assert bot_rules.quarantine() == {}


@pytest.mark.parametrize("seed", range(3))
def test_people_are_left_alone(seed):
    draw = np.random.default_rng(seed)
    for _ in range(50):
        length = int(draw.integers(1, 40))
        pauses = np.clip(draw.lognormal(3.3, 1, length), 1, 1_500).tolist()
        visit(draw.integers(0, 25, length).tolist(), pauses)
    assert bot_rules.quarantine().total() == 0


@pytest.mark.parametrize("source", ["import", "till"])
def test_only_what_comes_from_pages_is_judged(source):
    visit(range(50), (1,), source=source)
    assert bot_rules.quarantine() == {}


def test_a_rule_is_turned_off_or_moved(settings):
    visit(range(40), (1, 2))
    settings.SESSREC = settings.SESSREC | {
        "QUARANTINE": {"MAX_CLICKS_PER_MINUTE": None, "MIN_EVENLY_SPACED_CLICKS": 50}
    }
    assert bot_rules.quarantine() == {}
    settings.SESSREC = settings.SESSREC | {"QUARANTINE": {"MAX_CLICKS_PER_MINUTE": 20}}
    assert bot_rules.quarantine() == {"flood": 1}
    settings.SESSREC = settings.SESSREC | {"QUARANTINE": dict.fromkeys(bot_rules.sessrec_settings.quarantine)}
    visit(range(40), (1, 2))
    assert bot_rules.quarantine() == {}


def test_who_was_released_stays_free_and_the_trail_says_by_whom():
    program = visit(range(40), (1, 2))
    bot_rules.quarantine()
    assert release([program, uuid7()], "ada") == 1
    assert release([program], "bob") == 0
    assert bot_rules.quarantine() == {}
    row = Quarantine.objects.get()
    assert (row.released_by, row.released_at is not None) == ("ada", True)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.done_by, entry.detail) == ("release", "ada", {"visits": 1})


def test_an_erased_visit_leaves_the_quarantine_too():
    program = visit(range(40), (1, 2))
    bot_rules.quarantine()
    erase_sessions([program])
    assert not Quarantine.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_visit_that_is_erased_while_it_is_judged_is_not_held():
    program, other = (visit(range(40), (1, 2)) for _ in range(2))

    def erase():
        erase_sessions([program])
        connections.close_all()

    def erase_first(execute, sql, params, many, context):
        if sql == bot_rules.HOLD:
            erasing = threading.Thread(target=erase)
            erasing.start()
            erasing.join()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(erase_first):
        bot_rules.quarantine()
    assert set(found()) == {other}


def test_of_a_real_shop_s_visits_hardly_one_is_taken_for_a_program_s():
    """A bookseller's June: 23,753 visits with their own times, of which 1 in 2,000 would be too many."""
    clicks = pq.read_table(real_clicks("serenade_toy") / "train.parquet").to_pydict()
    start = datetime.now(UTC) - timedelta(days=31)
    shift = start.timestamp() - min(clicks["timestamp"])
    sessions = {session: uuid7(start) for session in set(clicks["session_id"])}
    rows = []
    for session, item, second in zip(
        clicks["session_id"], clicks["item_id"], clicks["timestamp"], strict=True
    ):
        at = datetime.fromtimestamp(second + shift, UTC)
        rows.append(EventRow(uuid7(at), at, sessions[session], "view_item", str(item), source="server"))
    copy_events(rows)
    taken = bot_rules.quarantine(start)
    assert taken.total() <= len(sessions) / 2_000, taken
