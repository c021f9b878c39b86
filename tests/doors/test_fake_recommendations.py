"""A shop's own tests: lists of given items, whatever was trained."""

import pytest
from django.test import Client, TestCase

from django_sessrec.recommendations import get_recommendations
from django_sessrec.testing import fake_recommendations
from tests.demo.models import Product


class ProductPageTests(TestCase):
    def setUp(self):
        self.pot, self.cup = (Product.objects.create(name=name) for name in ("pot", "cup"))

    def test_the_page_shows_the_list(self):
        with fake_recommendations([self.pot, str(self.cup.pk)]):
            page = self.client.get(Product.objects.create(name="tea").get_absolute_url())
        self.assertContains(page, '<span class="sessrec__title">pot</span>')
        self.assertContains(page, '<span class="sessrec__title">cup</span>')


@pytest.mark.django_db
def test_what_is_sold_out_is_not_shown_and_the_order_is_kept():
    pot, cup, can = (Product.objects.create(name=name) for name in ("pot", "cup", "can"))
    with fake_recommendations([can, cup, pot]):
        Product.objects.filter(pk=cup.pk).update(stock=0)
        shown = get_recommendations(None, "product_page")
        assert [item.item.name for item in shown.items] == ["can", "pot"]
        assert (shown.step, shown.model) == ("model", "fake")
        answer = Client().get("/sessrec/recommendations/?placement=product_page").json()
        assert [item["title"] for item in answer["items"]] == ["can", "pot"]
    assert get_recommendations(None, "product_page").step == "static"


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [Product(name="not saved"), None, 1.5])
def test_what_has_no_id_is_refused_by_its_name(wrong):
    with pytest.raises(TypeError, match=f"{wrong}.*no id"), fake_recommendations([wrong]):
        raise AssertionError("the block must not begin")


def test_one_text_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match="'12' is not a list"), fake_recommendations("12"):
        raise AssertionError("the block must not begin")


@pytest.mark.django_db
def test_what_the_catalogue_does_not_offer_is_named():
    pot = Product.objects.create(name="pot")
    sold_out = Product.objects.create(name="sold-out cup", stock=0)
    faked = fake_recommendations([pot, sold_out, "nowhere"])
    with pytest.warns(UserWarning, match="does not offer") as warned, faked:
        assert [each.item for each in get_recommendations(None, "product_page").items] == [pot]
    (told,) = [str(each.message) for each in warned]
    assert "sold-out cup" in told
    assert "'nowhere'" in told
    assert "pot" not in told
    assert warned[0].filename == __file__
