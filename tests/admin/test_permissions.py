"""Permissions of every address of the admin: each page to be seen, each act to be allowed."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.urls import reverse

from django_sessrec.admin.acts import Act
from django_sessrec.models import AuditEntry, FailedEvent, Promotion, Quarantine
from django_sessrec.serving.rule_sets import draft_of, publish
from tests.support.admin import a_run
from tests.support.experiments import an_experiment

pytestmark = pytest.mark.django_db
NAME = "product_page"
SESSION = "0190a0a0-0000-7000-8000-000000000001"

# What is posted to an act's address, and who may; None: the act asks nobody on a page.
ANALYST, MERCHANT, OPERATOR = (f"Recommendations: {name}" for name in ("analyst", "merchant", "operator"))
MAY = {
    Act.EXPORT: {ANALYST, MERCHANT},
    Act.TRAIN: {MERCHANT, OPERATOR},
    Act.PROMOTE: {MERCHANT, OPERATOR},
    Act.EXPERIMENT: {MERCHANT},
    Act.RULES: {MERCHANT},
    Act.INSPECT: {ANALYST, MERCHANT},
    Act.QUARANTINE: {MERCHANT, OPERATOR},
    Act.REPLAY: {OPERATOR},
}
ACTS = {
    "sessrec_train": Act.TRAIN,
    "sessrec_promote": Act.PROMOTE,
    "sessrec_roll_back": Act.PROMOTE,
    "sessrec_take_out": Act.QUARANTINE,
    "sessrec_report_export": Act.EXPORT,
    **{
        f"sessrec_experiment_{act}": Act.EXPERIMENT
        for act in ("new", "start", "ramp", "stop", "keep", "discard")
    },
    **{
        f"sessrec_placement_{act}": Act.RULES
        for act in (
            "settings", "add", "rule", "remove", "quick", "publish", "discard", "restore", "restore_none",
        )
    },
}  # fmt: skip


@pytest.fixture
def rows(sessrec, products):
    """A row for each address that names one."""
    sessrec["PLACEMENTS"] = {NAME: {}}
    run = a_run()
    Promotion.objects.create(model="neighbours", run=a_run(), promoted_by="schedule")
    Promotion.objects.create(model="neighbours", run=run, promoted_by="schedule")
    live = draft_of(NAME, "ada")
    publish(live, "ada", "a start")
    draft = draft_of(NAME, "ada")
    rule = draft.rules.create(kind="pin", parameters={"item": str(products[0].pk), "position": 1})
    failed = FailedEvent.objects.create(code="database", detail="x", payload={})
    Quarantine.objects.create(session_id=SESSION, reason="staff", clicks=1)
    return {
        "run": run.pk,
        "experiment": an_experiment().pk,
        "live": live.pk,
        "rule": rule.pk,
        "failed": failed.pk,
    }


def addresses(rows):
    """Name -> address, of all that our classes bring to the admin's site."""
    found = {}
    for model, own in admin.site._registry.items():
        if model._meta.app_label != "sessrec":
            continue
        for pattern in own.get_urls():
            if pattern.name:
                keys = {
                    "model": "neighbours",
                    "name": NAME,
                    "kind": "pin",
                    "object_id": "1",
                    "pk": rows["run"],
                }
                if pattern.name.startswith("sessrec_experiment"):
                    keys["pk"] = keys["object_id"] = rows["experiment"]
                if pattern.name in ("sessrec_placement_rule", "sessrec_placement_remove"):
                    keys["pk"] = rows["rule"]
                if pattern.name == "sessrec_placement_restore":
                    keys["pk"] = rows["live"]
                wanted = {key: keys[key] for key in pattern.pattern.converters}
                found[pattern.name] = reverse(f"admin:{pattern.name}", kwargs=wanted)
    return found


def test_nobody_without_a_permission_sees_or_does_anything(client, django_user_model, rows):
    client.force_login(django_user_model.objects.create_user("nobody", is_staff=True))
    every = addresses(rows)
    assert len(every) > 60
    for name, address in every.items():
        for method in (client.get, client.post):
            answer = method(address)
            leads_away = answer.status_code == 302 and answer.url == "/admin/"  # Django's, of an unknown row
            assert leads_away or answer.status_code in (403, 405), (name, method.__name__)
    assert not AuditEntry.objects.exists()


def test_every_act_has_its_permission_here(rows):
    """Pages of Django's own and pages to look at aside, an address that is new is an act: say whose."""
    looks = {"page", "preview", "suggest", "compare", "card", "products"}
    own = {
        name
        for name in addresses(rows)
        if name.rpartition("_")[2] not in {"changelist", "history", "delete", "change"}
    }
    own -= {name for name in own if name.endswith("_add") and name not in ACTS}
    assert own - {f"sessrec_{look}" for look in looks} - {f"sessrec_placement_{look}" for look in looks} == {
        *ACTS
    }
    assert {*ACTS.values()} | {Act.INSPECT, Act.REPLAY} == {*Act}


def signed_in(client, django_user_model, group):
    user = django_user_model.objects.create_user(group, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    client.force_login(user)


@pytest.mark.parametrize("group", [ANALYST, MERCHANT, OPERATOR])
def test_each_group_does_its_acts_and_no_other(client, django_user_model, rows, group):
    call_command("sessrec_groups")
    signed_in(client, django_user_model, group)
    posted = {"session": SESSION, "item": "1", "act": "hide"}
    every = addresses(rows)
    for name, act in ACTS.items():
        method = client.get if name == "sessrec_report_export" else client.post
        status = method(every[name], posted).status_code
        assert (status != 403) == (group in MAY[act]), (name, status)
    inspected = client.post(every["sessrec_inspector_changelist"], {"session": SESSION}).status_code
    assert inspected == (200 if group in MAY[Act.INSPECT] else 403)
    for model, action, act, pk in (
        ("failedevent", "try_again", Act.REPLAY, rows["failed"]),
        ("quarantine", "release", Act.QUARANTINE, SESSION),
    ):
        asked = client.post(every[f"sessrec_{model}_changelist"], {"action": action, "_selected_action": pk})
        sees = group == OPERATOR
        assert (asked.status_code == 200 and "Why?" in asked.content.decode()) == (sees and group in MAY[act])


@pytest.mark.parametrize("group", [ANALYST, MERCHANT, OPERATOR])
def test_no_page_offers_what_its_reader_may_not_do(client, django_user_model, rows, group):
    """Each form and button of a page leads to an address that the same person may use."""
    call_command("sessrec_groups")
    signed_in(client, django_user_model, group)
    every = addresses(rows)
    pages = [reverse("admin:app_list", args=["sessrec"]), f"{every['sessrec_inspector_changelist']}?item=1"]
    pages += [
        every[name]
        for name in every
        if name.endswith("_changelist")
        or name
        in ("sessrec_placement_page", "sessrec_placement_preview", "sessrec_compare", "sessrec_products")
    ]
    pages += [
        reverse("admin:sessrec_experiment_change", args=[rows["experiment"]]),
        reverse("admin:sessrec_trainingrun_change", args=[rows["run"]]),
    ]
    seen = 0
    for address in pages:
        answer = client.get(address)
        if answer.status_code == 403:
            continue
        html = answer.content.decode()
        for name, act in ACTS.items():
            if f'"{every[name]}"' in html or f'"{every[name]}?' in html:
                seen += 1
                assert group in MAY[act], (address, name)
    assert seen or group == ANALYST
