"""A session's rows are found by its id or cookie, and neither stands in an address."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from django_sessrec.capture import cookie
from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.ids import uuid7
from django_sessrec.models import AuditEntry, Event, Impression, Quarantine
from tests.support.admin import LISTS, page
from tests.support.history import happen

pytestmark = pytest.mark.django_db
FOUND = {"event": 3, "impression": 1}


def search(client, model, text, query=""):
    """Search the list as its form does; returns the address that the browser is sent to."""
    answer = client.post(reverse(f"admin:sessrec_{model}_changelist") + query, {"q": text})
    assert answer.status_code == 302
    return answer["Location"]


@pytest.fixture
def session(rows):
    """A session among others."""
    happen(uuid7(), datetime.now(UTC), "view_item", "7")
    return rows["event"].session_id


@pytest.mark.parametrize("model", FOUND)
@pytest.mark.parametrize("text_of", [str, cookie.text_of], ids=["id", "cookie"])
def test_a_session_is_found_by_its_id_and_by_its_cookie(admin_client, session, model, text_of):
    address = search(admin_client, model, f" {text_of(session)} ")
    assert str(session) not in address
    answer = admin_client.get(address)
    assert len(answer.context["cl"].result_list) == FOUND[model]
    assert str(session)[-6:] in answer.content.decode()


@pytest.mark.parametrize("model", FOUND)
def test_an_address_that_names_a_session_is_left_at_once(admin_client, session, model):
    answer = admin_client.get(reverse(f"admin:sessrec_{model}_changelist"), {"q": str(session)})
    assert answer.status_code == 302
    assert str(session) not in answer["Location"]


@pytest.mark.parametrize("model", LISTS)
def test_no_list_links_by_a_sessions_id(admin_client, session, model):
    Quarantine.objects.create(session_id=session, reason="flood", clicks=99)
    html = page(admin_client, reverse(f"admin:sessrec_{model}_changelist"))
    addresses = re.findall(r'(?:href|action|src)="([^"]*)"', html)
    assert not [each for each in addresses if str(session) in each]


@pytest.mark.parametrize("model", FOUND)
def test_a_line_leads_to_all_that_its_list_has_of_the_session(admin_client, session, model):
    address = reverse(f"admin:sessrec_{model}_changelist")
    html = page(admin_client, address)
    [link, *_others] = re.findall(rf'href="(\?session_of=[^"]+)">{str(session)[-6:]}<', html)
    assert len(admin_client.get(address + link).context["cl"].result_list) == FOUND[model]


def test_a_quarantined_session_leads_to_its_events_by_post(admin_client, session):
    Quarantine.objects.create(session_id=session, reason="flood", clicks=99)
    html = page(admin_client, reverse("admin:sessrec_quarantine_changelist"))
    assert f'form="sessrec-session" name="q" value="{session}"' in html
    assert f'id="sessrec-session" method="post" action="{reverse("admin:sessrec_event_changelist")}"' in html


def test_what_was_done_is_found_by_person_reason_and_session(admin_client, session):
    note = AuditEntry.objects.note
    looked = note(AuditEntry.Action.INSPECT, "ada", session=str(session)[-6:])
    hidden = note(AuditEntry.Action.RULES, "grace", reason="sold out", placement="home")
    for text, found in {cookie.text_of(session): looked, "ADA": looked, "sold": hidden}.items():
        address = search(admin_client, "auditentry", text)
        assert str(session) not in address
        assert [row.pk for row in admin_client.get(address).context["cl"].result_list] == [found.pk]


@pytest.mark.parametrize("model", LISTS)
def test_every_search_says_what_it_takes(admin_client, model):
    html = page(admin_client, reverse(f"admin:sessrec_{model}_changelist"))
    assert '<label for="searchbar">None' not in html


def test_a_quarantined_session_is_found_by_its_end(admin_client, session):
    Quarantine.objects.create(session_id=session, reason="flood", clicks=99)
    Quarantine.objects.create(session_id=uuid7(), reason="flood", clicks=99)
    address = search(admin_client, "quarantine", cookie.text_of(session))
    assert str(session) not in address
    assert [row.pk for row in admin_client.get(address).context["cl"].result_list] == [session]


def test_filters_are_kept_and_the_search_begins_anew(admin_client, session):
    address = search(admin_client, "event", str(session), "?name=purchase&q=7&p=2")
    assert len(admin_client.get(address).context["cl"].result_list) == 1
    again = search(admin_client, "event", "7", "?" + address.partition("?")[2])
    assert "session_of" not in again
    assert "q=7" in again


def test_an_unknown_session_is_told(admin_client, rows):
    address = search(admin_client, "event", str(uuid7()))
    assert "Nothing is stored here of this session." in admin_client.get(address).content.decode()


def test_an_address_leads_nowhere_once_the_session_is_erased(admin_client, session):
    address = search(admin_client, "event", str(session))
    erase_sessions([session], wait_seconds=0)
    answer = admin_client.get(address)
    assert len(answer.context["cl"].result_list) == 0
    assert "no longer stored" in answer.content.decode()


@pytest.mark.parametrize("row", ["", "1", "x" * 5000, "%00", "../.."])
def test_an_address_made_up_finds_nothing(admin_client, session, row):
    answer = admin_client.get(reverse("admin:sessrec_event_changelist") + f"?session_of={row}", follow=True)
    assert answer.status_code == 200


@pytest.fixture
def clerk(client, django_user_model):
    """Somebody who may see the raw lists and inspect no session."""
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    models = ("event", "impression", "quarantine")
    clerk.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{model}" for model in models]))
    client.force_login(clerk)
    return clerk


@pytest.mark.parametrize("model", FOUND)
def test_a_whole_session_takes_the_permission_to_inspect_it(client, clerk, session, model):
    Quarantine.objects.create(session_id=session, reason="flood", clicks=99)
    address = reverse(f"admin:sessrec_{model}_changelist")
    html = page(client, address)
    assert str(session)[-6:] in html
    assert "session_of" not in html
    quarantined = page(client, reverse("admin:sessrec_quarantine_changelist"))
    assert str(session)[-6:] in quarantined
    assert f'value="{session}"' not in quarantined.partition('name="_selected_action"')[0]
    row = {"event": Event, "impression": Impression}[model].objects.filter(session_id=session).first()
    assert client.post(address, {"q": str(session)}).status_code == 403
    assert client.get(f"{address}?session_of={row.pk}").status_code == 403
    assert not AuditEntry.objects.exists()
    clerk.user_permissions.add(Permission.objects.get(codename="inspect_sessions"))
    assert "session_of" in page(client, address)
    assert client.get(search(client, model, str(session))).status_code == 200
    noted = AuditEntry.objects.values_list("action", "done_by", "detail")
    assert list(noted) == [("inspect", "clerk", {"session": str(session)[-6:]})]


@pytest.mark.parametrize("lookup", ["session_id", "session_id__exact", "session_id__gte"])
def test_no_filter_of_the_address_names_a_session(admin_client, session, lookup):
    for model in FOUND:
        answer = admin_client.get(reverse(f"admin:sessrec_{model}_changelist"), {lookup: str(session)})
        assert answer.status_code == 400


def test_who_may_not_see_events_learns_nothing_of_a_session(client, session, django_user_model):
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    answer = client.post(reverse("admin:sessrec_event_changelist"), {"q": str(session)})
    assert answer.status_code == 403
    assert Event.objects.filter(session_id=session).exists()
