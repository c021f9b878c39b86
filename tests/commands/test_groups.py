"""Groups: who sees and does what on the admin's pages."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from django_sessrec.admin.acts import Act

pytestmark = pytest.mark.django_db

ANALYST, MERCHANT, OPERATOR = (f"Recommendations: {name}" for name in ("analyst", "merchant", "operator"))


@pytest.fixture
def signed_in(client, django_user_model):
    """A staff member of one group."""

    def member(name):
        call_command("sessrec_groups")
        user = django_user_model.objects.create_user(name, password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=name))
        client.force_login(user)
        return user

    return member


def acts(user):
    return {act for act in Act if user.has_perm(act)}


@pytest.mark.parametrize(
    ("name", "may"),
    [
        (ANALYST, {Act.EXPORT, Act.INSPECT}),
        (
            MERCHANT,
            {Act.EXPORT, Act.INSPECT, Act.RULES, Act.EXPERIMENT, Act.PROMOTE, Act.TRAIN, Act.QUARANTINE},
        ),
        (OPERATOR, {Act.PROMOTE, Act.TRAIN, Act.QUARANTINE, Act.REPLAY}),
    ],
)
def test_each_group_may_do_its_acts_and_no_other(signed_in, name, may):
    assert acts(signed_in(name)) == may


def test_an_analyst_sees_figures_and_no_rows_of_sessions(client, signed_in):
    signed_in(ANALYST)
    for name, status in (("report", 200), ("trainingrun", 200), ("event", 403), ("auditentry", 403)):
        assert client.get(reverse(f"admin:sessrec_{name}_changelist")).status_code == status, name


def test_a_second_call_changes_nothing_and_keeps_what_the_shop_gave(capsys):
    call_command("sessrec_groups")
    own = Permission.objects.get(codename="view_event")
    group = Group.objects.get(name=ANALYST)
    group.permissions.add(own)
    call_command("sessrec_groups")
    assert "Recommendations: analyst: up to date" in capsys.readouterr().out
    assert own in group.permissions.all()
    assert Group.objects.count() == 3


def test_missing_permissions_name_the_remedy():
    Permission.objects.filter(codename="train_models").delete()
    with pytest.raises(CommandError, match=r"run migrate first: train_models"):
        call_command("sessrec_groups")
