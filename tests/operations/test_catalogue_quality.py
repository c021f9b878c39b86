"""The catalogue's quality: each flaw is found, and what is in order is not."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from django_sessrec.catalogue import ModelCatalogue
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import each_day, last_days
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.operations import catalogue_quality
from django_sessrec.operations.catalogue_quality import quality
from tests.demo.models import Product
from tests.support.history import click, show

pytestmark = pytest.mark.django_db


class PlainCatalogue(ModelCatalogue):
    """Pictures for teas only; pots can't be described; cups called "gone" are not offered."""

    model = "demo.Product"
    title_field = "name"
    category_field = "category"

    def available(self, queryset):
        return queryset.exclude(name__startswith="gone")

    def describe(self, item, request=None):
        if item.name.startswith("pot"):
            raise ValueError("no")
        picture = f"/{item.pk}.webp" if item.name.startswith("tea") else None
        return {**super().describe(item, request), "image": picture, "price": item.pk}


@pytest.fixture(autouse=True)
def catalogue(settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": f"{__name__}.PlainCatalogue"}


def product(name, category="tea"):
    return str(Product.objects.create(name=name, category=category).pk)


def found():
    return {group.key: list(group.item_ids) for group in quality().groups}


def listed(*item_ids, times=1, clicked=()):
    at = datetime.now(UTC) - timedelta(minutes=30)
    for _number in range(times):
        session_id = uuid7(at)
        shown = show(session_id, at, list(item_ids))
        for item_id in clicked:
            click(session_id, at + timedelta(seconds=2), item_id, shown, position=1)
    call_command("sessrec_rollup")


def test_each_flaw_is_found_and_no_other():
    tea, cup, pot = product("tea"), product("cup"), product("pot")
    bare = product("tea without category", "")
    assert found() == {
        "undescribed": [pot],
        "picture": [cup],
        "category": [bare],
    }
    listed(tea)
    assert found()["never_shown"] == [bare, pot, cup]
    for group in quality().groups:
        assert group.title
        assert group.remedy


def test_what_is_shown_is_no_longer_never_shown():
    tea = product("tea")
    listed(tea)
    assert found() == {}


def test_what_is_not_offered_any_more_is_told():
    tea, gone = product("tea"), product("gone")
    listed(tea, gone)
    assert found() == {"unoffered": [gone]}


def test_shown_in_vain_needs_more_than_chance():
    liked, ignored = product("tea a"), product("tea b")
    listed(liked, ignored, times=2, clicked=[liked])
    assert "in_vain" not in found()
    listed(liked, ignored, times=8, clicked=[liked])
    for day in each_day(*last_days(2)):  # half an hour ago it may have been yesterday
        roll_up(day)
    assert found()["in_vain"] == [ignored]


def test_an_empty_catalogue_has_no_flaw():
    assert quality().groups == []
    assert quality().looked_at == 0


def test_a_product_that_a_list_held_is_not_called_never_shown_however_many_others_were(monkeypatch):
    monkeypatch.setattr(catalogue_quality, "MOST", 3)
    *others, newest = (product(f"tea {n}") for n in range(5))
    listed(*others, times=3)
    assert found()["never_shown"] == [newest]
    listed(newest)
    for day in each_day(*last_days(2)):
        roll_up(day)
    assert "never_shown" not in found()
