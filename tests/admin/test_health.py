"""Health and alerts: every alarm with its threshold, and who is told."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from django_sessrec.admin.alarm_rows import WORDS
from django_sessrec.admin.words import subject_name
from django_sessrec.conf import entries
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.operations.alarms import TITLES
from django_sessrec.operations.findings import Code
from tests.support.admin import a_run, page
from tests.support.capture import renamed

pytestmark = pytest.mark.django_db
PAGE = "admin:sessrec_heartbeat_changelist"


def test_every_alarm_has_its_words_and_its_threshold():
    assert {*TITLES.values()} <= {*WORDS}
    assert {WORDS[name].threshold for name in TITLES.values()} <= {*entries.ALARMS}


def test_what_was_examined_is_named_in_the_readers_language(admin_client, settings):
    settings.LANGUAGE_CODE = "fr"
    html = page(admin_client, reverse(PAGE))
    assert "<strong>processus</strong>" in html
    with translation.override("fr"):
        subjects = {code.partition(".")[0] for code in Code} - {"examination"}
        assert [each for each in subjects if subject_name(each) == each] == []


def test_an_alarm_is_off_silent_or_rings(admin_client, sessrec):
    sessrec["ALARMS"] = {"TRAFFIC_FALL": None, "MODEL_INTERVALS": 2}
    sessrec["MODELS"] = {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours", "EVERY_HOURS": 1}}
    Promotion.objects.create(model="neighbours", run=a_run(), promoted_by="schedule")
    TrainingRun.objects.update(created_at=timezone.now() - timedelta(days=9))
    answer = admin_client.get(reverse(PAGE))
    states = {str(title): (words, state) for title, words, state in answer.context["alarms"]}
    assert states["Traffic"] == ("its threshold TRAFFIC_FALL is not set", "off")
    assert states["Age of a model"] == (
        "a model in service is older than 2 times the hours between its training runs",
        "rings",
    )
    assert states["Bots"][1] == "silent"


@pytest.mark.django_db(transaction=True)
def test_an_alarm_that_could_not_be_examined_is_not_called_silent(admin_client, sessrec):
    sessrec["ALARMS"] = {"TRAFFIC_FALL": None}
    with renamed("TABLE", "sessrec_dailyshop"):
        answer = admin_client.get(reverse(PAGE))
    states = {str(title): state for title, _words, state in answer.context["alarms"]}
    assert states.pop("Traffic") == "off"
    assert {*states.values()} == {"unknown"}
    assert answer.content.decode().count(">not examined<") == len(states)


@pytest.mark.parametrize(
    ("managers", "mail", "told"),
    [
        ([], True, "No mail is sent: MANAGERS"),
        (["ada@example.com"], False, "have turned it off"),
        (["ada@example.com"], True, "1 address is told by mail once a day"),
    ],
)
def test_who_is_told(admin_client, sessrec, settings, managers, mail, told):
    settings.MANAGERS = managers
    sessrec["ALARMS"] = {"MAIL": mail}
    assert told in page(admin_client, reverse(PAGE))
