"""Click files: as Postgres has its rows, whatever becomes of either."""

import logging
import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from django_sessrec import tasks
from django_sessrec.capture import partitions
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.ids import uuid7
from django_sessrec.models import Quarantine, TrainingRun, Withdrawal
from django_sessrec.operations.upkeep import upkeep
from django_sessrec.privacy.compliance_report import compliance_report
from django_sessrec.training import bulk_read, click_files
from django_sessrec.training.dataset import read, read_baskets
from django_sessrec.training.pipeline import train
from tests.support.disks import fill, small_disk
from tests.support.visits import store_visits, synthetic_visits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]
NOW = datetime.now(UTC)
START = NOW - timedelta(days=20)
LONG_AGO = NOW - timedelta(days=5)


@pytest.fixture(autouse=True)
def _click_files(sessrec):
    sessrec["CLICK_FILES"] = True


def clicked(log):
    """Sessions as item ids, in any order."""
    return sorted(log.index.item_ids(log[session]) for session in range(len(log)))


def files():
    return sorted(path.stem for path in click_files.folder().glob("[0-9]*.npz"))


def name_of(moment):
    return f"{moment:%Y%m%d}"


def proven_within_limit():
    """What the compliance report says of the files."""
    artifacts = compliance_report()["retention"]["artifacts"]
    return next(each["within_limit"] for each in artifacts if each["artifact"] == ".clicks")


@pytest.fixture
def asked(monkeypatch):
    """The days that are read from Postgres."""
    days, values = [], bulk_read.values

    def noted(query, parameters):
        days.append(parameters[1].date())
        return values(query, parameters)

    monkeypatch.setattr(bulk_read, "values", noted)
    return days


