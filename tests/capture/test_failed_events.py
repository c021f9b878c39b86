"""Failed events go into the store once it takes them, each once, and leave the list of the failed."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.urls import reverse

from django_sessrec import tasks
from django_sessrec.admin import events
from django_sessrec.capture import replay as capture_replay
from django_sessrec.capture import store
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.event import to_payload
from django_sessrec.capture.failed_events import store_failed
from django_sessrec.capture.replay import Replayed, replay, replayable
from django_sessrec.ids import uuid7
from django_sessrec.models import AuditEntry, FailedEvent
from tests.support.capture import captured, count_pages_in_every_line, event, in_the_ledger, shown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def short_ids():
    """A table that takes no item id of more than three letters, until it is repaired."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event ADD CONSTRAINT short CHECK (length(item_id) < 4)")
    repaired = []

    def repair():
        if not repaired:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE sessrec_event DROP CONSTRAINT short")
        repaired.append(True)

    yield repair
    repair()


def test_what_failed_is_stored_after_the_repair_and_counted_once(short_ids):
    store.write([event("good"[:3]), event("long-1"), event("long-2")])
    assert in_the_ledger() == {"stored": 1, "failed": 2}
    assert replay(replayable()) == Replayed(failed=2)
    assert FailedEvent.objects.count() == 2
    short_ids()
    assert replay(replayable()) == Replayed(stored=2)
    assert not FailedEvent.objects.exists()
    assert {item for _, item in captured()} == {"goo", "long-1", "long-2"}
    assert in_the_ledger() == {"stored": 3, "failed": 2, "replayed": 2}  # sent: 3 + 2 - 2
    assert replay(replayable()) == Replayed()


def test_the_same_id_with_another_content_stays_out(short_ids):
    first = event("abc")
    second = event("longer", event_id=first.event_id)
    store.write([second])
    store.write([first])
    short_ids()
    assert replay(replayable()) == Replayed(known=1)
    assert captured() == [("view_item", "abc")]
    assert in_the_ledger() == {"stored": 1, "failed": 1, "duplicate": 1, "replayed": 1}


def test_what_failed_of_a_visit_withdrawn_since_is_gone(short_ids):
    bad = event("longer")
    store.write([bad])
    erase_sessions([bad.session_id])
    short_ids()
    assert replay(replayable()) == Replayed()
    assert captured() == []


def test_rows_that_waited_for_tables_in_vain_are_replayed_too():
    impression = shown(uuid7(), "1")
    rows = [to_payload(event("1")), to_payload(impression)]
    store_failed(rows, "unwritable", "permission denied", failed=True)
    assert replay(replayable()) == Replayed(stored=2)


def test_wrong_input_stays_wrong():
    store_failed([{"name": "nonsense", "item_id": "1"}], "name", "no such event")
    assert replay(FailedEvent.objects.all()) == Replayed()
    assert in_the_ledger() == {"refused": 1}


def test_a_row_of_another_version_costs_no_other():
    good = to_payload(event("1"))
    store_failed([{"event_id": "5"}, good], "unwritable", failed=True)
    assert replay(replayable()) == Replayed(stored=1, failed=1)


def test_a_task_that_comes_twice_counts_once():
    rows = {"events": [to_payload(event("1"))]}
    for _ in range(2):
        tasks.write_later.apply(kwargs=rows, task_id="the same message").get()
    assert in_the_ledger() == {"stored": 1}


def test_the_command_tells_what_it_did(short_ids):
    store.write([event("longer")])
    short_ids()
    out = StringIO()
    call_command("sessrec_replay", stdout=out)
    assert out.getvalue() == "1 stored, 0 already stored or withdrawn, 0 failed again\n"


def failed_rows(number):
    store_failed([to_payload(event(str(each))) for each in range(number)], "unwritable", failed=True)


def test_a_retry_ends_in_time_and_the_next_one_goes_on():
    failed_rows(3)
    told = []
    assert replay(replayable(), seconds=0, note=told.append) == Replayed(stored=1)
    assert told == [1]
    assert FailedEvent.objects.count() == 2
    assert replay(replayable(), seconds=60, note=told.append) == Replayed(stored=2)


def retried(client, **posted):
    """What the list says after all that is in it was retried."""
    url = reverse("admin:sessrec_failedevent_changelist")
    some = FailedEvent.objects.values_list("pk", flat=True)[:1]
    all_of_them = {"action": "try_again", "select_across": "1", "_selected_action": list(some)}
    answer = {"confirmed": "1", "reason": "the disk is free again"}
    return client.post(url, all_of_them | answer | posted, follow=True).content.decode()


def test_no_page_waits_for_the_count_of_a_retry():
    failed_rows(2)
    with transaction.atomic():  # as under ATOMIC_REQUESTS
        assert replay(replayable()) == Replayed(stored=2)
        count_pages_in_every_line()
    assert in_the_ledger() == {"stored": 2, "failed": 2, "replayed": 2}


def test_staff_is_told_what_the_time_did_not_suffice_for(admin_client, monkeypatch):
    monkeypatch.setattr(events, "RETRY_SECONDS", 0.0)
    failed_rows(3)
    assert "1 event is stored. 2 are left: retry again." in retried(admin_client)
    assert AuditEntry.objects.get().detail == {"stored": 1}


def test_what_was_stored_before_the_page_ended_is_audited(admin_client, monkeypatch):
    monkeypatch.setattr(capture_replay, "BATCH", 2)
    failed_rows(3)
    last = FailedEvent.objects.latest("pk").payload["item_id"]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'gone' USING ERRCODE = '57P01'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER gone BEFORE INSERT ON sessrec_event FOR EACH ROW"
            f" WHEN (NEW.item_id = '{last}') EXECUTE FUNCTION gone()"
        )
    try:
        assert "The events database did not answer" in retried(admin_client)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION gone CASCADE")
    assert len(captured()) == 2
    assert AuditEntry.objects.get().detail == {"stored": 2}


def test_a_row_that_failed_after_the_question_is_asked_about(admin_client):
    failed_rows(1)
    url = reverse("admin:sessrec_failedevent_changelist")
    everything = {"action": "try_again", "select_across": "1", "_selected_action": "1"}
    about = admin_client.post(url, everything).context["question"].about
    failed_rows(1)
    assert "has changed since you were asked" in retried(admin_client, about=about)
    assert not captured()


def test_rows_that_another_retry_holds_are_not_called_invalid(admin_client):
    failed_rows(3)
    store_failed([{"name": "nonsense"}], "name")
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sessrec_failedevent WHERE payload->>'item_id' <> '0' FOR UPDATE")
    try:
        html = retried(admin_client)
    finally:
        other.close()
    assert "1 event is stored. 2 are left: retry again. 1 are invalid and cannot be stored." in html


def test_staff_tries_chosen_ones_again(short_ids, admin_client, client, django_user_model):
    store.write([event("longer")])
    store_failed([{"name": "nonsense"}], "name")
    short_ids()
    chosen = {
        "action": "try_again",
        "confirmed": "1",
        "reason": "the disk is free again",
        "_selected_action": list(FailedEvent.objects.values_list("pk", flat=True)),
    }
    url = reverse("admin:sessrec_failedevent_changelist")
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.post(url, chosen).status_code == 403
    html = admin_client.post(url, chosen, follow=True).content.decode()
    assert "1 event is stored. 1 are invalid and cannot be stored." in html
    assert FailedEvent.objects.get().code == "name"
