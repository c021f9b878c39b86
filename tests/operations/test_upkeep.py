"""The upkeep: all of its verbs, whatever becomes of one."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from django_sessrec import tasks
from django_sessrec.capture import bot_rules, partitions
from django_sessrec.models import TrainingRun
from django_sessrec.operations.upkeep import UpkeepError, upkeep
from tests.support.roles import ACTS, CLERK, WRITES_ROWS, clerk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def sessrec(settings, tmp_path):
    settings.SESSREC = {**settings.SESSREC, "ARTIFACTS": tmp_path}


def test_a_verb_that_fails_stops_no_other_and_is_named(monkeypatch):
    TrainingRun.objects.create(model="net", state="running", trigger="schedule")

    def locked():
        raise OSError("the table is locked")

    monkeypatch.setattr(bot_rules, "quarantine", locked)
    with pytest.raises(UpkeepError, match="quarantined: the table is locked"):
        tasks.upkeep()
    assert TrainingRun.objects.get().state == "failed"
    with pytest.raises(CommandError, match=r"the table is locked\. sessrec_doctor says what is missing"):
        call_command("sessrec_prune")


def test_a_role_that_may_not_make_partitions_is_told_what_is_missing():
    """The rest of the upkeep is done; today's partitions are there, those of the days ahead are not."""
    partitions.ensure_ahead()
    (last,) = partitions.ensure_ahead() or [partitions_of_the_last_day()]
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE "{last}"')
    with clerk(WRITES_ROWS, ACTS):
        with pytest.raises(UpkeepError, match="partitions: permission denied for schema public"):
            upkeep()
        (finding,) = [each for each in rights_found() if each.code == "rights.no_partitions"]
        assert f"The role {CLERK} can't make or drop the partitions of sessrec_event." in finding.message
        assert "GRANT CREATE ON SCHEMA public" in finding.remedy
    partitions.ensure_ahead()


def partitions_of_the_last_day():
    with connection.cursor() as cursor:
        return max(name for name in partitions._existing(cursor) if "event" in name)


def rights_found():
    from django_sessrec.operations.storage import rights

    return list(rights())
