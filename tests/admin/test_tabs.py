"""The tab strip: on each page, what exists and what this person may see."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from django_sessrec.admin.tabs import TABS, Tab
from tests.support.admin import LISTS, a_run, page

pytestmark = pytest.mark.django_db


def strip(html):
    found = re.search(r'<nav class="sessrec-tabs".*?</nav>', html, re.DOTALL)
    return found[0] if found else ""


def tabs(html):
    return re.findall(r"<a [^>]*>([^<]+)</a>", strip(html))


def chosen(html):
    return re.findall(r'aria-current="page">([^<]+)<', strip(html))


@pytest.mark.parametrize("model", ["report", *LISTS])
def test_every_page_has_the_strip_once_and_one_tab_is_chosen(admin_client, rows, model):
    html = page(admin_client, reverse(f"admin:sessrec_{model}_changelist"))
    assert html.count('class="sessrec-tabs"') == 1
    assert len(chosen(html)) == 1


def test_pages_below_a_tab_choose_it(admin_client):
    run = a_run()
    assert chosen(page(admin_client, reverse("admin:sessrec_trainingrun_change", args=[run.pk]))) == [
        "Models"
    ]
    asked = admin_client.post(reverse("admin:sessrec_promote", args=[run.pk])).content.decode()
    assert chosen(asked) == ["Models"]


def test_the_chosen_raw_list_marks_its_fold(admin_client):
    html = strip(page(admin_client, reverse("admin:sessrec_auditentry_changelist")))
    assert "<details data-chosen>" in html
    assert "<details>" in strip(page(admin_client, reverse("admin:sessrec_report_changelist")))


def test_who_may_see_one_page_has_one_tab(client, django_user_model):
    user = django_user_model.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_trainingrun"))
    client.force_login(user)
    assert tabs(page(client, reverse("admin:sessrec_trainingrun_changelist"))) == ["Models"]


def test_a_page_that_the_shop_took_out_has_no_tab(admin_client, monkeypatch):
    gone = Tab("Gone", "sessrec_gone_changelist", "sessrec.view_report")
    monkeypatch.setattr("django_sessrec.admin.tabs.TABS", (gone, *TABS))
    found = tabs(page(admin_client, reverse("admin:sessrec_report_changelist")))
    assert "Gone" not in found
    assert "Today" in found
