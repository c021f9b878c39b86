"""recommendations/ and slot/: a placement's list, as JSON and as HTML."""

import pytest
from django.test import Client
from django.utils.translation import gettext_lazy

from django_sessrec.models import Impression
from tests.demo.recommendations import DemoCatalogue
from tests.support.api import BROWSER
from tests.support.visits import session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.urls")]

URL = "/sessrec/recommendations/"


def test_a_list_for_a_visit(visitor, products):
    visitor.get(products[0].get_absolute_url())
    answer = visitor.get(URL, {"placement": "product_page", "item_id": products[0].pk, "limit": 3})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    body = answer.json()
    assert body["placement"] == "product_page"
    assert body["consent"] == "session"
    assert [item["position"] for item in body["items"]] == [1, 2, 3]
    first = body["items"][0]
    assert first["item_id"] != str(products[0].pk)
    assert first["url"].endswith(f"?sessrec={body['rec_id']}.1")
    assert first["price"] == "10.00"
    assert first["reason"]["code"]
    assert "score" not in first
    impression = Impression.objects.order_by("pk").last()
    assert impression.item_ids == [item["item_id"] for item in body["items"]]
    assert impression.session_id == session_of(visitor)


def test_without_consent_the_list_is_full_and_nothing_is_kept(stranger, products):
    answer = stranger.get(URL, {"placement": "product_page", "limit": 5})
    body = answer.json()
    assert len(body["items"]) == 5
    assert (body["consent"], body["personalised"], body["rec_id"]) == ("contextual", False, None)
    assert not answer.cookies
    assert not Impression.objects.exists()


def test_a_shops_own_server_sends_the_items(products):
    body = {"placement": "product_page", "item_ids": [str(products[1].pk)], "limit": 2}
    answer = Client().post(URL, body, content_type="application/json")
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 2


class Worded(DemoCatalogue):
    """Describes products in the language of whoever writes the answer."""

    def describe(self, item, request=None):
        return super().describe(item, request) | {"offered": gettext_lazy("Yes")}

    def describe_categories(self, categories, request=None):
        found = super().describe_categories(categories, request)
        return {name: fields | {"offered": gettext_lazy("Yes")} for name, fields in found.items()}


@pytest.mark.parametrize("more", [{}, {"leave_out": ["7"]}])
@pytest.mark.parametrize(("url", "listed"), [(URL, "items"), ("/sessrec/categories/", "categories")])
def test_words_are_in_the_language_of_the_page(products, settings, url, listed, more):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.api.test_recommendations.Worded"}
    query = {"placement": "product_page", "language": "de", **more}
    for answer in (
        Client(headers={"accept-language": "en"}).get(url, query),
        Client(headers={"accept-language": "en"}).post(url, query, content_type="application/json"),
    ):
        assert {each["offered"] for each in answer.json()[listed]} == {"Ja"}


@pytest.mark.parametrize("key", ["item_id", "item_ids", "limit", "language"])
def test_what_is_null_is_left_out(products, key):
    body = {"placement": "product_page", "item_ids": [str(products[1].pk)], key: None}
    answer = Client().post(URL, body, content_type="application/json")
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 8


@pytest.mark.parametrize(
    "body", [{"placement": None}, {"placement": "product_page", "item_ids": ["1", None]}]
)
def test_what_is_needed_must_not_be_null(body):
    assert Client().post(URL, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, "invalid"),
        ({"placement": "nowhere"}, 404, "unknown_placement"),
        ({"placement": "product_page", "limit": 0}, 400, "invalid"),
        ({"placement": "product_page", "limit": 101}, 400, "invalid"),
        ({"placement": "product_page", "limit": "many"}, 400, "invalid"),
        ({"placement": "product_page", "item_id": "x" * 201}, 400, "invalid"),
        ({"placement": "product_page", "item_id": "\0"}, 400, "invalid"),
    ],
)
def test_wrong_questions_are_problems_with_a_code(visitor, query, status, code):
    answer = visitor.get(URL, query)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code


@pytest.mark.parametrize("body", ["[]", '"x"', '{"placement": ["product_page"]}', "{"])
def test_wrong_bodies(body):
    assert Client().post(URL, body, content_type="application/json").status_code == 400


