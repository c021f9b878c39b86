"""Item churn: the catalogue is asked once a day for what lists held a week before."""

import pytest

from django_sessrec.figure_models import DailyCatalogue, DailyItem
from django_sessrec.measuring.days import ONE, today
from django_sessrec.operations.item_churn import count_churn
from django_sessrec.operations.upkeep import verbs
from tests.demo.models import Product

pytestmark = pytest.mark.django_db


def in_lists(ago, item_id, shown=5):
    DailyItem.objects.create(
        day=today() - ago * ONE, item_id=item_id, shown=shown, seen=0, clicked=0, bought=0, sold=1
    )


def counted():
    return list(DailyCatalogue.objects.values_list("day", "looked_at", "gone"))


def test_products_that_the_shop_does_not_offer_any_more_are_counted():
    here = str(Product.objects.create(name="here").pk)
    for ago in (7, 13):
        in_lists(ago, here)
        in_lists(ago, "gone")
    in_lists(8, "only sold", shown=0)
    in_lists(6, "younger than a week")
    in_lists(14, "older than two")
    assert verbs()["churn_counted"]()
    assert counted() == [(today(), 2, 1)]


def test_the_catalogue_is_asked_once_a_day():
    in_lists(7, "gone")
    assert count_churn()
    in_lists(8, "gone too")
    assert not count_churn()
    assert counted() == [(today(), 1, 1)]


def test_a_shop_without_lists_a_week_ago_is_not_asked():
    in_lists(1, "new")
    assert not count_churn()
    assert counted() == []
