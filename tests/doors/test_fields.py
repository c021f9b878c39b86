"""Lists of texts in Postgres, without Django's own app for Postgres."""

import pytest
from django.apps import apps
from django.core import serializers
from django.utils import timezone

from django_sessrec.ids import uuid7
from django_sessrec.models import Impression

pytestmark = pytest.mark.django_db
TEXTS = ["7", 'a "quoted", {braced} one', "", "ü\\"]


def shown(*item_ids):
    return Impression.objects.create(
        impression_id=uuid7(), shown_at=timezone.now(), session_id=uuid7(), item_ids=list(item_ids)
    )


def test_djangos_app_for_postgres_is_not_needed():
    assert not apps.is_installed("django.contrib.postgres")
    assert Impression.check() == []


@pytest.mark.parametrize("texts", [TEXTS, []], ids=["some", "none"])
def test_a_list_comes_back_as_it_was_stored(texts):
    assert Impression.objects.get(pk=shown(*texts).pk).item_ids == texts


def test_rows_are_found_by_any_text_of_their_list():
    both, one, other = shown("1", "2"), shown("1"), shown("3")

    def found(*texts):
        return set(Impression.objects.filter(item_ids__overlap=list(texts)))

    assert found("1") == {both, one}
    assert found("2", "3") == {both, other}
    assert found("'; --") == found() == set()


def test_a_list_survives_a_dump():
    stored = shown(*TEXTS)
    dumped = serializers.serialize("json", [stored])
    assert next(serializers.deserialize("json", dumped)).object.item_ids == TEXTS
