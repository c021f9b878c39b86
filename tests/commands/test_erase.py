"""Erasing visits by hand."""

import psycopg
import pytest
from django.core.management.base import CommandError
from django.db import connection

from django_sessrec.capture import cookie, store
from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.management.commands import sessrec_erase
from django_sessrec.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visits():
    """Three visits of two clicks."""
    ids = [uuid7() for _ in range(3)]
    store.write([make("view_item", item, session_id=visit) for visit in ids for item in "12"])
    return ids


def test_the_named_visits_go_and_the_counts_are_told(visits, run):
    output = run("sessrec_erase", str(visits[0]), cookie.text_of(visits[1])).splitlines()
    told = [line.partition(": ")[::2] for line in output]
    assert [visit for visit, _ in told] == [str(visit) for visit in visits[:2]]
    assert all("2 of sessrec_event, 0 of sessrec_impression" in counts for _, counts in told)
    assert set(Event.objects.values_list("session_id", flat=True)) == {visits[2]}
    assert store.write([make("view_item", "3", session_id=visits[0])]).withdrawn == 1


def test_what_the_database_does_not_let_go_is_named_and_erased_when_it_is_run_again(visits, run, monkeypatch):
    monkeypatch.setattr(sessrec_erase, "PATIENCE_SECONDS", 1.0)
    given = [str(visit) for visit in visits[:2]]
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute("LOCK TABLE sessrec_event IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CommandError, match=f"run it again with {' '.join(given)}"):
            run("sessrec_erase", *given)
        other.rollback()
    assert run("sessrec_erase", *given).count("2 of sessrec_event") == 2


def test_a_bad_id_is_named_before_anything_is_erased(visits, run):
    with pytest.raises(CommandError, match="'4711' is no session id: give a UUID"):
        run("sessrec_erase", str(visits[0]), "4711")
    assert Event.objects.count() == 6
