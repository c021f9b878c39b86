"""categories/ and slot/<placement>/categories/: a list of categories, as JSON and as HTML."""

import pytest
from django.test import Client

from django_sessrec.models import Impression
from tests.demo.models import Product

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.urls")]

URL, SLOT = "/sessrec/categories/", "/sessrec/slot/product_page/categories/"


@pytest.fixture(autouse=True)
def _shop(products, settings):
    """Ten teas, six cups and four pots."""
    for kind, some in {"cup": products[10:16], "pot": products[16:]}.items():
        Product.objects.filter(pk__in=[each.pk for each in some]).update(category=kind)
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_categories.ShopCatalogue"}


def test_the_categories_of_a_visit(visitor, products):
    visitor.get(products[0].get_absolute_url())
    answer = visitor.get(URL, {"placement": "product_page", "limit": 2})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    body = answer.json()
    assert (body["placement"], body["consent"], body["personalised"]) == ("product_page", "session", True)
    first = body["categories"][0]
    assert first == {
        "category": "tea",
        "position": 1,
        "viewed": 1,
        "reason": {"code": "viewed", "because": [str(products[0].pk)]},
        "title": "Teas",
        "url": "/c/tea/",
        "image": None,
    }
    assert len(body["categories"]) == 2
    assert Impression.objects.count() == 1, "the product page's own"


def test_without_consent_they_are_the_same_for_everybody(stranger):
    body = stranger.get(URL, {"placement": "product_page"}).json()
    assert len(body["categories"]) == 3
    assert (body["consent"], body["personalised"]) == ("contextual", False)


def test_a_shops_own_server_sends_the_items(visitor, products):
    body = {"placement": "product_page", "item_ids": [str(products[11].pk)], "exclude": ["pot"]}
    found = visitor.post(URL, body, content_type="application/json").json()["categories"]
    assert {each["category"] for each in found} == {"cup", "tea"}


def test_the_slot_is_html_in_the_language_of_the_page(visitor, products):
    visitor.get(products[0].get_absolute_url())
    answer = visitor.get(SLOT, {"language": "de", "exclude": "pot", "leave_out": "7"})
    assert answer["Content-Type"].startswith("text/html")
    assert answer["Sessrec-Consent"] == "session"
    html = answer.content.decode()
    assert "Kategorien für Sie" in html
    assert "/c/pot/" not in html


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"placement": "nowhere"}, 404), ({"placement": "product_page", "limit": 0}, 400)],
)
def test_wrong_questions_are_problems(visitor, query, status):
    answer = visitor.get(URL, query)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_too_many_to_exclude_is_refused(visitor):
    query = {"placement": "product_page", "exclude": [str(n) for n in range(51)]}
    assert visitor.get(URL, query).status_code == 400


def test_the_schema_describes_it(client):
    schema = client.get("/sessrec/schema/", headers={"Accept": "application/json"}).content.decode()
    assert "/categories/" in schema
    assert "CategoriesAnswer" in schema


def test_other_sites_are_refused():
    answer = Client(headers={"Sec-Fetch-Site": "cross-site"}).get(URL, {"placement": "product_page"})
    assert answer.status_code == 403
