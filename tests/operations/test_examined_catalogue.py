"""What the examination finds in the shop's catalogue, in captured ids and in the ids of placements."""

import pytest
from django.db import connection

from django_sessrec import catalogue, tasks
from django_sessrec.capture import store
from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.operations import examination, shop
from django_sessrec.operations.findings import Code, Level
from tests.demo.models import Product

pytestmark = pytest.mark.django_db(transaction=True)


def codes(findings):
    return {finding.code: finding for finding in findings}


def captured(*item_ids, name="view_item"):
    store.write([make(name, item_id, session_id=uuid7()) for item_id in item_ids])


def test_ids_that_the_catalogue_does_not_know_are_counted():
    captured(*(f"slug-{number}" for number in range(30)))
    (finding,) = shop.catalogue()
    assert finding.code == Code.CATALOGUE_UNKNOWN_IDS
    assert finding.level == Level.FAIL
    assert finding.message.startswith("0 of 20 ids of view_item exist in your catalogue")
    assert "slug-29" in finding.message


@pytest.mark.parametrize(("count", "level"), [(2, None), (3, Level.FAIL)])
def test_ids_of_one_kind_of_event_are_judged_by_themselves(count, level):
    """Views by primary key and baskets by SKU teach nothing together."""
    captured(*(str(Product.objects.create(name=f"p{number}").pk) for number in range(30)))
    captured(*(f"sku-{number}" for number in range(count)), name="add_to_cart")
    found = codes(shop.catalogue())
    assert found[Code.CATALOGUE_KNOWS].message == "20 products were found and described."
    wrong = found.get(Code.CATALOGUE_UNKNOWN_IDS)
    assert (wrong and wrong.level) == level
    assert wrong is None or wrong.message == (
        "0 of 3 ids of add_to_cart exist in your catalogue (captured: sku-2, sku-1, sku-0)."
    )


def test_ids_that_a_placement_names_and_the_catalogue_does_not_know_are_told(settings):
    known = Product.objects.create(name="a", stock=0).pk
    variants = {"a": {"SHARE": 1}, "b": {"SHARE": 1, "EXCLUDED": ["gone"]}}
    home = {"PINNED": [known, "typo"], "SPONSORED": [], "EXPERIMENT": {"NAME": "x", "VARIANTS": variants}}
    settings.SESSREC = {**settings.SESSREC, "PLACEMENTS": {"home": home, "basket": {"EXCLUDED": [known]}}}
    captured(str(known))
    told = [each for each in shop.catalogue() if each.code == Code.CATALOGUE_UNKNOWN_PLACED]
    assert [(each.level, each.message) for each in told] == [
        ("warn", "PINNED (home) names ids that your catalogue does not know: typo."),
        ("warn", "EXCLUDED (home, b) names ids that your catalogue does not know: gone."),
    ]


def test_some_ids_of_products_that_are_gone_are_no_illness():
    known = [str(Product.objects.create(name=name).pk) for name in "abc"]
    captured(*known, "999999")
    (finding,) = shop.catalogue()
    assert (finding.code, finding.message) == (Code.CATALOGUE_KNOWS, "3 products were found and described.")


def test_products_that_are_sold_out_exist_all_the_same():
    gone = [str(Product.objects.create(name=name, stock=0).pk) for name in "abc"]
    captured(*gone)
    nothing_to_show, described = shop.catalogue()
    assert (nothing_to_show.code, nothing_to_show.level) == (Code.CATALOGUE_EMPTY, Level.WARN)
    assert nothing_to_show.message == "None of 3 captured products may be shown now."
    assert described.message == "3 products were found and described."
    captured(str(Product.objects.create(name="d").pk))
    assert list(codes(shop.catalogue())) == [Code.CATALOGUE_KNOWS]


def test_before_the_first_event_the_catalogue_is_tried_with_its_own_products():
    Product.objects.create(name="a")
    assert list(codes(shop.catalogue())) == [Code.CATALOGUE_KNOWS]
    Product.objects.all().delete()
    assert list(codes(shop.catalogue())) == [Code.CATALOGUE_EMPTY]


class Misnamed(catalogue.ModelCatalogue):
    model = "demo.Product"
    price_field = "prise"


def test_a_field_that_the_product_lacks_is_named(settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": f"{__name__}.Misnamed"}
    captured(str(Product.objects.create(name="a").pk))
    (finding,) = shop.catalogue()
    assert finding.code == Code.CATALOGUE_UNDESCRIBED
    assert "'prise'" in finding.message


class Addressless(catalogue.ModelCatalogue):
    model = "demo.Product"

    def url(self, item):
        return item.no_such_method()


def test_a_product_without_an_address_is_remedied_by_url(settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": f"{__name__}.Addressless"}
    captured(str(Product.objects.create(name="a").pk))
    (finding,) = shop.catalogue()
    assert (finding.code, "url()" in finding.remedy) == (Code.CATALOGUE_UNDESCRIBED, True)


class Slow(catalogue.Catalogue):
    def resolve(self, item_ids, request=None):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")


def test_a_catalogue_whose_queries_are_slow_is_told_from_a_database_that_is_away(settings, monkeypatch):
    monkeypatch.setattr(examination, "PART_SECONDS", 3.0)
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": f"{__name__}.Slow"}
    captured("1")
    found = codes(examination.examine(tasks.broker()))
    assert found[Code.CATALOGUE_SLOW].message == f"A query of {__name__}.Slow was not answered in time."
    assert Code.EXAMINATION_UNANSWERED not in found


class OfNothing(catalogue.Catalogue):
    """A catalogue whose steps forget to answer."""

    def resolve(self, item_ids, request=None):
        """Nothing is returned."""

    def fallback(self, limit):
        return []


def test_a_catalogue_that_answers_none_is_told_what_it_should(settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": f"{__name__}.OfNothing"}
    captured("1")
    (finding,) = shop.catalogue()
    assert (finding.code, finding.level) == (Code.CATALOGUE_RAISES, "fail")
    assert f"{__name__}.OfNothing failed: AttributeError" in finding.message
    assert "resolve() a dict of id to object" in finding.remedy