def test_unknown_items_and_any_script_are_answered(visitor, products):
    for item_id in ("does-not-exist", "绿茶", "999999999999999999999999"):
        answer = visitor.get(URL, {"placement": "product_page", "item_id": item_id})
        assert answer.status_code == 200
        assert answer.json()["items"]


def test_other_sites_are_refused(products):
    answer = Client(headers={**BROWSER, "Sec-Fetch-Site": "cross-site"}).get(
        URL, {"placement": "product_page"}
    )
    assert answer.status_code == 403


def test_a_flood_is_slowed_down(visitor, settings):
    visitor.defaults["REMOTE_ADDR"] = "93.184.216.34"
    settings.SESSREC = settings.SESSREC | {"THROTTLE_RECOMMENDATIONS": "1/day"}
    statuses = [visitor.get(URL, {"placement": "product_page"}).status_code for _number in range(2)]
    assert statuses == [200, 429]


def test_a_slot_that_fails_says_whether_the_view_left_to_the_script_may_be_recorded(
    visitor, stranger, settings
):
    for client, level in ((visitor, "session"), (stranger, "contextual")):
        answer = client.get("/sessrec/slot/no_such/")
        assert (answer.status_code, answer["Sessrec-Consent"]) == (404, level)
        assert not answer.cookies
    settings.SESSREC = settings.SESSREC | {"THROTTLE_RECOMMENDATIONS": "0/day"}
    answer = visitor.get("/sessrec/slot/product_page/", REMOTE_ADDR="93.184.216.34")
    assert (answer.status_code, answer["Sessrec-Consent"]) == (429, "session")


def test_the_method_must_fit(visitor):
    answer = visitor.put(URL)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_the_slot_is_html_by_the_placements_template(visitor, products):
    answer = visitor.get("/sessrec/slot/product_page/", {"item_id": products[0].pk, "limit": 2})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")
    assert answer["Sessrec-Consent"] == "session"
    assert "private" in answer["Cache-Control"]
    assert "no-store" in answer["Cache-Control"]
    html = answer.content.decode()
    for item_id in Impression.objects.get().item_ids:
        assert f"/demo/product/{item_id}/" in html


def test_the_slot_without_consent(stranger, products):
    answer = stranger.get("/sessrec/slot/product_page/", {"item_id": products[0].pk})
    assert answer["Sessrec-Consent"] == "contextual"
    assert "/demo/product/" in answer.content.decode()
    assert not answer.cookies


def test_an_unknown_slot(stranger):
    answer = stranger.get("/sessrec/slot/nowhere/")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_placement")


def test_a_list_leaves_out_what_the_request_names(stranger, products):
    two = [str(product.pk) for product in products[:2]]
    query = {"placement": "product_page", "limit": 5, "leave_out": two}
    got = stranger.get(URL, query).json()["items"]
    posted = stranger.post(URL, query, content_type="application/json", headers=BROWSER).json()["items"]
    for items in (got, posted):
        assert len(items) == 5
        assert not {*two} & {item["item_id"] for item in items}
    slot = stranger.get("/sessrec/slot/product_page/", {"leave_out": two}).content.decode()
    assert slot.count("data-sessrec-item=") == 8
    assert not any(f'data-sessrec-item="{item_id}"' in slot for item_id in two)


class Unwritable(DemoCatalogue):
    """Describes one product with what JSON can't hold."""

    value: object = None

    def describe(self, item, request=None):
        fields = super().describe(item, request)
        return fields | {"weight": self.value} if fields["title"] == "tea 3" else fields


@pytest.mark.parametrize("value", [float("nan"), b"\xff", "\ud800", {(1, 2): 3}])
@pytest.mark.parametrize("way", ["plain", "framework"])
def test_a_product_that_json_can_t_hold_is_left_out_and_logged(
    visitor, products, settings, monkeypatch, caplog, value, way
):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"{__name__}.Unwritable"}
    monkeypatch.setattr(Unwritable, "value", value)
    asked = {"placement": "product_page", "limit": 20} | ({"query": ""} if way == "framework" else {})
    answer = visitor.get(URL, asked)
    assert answer.status_code == 200
    titles = [item["title"] for item in answer.json()["items"]]
    assert len(titles) == 19
    assert "tea 3" not in titles
    assert "could not write an entry of a list as JSON" in caplog.text
