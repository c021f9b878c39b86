"""Readiness: each step is done once it was seen, and says what it unlocks."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from django_sessrec.ids import uuid7
from django_sessrec.measuring import rollups
from django_sessrec.measuring.days import day_of
from django_sessrec.models import Heartbeat, Promotion
from django_sessrec.operations.heartbeat import programs
from django_sessrec.operations.readiness import steps
from tests.demo.models import Product
from tests.support.admin import a_run
from tests.support.history import buy, happen, order_line, show

pytestmark = pytest.mark.django_db


def done():
    return {step.key for step in steps() if step.done}


def test_a_new_shop_has_connected_consent_and_nothing_else():
    assert done() == {"consent"}
    for step in steps():
        assert step.title
        assert step.unlocks
        assert step.line


def test_the_lines_for_background_processes_start_each_of_them(settings):
    settings.SESSREC = {**settings.SESSREC, "TRAIN_QUEUE": "slow"}
    [line] = [step.line for step in steps() if step.key == "processes"]
    assert line.splitlines() == [program.command for program in programs()]
    assert "--queues slow " in line


def test_each_step_is_done_once_it_was_seen(settings):
    at = datetime.now(UTC) - timedelta(minutes=30)
    session_id = uuid7(at)
    Product.objects.create(name="tea")
    happen(session_id, at, "view_item", "1")
    call_command("sessrec_rollup")
    assert done() == {"consent", "catalogue", "views"}
    shown = show(session_id, at + timedelta(seconds=1), ["1"])
    happen(session_id, at + timedelta(seconds=2), "view_item_list", "", shown)
    happen(session_id, at + timedelta(seconds=3), "add_to_cart", "1")
    buy(session_id, at + timedelta(seconds=4), "1", "9.90")
    Promotion.objects.create(model="neighbours", run=a_run(), promoted_by="schedule")
    rollups.roll_up(day_of(at))
    assert done() == {"consent", "catalogue", "views", "lists", "seen", "baskets", "orders", "model"}
    for program in programs():
        Heartbeat.objects.create(name=program.name)
    settings.SESSREC = {**settings.SESSREC, "CONSENT": None}
    assert "processes" in done()
    assert "consent" not in done()


def test_refunds_are_recorded_though_the_last_one_is_old():
    assert "refunds" not in done()
    at = datetime.now(UTC) - timedelta(days=60)
    order_line(uuid7(at), "refund", "1001", at, price="1")
    rollups.roll_up(day_of(at))
    assert "refunds" in done()


def test_a_catalogue_that_raises_is_not_ready(settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": "nowhere.Catalogue"}
    assert "catalogue" not in done()