def settle():
    """Let the statistics of everything that was written arrive, as they do within seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")


def test_the_files_tell_what_postgres_tells(visits):
    log, counts = read(START, NOW)
    for _ in range(2):  # made, and read
        again, counts_again = read(START, NOW, from_files=True)
        assert counts_again == counts
        assert again.index == log.index
        for array in ("items", "offsets", "times"):
            assert (getattr(again, array) == getattr(log, array)).all()


def test_only_new_days_are_read_again(visits, asked):
    read(START, NOW, from_files=True)
    everything = list(asked)
    settle()
    read(START, NOW, from_files=True)  # the statistics of the first may have come late
    asked.clear()
    read(START, NOW, from_files=True)
    assert len(everything) > 8
    assert min(asked) >= NOW.date() - timedelta(days=1)


def test_late_rows_are_read_with_their_day(visits, asked):
    for _ in range(2):
        read(START, NOW, from_files=True)
        settle()
    asked.clear()
    store_visits([(uuid7(LONG_AGO), LONG_AGO, ["late", "item-1"])])
    settle()
    assert ["late", "item-1"] in clicked(read(START, NOW, from_files=True)[0])
    assert LONG_AGO.date() in asked


def test_an_erased_session_is_gone_from_the_files_before_the_next_training_run(visits):
    session = uuid7(LONG_AGO)
    store_visits([(session, LONG_AGO, ["secret", "item-1"])])
    assert ["secret", "item-1"] in clicked(read(START, NOW, from_files=True)[0])
    assert name_of(LONG_AGO) in files()
    with connection.cursor() as cursor:
        cursor.execute("SELECT uuid_hash_extended(%s, 0)", [session])
        (code,) = cursor.fetchone()
    erase_sessions([session])
    tasks.train_due()  # every five minutes; it trains here, too
    for path in click_files.folder().glob("*.npz"):
        with np.load(path) as arrays:
            assert code not in arrays["clicks"]["session"]
            assert b"secret" not in arrays["ids"].tobytes()
    assert ["secret", "item-1"] not in clicked(read(START, NOW, from_files=True)[0])


def test_an_erased_session_is_gone_by_the_upkeep_of_its_host(visits):
    session = uuid7(LONG_AGO)
    store_visits([(session, LONG_AGO, ["secret", "item-1"])])
    read(START, NOW, from_files=True)
    erase_sessions([session])
    assert LONG_AGO.date() in upkeep()["click_files"]
    assert name_of(LONG_AGO) not in files()


def test_a_withdrawal_teaches_nothing_even_where_its_rows_are_still_there(visits):
    session = uuid7(LONG_AGO)
    store_visits([(session, LONG_AGO, ["secret", "item-1"])])
    read(START, NOW, from_files=True)
    Withdrawal.objects.create(session_id=session)
    assert ["secret", "item-1"] not in clicked(read(START, NOW, from_files=True)[0])


def test_quarantine_and_release_count_at_once(visits):
    session = uuid7(LONG_AGO)
    store_visits([(session, LONG_AGO, ["item-1", "odd"])])
    assert read(START, NOW, from_files=True)[1].quarantined_clicks == 0
    held = Quarantine.objects.create(session_id=session, reason="staff", clicks=2)
    log, counts = read(START, NOW, from_files=True)
    assert ["item-1", "odd"] not in clicked(log)
    assert counts.quarantined_clicks == 2
    held.released_at = NOW
    held.save()
    assert ["item-1", "odd"] in clicked(read(START, NOW, from_files=True)[0])


def test_a_day_past_retention_goes_with_its_partition(visits):
    long_ago = NOW - timedelta(days=100)
    partitions.ensure(long_ago.date(), long_ago.date())
    store_visits([(uuid7(long_ago), long_ago, ["old", "item-1"])])
    read(long_ago - timedelta(days=1), NOW, from_files=True)
    assert name_of(long_ago) in files()
    assert not proven_within_limit()
    upkeep()
    assert name_of(long_ago) not in files()
    assert proven_within_limit()


@pytest.mark.parametrize("damage", ["truncated", "one byte", "no file of ours"])
def test_a_damaged_file_is_made_anew(visits, damage):
    expected = clicked(read(START, NOW, from_files=True)[0])
    path = click_files.folder() / f"{files()[2]}.npz"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "one byte":
        content[300] ^= 1
    else:
        content = b"no file of ours"
    path.write_bytes(content)
    assert clicked(read(START, NOW, from_files=True)[0]) == expected


def test_what_the_statistics_do_not_tell_is_found_day_by_day(visits, caplog):
    """A file that says it is up to date, and is not: as after a restore of an older database."""
    caplog.set_level(logging.CRITICAL)
    log = clicked(read(START, NOW, from_files=True)[0])
    for day in click_files.verify():
        found = click_files._opened(day)
        click_files._write(day, found._replace(clicks=found.clicks[1:]))
    for _ in range(len(files())):
        settle()
        read(START, NOW, from_files=True)
    assert clicked(read(START, NOW, from_files=True)[0]) == log


def test_the_command_compares_all_and_removes_what_is_wrong(visits, sessrec, capsys, caplog):
    caplog.set_level(logging.CRITICAL)
    for _ in range(2):
        read(START, NOW, from_files=True)
        settle()
    today = datetime.now(UTC)  # midnight may have passed since NOW
    days, younger = len(files()), [name_of(today), name_of(today - timedelta(days=1))]
    old = sum(file not in younger for file in files())
    call_command("sessrec_click_files")
    assert f"{old} of {old} days are as in the database" in capsys.readouterr().out
    opened = {day: click_files._opened(day) for day in sorted(click_files.verify())}
    day, found = next((day, each) for day, each in opened.items() if len(each.clicks))
    click_files._write(day, found._replace(clicks=found.clicks[1:]))
    with pytest.raises(CommandError, match=f"removed: {day}"):
        call_command("sessrec_click_files")
    assert len(files()) == days - 1
    sessrec["CLICK_FILES"] = False
    with pytest.raises(CommandError, match=r"SESSREC\['CLICK_FILES'\] is not set"):
        call_command("sessrec_click_files")
    call_command("sessrec_click_files", "--discard")
    assert files() == []


def test_rows_that_came_since_are_no_fault_of_the_files(visits, capsys):
    for _ in range(2):
        read(START, NOW, from_files=True)
        settle()
    found = files()
    store_visits([(uuid7(at), at, ["late", "item-1"]) for at in (NOW, LONG_AGO)])
    settle()
    call_command("sessrec_click_files")
    assert "days are as in the database" in capsys.readouterr().out
    assert files() == found


def test_the_files_are_readable_by_the_trainings_user_alone(visits):
    read(START, NOW, from_files=True)
    assert click_files.folder().stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in click_files.folder().glob("*.npz")} == {0o600}


def test_what_a_killed_training_left_half_written_is_removed_after_an_hour(visits):
    read(START, NOW, from_files=True)
    old, young = click_files.folder() / ".a.npz", click_files.folder() / ".b.npz"
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 4_000,) * 2)
    click_files.discard()
    assert list(click_files.folder().glob(".*.npz")) == [young]


def test_a_file_that_another_process_finishes_meanwhile_stops_no_sweep(visits):
    read(START, NOW, from_files=True)
    (click_files.folder() / ".finished.npz").symlink_to("nowhere")  # listed, and gone when it is looked at
    click_files.discard()


@pytest.mark.parametrize("room", [0, 4_096])
def test_a_full_disk_costs_the_files_and_not_the_training_run(visits, sessrec, tmp_path, caplog, room):
    with small_disk(tmp_path / "disk", 400) as disk:
        sessrec["ARTIFACTS"] = disk
        fill(disk, but=room)
        assert clicked(read(START, NOW, from_files=True)[0]) == clicked(read(START, NOW)[0])
        assert "could not be kept, and will be read again: [Errno 28]" in caplog.text
        assert [path.name for path in disk.rglob("*") if path.stem.startswith(".") and path.is_file()] == []


def test_no_clicks_of_a_killed_training_stay_once_the_setting_is_gone(visits, sessrec):
    read(START, NOW, from_files=True)
    (click_files.folder() / ".killed.npz").write_bytes(b"clicks")
    sessrec["CLICK_FILES"] = False
    assert len(click_files.tidy()) > 8
    assert list(click_files.folder().iterdir()) == []


def test_baskets_and_views_come_from_the_same_files(visits, asked):
    store_visits(list(synthetic_visits(sessions=40, days=3)), name="purchase")
    for reads in (read, read_baskets):
        log, counts = reads(START, NOW)
        again, counts_again = reads(START, NOW, from_files=True)
        assert (clicked(again), counts_again) == (clicked(log), counts)


def test_a_training_run_uses_them_where_the_setting_says_so(visits, sessrec):
    sessrec["CLICK_FILES"] = False
    train("neighbours", trigger="command")
    assert not click_files.folder().exists()
    sessrec["CLICK_FILES"] = True
    run = train("neighbours", trigger="command")
    assert run.state == TrainingRun.State.PUBLISHED, run.error
    assert run.counts["sessions"] == 600
    assert len(files()) > 8
    sessrec["CLICK_FILES"] = False
    upkeep()
    assert files() == []
