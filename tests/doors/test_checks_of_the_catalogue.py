"""A catalogue that can't work is a numbered check with a hint."""

import pytest
from django.db.models import F

from django_sessrec.catalogue import ModelCatalogue
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.checks import GOOD, findings


class Catalogue(DemoCatalogue):
    """A catalogue with one fault at a time."""


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ({"price_field": "prize"}, "'price'"),
        ({"title_field": "titel"}, "Fields: "),
        ({"category_field": "categorie"}, "'category'"),
        ({"category_field": "get_absolute_url"}, "Fields: "),  # asked of the database: a method is none
        ({"image_field": "pictures"}, "'picture'"),
        ({"id_field": "sku"}, "Fields: "),
        ({"model": "demo.Produkt"}, "app_label.Model"),
        ({"model": "Product"}, "app_label.Model"),
    ],
)
def test_a_catalogues_wrong_model_or_field_is_told(monkeypatch, fault, hint):
    for name, value in fault.items():
        monkeypatch.setattr(Catalogue, name, value)
    found = findings(SESSREC=GOOD | {"CATALOGUE": f"{__name__}.Catalogue"})
    assert hint in found["sessrec.E021"].hint


@pytest.mark.parametrize(
    "right",
    [
        {"price_field": "bargain", "queryset": lambda self: Product.objects.annotate(bargain=F("price") / 2)},
        {"title_field": "get_absolute_url", "price_field": None},
        {"queryset": lambda self: 1 / 0},
    ],
    ids=["an annotation", "a method", "a queryset that raises"],
)
def test_a_catalogues_right_fields_pass(monkeypatch, right):
    for name, value in right.items():
        monkeypatch.setattr(Catalogue, name, value)
    assert "sessrec.E021" not in findings(SESSREC=GOOD | {"CATALOGUE": f"{__name__}.Catalogue"})


class Addressless(ModelCatalogue):
    """Its model has no get_absolute_url."""

    model = "sessrec.Ledger"


class WithUrl(Addressless):
    def url(self, item):
        return f"/tea/{item.pk}/"


class WithDescribe(Addressless):
    def describe(self, item, request=None):
        return {"title": "tea", "url": f"/tea/{item.pk}/"}


@pytest.mark.parametrize(
    ("catalogue", "told"), [("Addressless", True), ("WithUrl", False), ("WithDescribe", False)]
)
def test_products_without_an_address_are_told(catalogue, told):
    found = findings(SESSREC=GOOD | {"CATALOGUE": f"{__name__}.{catalogue}"})
    assert ("sessrec.E027" in found) is told
    assert not told or "get_absolute_url" in found["sessrec.E027"].hint


def test_a_catalogue_without_a_model_or_a_method_is_told():
    found = findings(SESSREC=GOOD | {"CATALOGUE": "django_sessrec.catalogue.ModelCatalogue"})
    assert "names no model" in found["sessrec.E021"].msg
    found = findings(SESSREC=GOOD | {"CATALOGUE": "django_sessrec.catalogue.Catalogue"})
    assert "resolve" in found["sessrec.E005"].msg


class ByText(ModelCatalogue):
    """Products whose keys are texts, and so tell nothing of which is new."""

    model = "sessions.Session"

    def url(self, item):
        return "/"


class Dated(ByText):
    created_field = "expire_date"


class Sorted(ByText):
    def newest(self, limit):
        return []


@pytest.mark.parametrize(("name", "told"), [("ByText", True), ("Dated", False), ("Sorted", False)])
def test_a_catalogue_that_cannot_tell_what_is_new_is_told(name, told):
    found = findings(SESSREC=GOOD | {"CATALOGUE": f"{__name__}.{name}"})
    assert ("sessrec.W046" in found) is told
    assert not told or "created_field" in found["sessrec.W046"].hint
