"""A page of the admin, or the doctor, that the events database does not answer says so in time."""

import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.management import call_command
from django.db import connection, transaction
from django.template import engines
from django.test import RequestFactory
from django.urls import resolve, reverse

from django_sessrec.admin import base
from django_sessrec.capture import fast_query
from django_sessrec.ids import uuid7
from django_sessrec.models import AuditEntry, Event, Quarantine
from django_sessrec.operations import examination
from django_sessrec.operations.findings import Code
from example_shop.stack.environment import django_database
from tests.support.admin import a_run
from tests.support.capture import reconnected
from tests.support.hanging import SLACK, frozen, locked, own_server
from tests.support.history import happen

pytestmark = pytest.mark.django_db(transaction=True)
PAGE_SECONDS = 0.5
PAGES = [
    *("event", "impression", "failedevent", "quarantine", "trainingrun", "promotion", "auditentry"),
    *("report", "heartbeat", "inspector", "experiment", "ruleset"),
]
TABLES = [
    *("event", "impression", "failedevent", "quarantine", "trainingrun", "promotion", "auditentry"),
    *("heartbeat", "ledger", "experiment", "ruleset", "dailylists", "dailyshop", "rolledupday"),
]


@pytest.fixture(scope="module")
def server():
    with own_server("admin") as postgres:
        yield postgres


@pytest.fixture(params=["CONN_MAX_AGE 60", "ATOMIC_REQUESTS", "pool"])
def hung(request, server):
    """The events database on a server of its own: who is signed in is asked elsewhere."""
    changes = django_database(server.url, pool=request.param == "pool")
    with reconnected(**changes | {"ATOMIC_REQUESTS": request.param == "ATOMIC_REQUESTS"}):
        call_command("migrate", verbosity=0)
        yield server
        connection.close()
        connection.close_pool()


def answered(address, method="get", **posted):
    """The page as staff gets it, whose session is kept in another database."""
    request = getattr(RequestFactory(), method)(address, posted)
    request.user = get_user_model()(username="staff", is_staff=True, is_superuser=True)
    request.session = {}
    request._messages = FallbackStorage(request)
    request._dont_enforce_csrf_checks = True
    view = resolve(address.partition("?")[0])
    atomic = transaction.atomic() if connection.settings_dict["ATOMIC_REQUESTS"] else nullcontext()
    with atomic:
        answer = view.func(request, *view.args, **view.kwargs)
    return answer.render() if hasattr(answer, "render") else answer


@contextmanager
def impatient():
    """Pages that are given up soon, so that nobody waits for the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "PAGE_SECONDS", PAGE_SECONDS)
        yield


def in_time(address, method="get", **posted):
    began = time.monotonic()
    with impatient():
        answer = answered(address, method, **posted)
    assert time.monotonic() - began < 2 * PAGE_SECONDS + fast_query.TIMEOUT_SECONDS + SLACK
    return answer.status_code, answer.content.decode()


def addresses():
    return [reverse(f"admin:sessrec_{page}_changelist") for page in PAGES]


def test_a_page_whose_tables_are_locked_is_given_up_and_says_so(hung):
    for address in addresses():
        with locked(hung, *TABLES):
            status, html = in_time(address)
        assert (status, "did not answer it within" in html) == (503, True), address
        connection.close()
        assert answered(address).status_code == 200, address


@pytest.mark.parametrize("hung", ["CONN_MAX_AGE 60", "pool"], indirect=True)
def test_a_page_whose_server_hangs_is_given_up_and_says_so(hung):
    for address in addresses():
        assert answered(address).status_code == 200, address
        with frozen(hung):
            status, html = in_time(address)
        assert (status, "The events database did not answer" in html) == (503, True), address
    assert not fast_query.database_breaker.resting  # the shop's pages find out for themselves


def test_a_page_of_one_row_is_bounded_too(hung):
    run = a_run()
    with locked(hung, "trainingrun"):
        status, _html = in_time(reverse("admin:sessrec_trainingrun_change", args=[run.pk]))
    assert status == 503


def test_an_act_that_is_given_up_says_that_it_may_be_done(hung):
    session_id = uuid7()
    happen(session_id, datetime.now(UTC), "view_item", "1")
    answer = {"session": str(session_id), "confirmed": "1", "reason": "a test"}
    with locked(hung, "quarantine"):
        status, html = in_time(reverse("admin:sessrec_take_out"), "post", **answer)
    assert (status, "look before you ask again" in html) == (503, True)
    connection.close()
    assert not Quarantine.objects.filter(pk=session_id).exists()
    assert answered(reverse("admin:sessrec_take_out"), "post", **answer).status_code == 302
    assert Quarantine.objects.filter(pk=session_id).exists()
    assert AuditEntry.objects.latest("pk").action == AuditEntry.Action.QUARANTINE


def test_today_and_the_sentence_on_the_shops_own_page_are_bounded(hung):
    happen(uuid7(), datetime.now(UTC), "view_item", "1")
    request = RequestFactory().get("/")
    request.user = get_user_model()(username="staff", is_staff=True, is_superuser=True)
    tags = "{% load sessrec_admin %}{% sessrec_status %}{% sessrec_today as today %}"
    with locked(hung, *TABLES), impatient():
        began = time.monotonic()
        html = engines["django"].from_string(tags + "{{ today.given_up.seconds }}").render({}, request)
        assert time.monotonic() - began < PAGE_SECONDS + 2.0 + SLACK
    assert html.strip() == "0"  # of round seconds


def test_the_doctor_bounds_each_part_and_goes_on(hung, monkeypatch):
    monkeypatch.setattr(examination, "PART_SECONDS", 3.0)
    ask = examination.services.Broker("redis://nowhere", named=False, ask=lambda: None)
    with locked(hung, "event"):
        found = {each.subject: each for each in examination.examine(ask)}
    assert found["events"].code == Code.EXAMINATION_UNANSWERED
    first = next(each for each in found.values() if each.code == Code.EXAMINATION_UNANSWERED)
    assert "pg_stat_activity" in first.remedy  # once for all of them
    assert found["rights"].code != Code.EXAMINATION_UNANSWERED


@pytest.mark.parametrize("hung", ["CONN_MAX_AGE 60", "pool"], indirect=True)
def test_the_doctor_of_a_server_that_hangs_ends(hung, monkeypatch):
    monkeypatch.setattr(examination, "PART_SECONDS", 0.5)
    monkeypatch.setattr(examination, "ALL_SECONDS", 4.0)
    ask = examination.services.Broker("redis://nowhere", named=False, ask=lambda: None)
    Event.objects.exists()  # on a connection that is open
    with frozen(hung):
        began = time.monotonic()
        found = {each.subject: each for each in examination.examine(ask)}
        assert time.monotonic() - began < 4.0 + 2 * fast_query.TIMEOUT_SECONDS + SLACK
    assert found["clock"].code == Code.EXAMINATION_UNANSWERED
    assert found["settings"].code != Code.EXAMINATION_UNANSWERED
