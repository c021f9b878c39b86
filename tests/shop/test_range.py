"""The range of goods and its pictures: made by code, the same each time, and believable."""

from collections import Counter
from datetime import date
from xml.etree import ElementTree

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from example_shop.shop import assortment, pictures
from example_shop.shop.models import Category, Colour, Product


def test_filling_twice_changes_nothing(goods):
    before = list(Product.objects.values())
    call_command("fill_shop", verbosity=0)
    assert list(Product.objects.values()) == before
    assert len(before) == 1_200


def test_filling_again_leaves_sold_stock_sold(goods):
    Product.objects.update(stock=1)
    call_command("fill_shop", verbosity=0)
    assert set(Product.objects.values_list("stock", flat=True)) == {1}


def test_filling_again_leaves_what_the_merchant_changed(goods):
    product = Product.objects.first()
    Product.objects.filter(pk=product.pk).update(name="Renamed", price=1)
    Product.objects.last().delete()
    Category.objects.filter(slug=product.category_id).update(name="Renamed, too")
    get_user_model().objects.all().delete()
    call_command("fill_shop", verbosity=0)
    product.refresh_from_db()
    assert (product.name, product.price, product.category.name) == ("Renamed", 1, "Renamed, too")
    assert Product.objects.count() == 1_199
    assert not get_user_model().objects.exists()


def test_each_kind_is_there_in_its_price_range(goods):
    for department in assortment.departments():
        for kind in department.kinds:
            products = Product.objects.filter(category=kind.slug)
            lowest, highest = kind.prices
            assert products.count() == assortment.PRODUCTS_PER_KIND
            assert all(lowest - 1 < product.price <= highest * 1.1 for product in products), kind.slug
    assert Category.objects.filter(parent=None).count() == 12


def test_colours_of_one_thing_are_a_family_and_differ_in_nothing_else():
    families = {}
    for product in assortment.products():
        if product.family:
            families.setdefault(product.family, []).append(product)
    assert len(families) > 100
    for members in families.values():
        assert len(members) > 1
        assert len({member.colour for member in members}) == len(members)
        assert len({member.name.rpartition(", ")[0] for member in members}) == 1


def test_names_are_unique_and_some_goods_are_sold_out():
    products = assortment.products()
    assert max(Counter(product.slug for product in products).values()) == 1
    assert 20 < sum(product.stock == 0 for product in products) < 100
    assert {str(product.price)[-2:] for product in products} == {"90", "95"}


KINDS = [kind for department in assortment.departments() for kind in department.kinds]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.slug for kind in KINDS])
def test_every_picture_is_well_formed_and_has_its_patterns(kind):
    for variation in range(assortment.VARIATIONS):
        svg = pictures.draw(kind.slug, kind.colours[0], variation)
        ids = [element.get("id") for element in ElementTree.fromstring(svg).iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        for used in svg.split("url(#")[1:]:
            assert used.partition(")")[0] in ids


def test_every_colour_has_a_paint():
    assert set(pictures.COLOURS) == set(Colour.values)


def test_a_picture_may_be_kept_for_long_and_an_unknown_one_is_not_found(client, db):
    picture = client.get("/pictures/teapots/moss/3.svg")
    assert picture.headers["Content-Type"] == "image/svg+xml"
    assert "immutable" in picture.headers["Cache-Control"]
    for unknown in ["/pictures/teapots/puce/3.svg", "/pictures/submarines/moss/3.svg"]:
        assert client.get(unknown).status_code == 404


def test_each_day_brings_new_products_once(goods):
    for _twice in range(2):
        call_command("new_arrivals", verbosity=0)
        assert Product.objects.count() == 1_203
    today, tomorrow = (assortment.arrivals(date(2026, 11, day)) for day in (28, 29))
    assert {each.slug for each in today} != {each.slug for each in tomorrow}
    assert not {each.slug for each in today} & {each.slug for each in assortment.products()}
