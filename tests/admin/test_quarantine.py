"""Quarantined visits in the admin: counted by reason, and released by who may."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from django_sessrec.ids import uuid7
from django_sessrec.models import AuditEntry, Quarantine
from tests.support.admin import page

pytestmark = pytest.mark.django_db

LIST = "admin:sessrec_quarantine_changelist"


@pytest.fixture
def held():
    """Two floods and a crawl."""
    return [
        Quarantine.objects.create(session_id=uuid7(), reason=reason, clicks=99)
        for reason in ("flood", "flood", "crawl")
    ]


def release(client, rows, **answer):
    chosen = {"action": "release", "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(LIST), chosen | answer, follow=True)


def test_the_reasons_are_counted(admin_client, held):
    html = page(admin_client, reverse(LIST))
    assert "more clicks in a minute than a person makes (2)" in html
    assert "a crawl of the catalogue (1)" in html


def test_released_visits_count_again_and_the_audit_trail_says_so(admin_client, held):
    asked = release(admin_client, held[:2]).content.decode()
    assert "Release 2 sessions" in asked
    assert all(f'name="_selected_action" value="{row.pk}"' in asked for row in held[:2])
    assert Quarantine.objects.filter(released_at=None).count() == 3
    answer = release(admin_client, held[:2], confirmed="1", reason="a school class")
    assert "2 sessions count again." in answer.content.decode()
    assert list(Quarantine.objects.filter(released_at=None)) == held[2:]
    trail = page(admin_client, reverse("admin:sessrec_auditentry_changelist"))
    assert "sessions released from quarantine" in trail
    assert "a school class" in trail
    assert AuditEntry.objects.get().done_by == "admin"


def test_a_visit_found_after_the_question_is_not_released_with_all(admin_client, held):
    everything = {"select_across": "1"}
    about = release(admin_client, held[:1], **everything).context["question"].about
    Quarantine.objects.create(session_id=uuid7(), reason="flood", clicks=99)
    answer = {"confirmed": "1", "reason": "a school class", "about": about}
    again = release(admin_client, held[:1], **everything, **answer).content.decode()
    assert "has changed since you were asked" in again
    assert "Release 4 sessions" in again
    assert not Quarantine.objects.exclude(released_at=None).exists()


def test_who_may_only_look_releases_nothing(client, django_user_model, held):
    clerk = django_user_model.objects.create_user("clerk", password="x", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_quarantine"))
    client.force_login(clerk)
    answer = release(client, held, confirmed="1", reason="because")
    assert "count again" not in answer.content.decode()
    assert Quarantine.objects.filter(released_at=None).count() == 3
