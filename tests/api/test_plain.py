"""A usual GET is answered without REST framework, and says what REST framework would say."""

import json

import pytest
from django.db import OperationalError
from django.test import Client

from django_sessrec.api import events, recommendations
from django_sessrec.api.views import SessrecView
from tests.support.api import BROWSER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.api.urls")]

LIST, SLOT = "/sessrec/recommendations/", "/sessrec/slot/product_page/"
USUAL = [
    (LIST, {"placement": "product_page"}),
    (LIST, {"placement": "product_page", "item_id": "3", "limit": "2", "language": "de"}),
    (LIST, {"placement": "product_page", "item_id": "no such", "other": "1"}),
    (SLOT, {"item_id": "3", "language": "fr"}),
]
UNUSUAL = [
    (LIST, {}),
    (LIST, {"placement": "no such"}),
    (LIST, {"placement": "product_page", "limit": "0"}),
    (LIST, {"placement": "product_page", "limit": "101"}),
    (LIST, {"placement": "product_page", "limit": "²"}),
    (LIST, {"placement": "product_page", "item_id": " 3 "}),
    (LIST, {"placement": "product_page", "item_id": "tea\0"}),
    (LIST, {"placement": "product_page", "item_id": "绿茶"}),
    (LIST, {"placement": "product_page", "item_id": "x" * 2_000}),
    (LIST, {"placement": "product_page", "language": "x" * 21}),
    ("/sessrec/slot/no_such/", {}),
    (SLOT, {"limit": "-1"}),
]
HEADERS = ("Content-Type", "Cache-Control", "Allow", "Vary", "Sessrec-Consent", "Access-Control-Allow-Origin")


@pytest.fixture
def by_framework(monkeypatch):
    """Switches plain answers off."""

    def switch_off():
        for view in (recommendations.RecommendationsView, recommendations.SlotView, events.EventsView):
            monkeypatch.setattr(view, "plain", SessrecView.plain)

    return switch_off


def answer_of(path, query, **headers):
    answer = Client(headers=BROWSER | headers).get(path, query)
    said = {name: answer.get(name) for name in HEADERS}
    return answer.status_code, said, answer.content, hasattr(answer, "accepted_renderer")


@pytest.mark.parametrize(("path", "query"), USUAL + UNUSUAL)
@pytest.mark.parametrize("origin", [None, "https://www.example.com"])
def test_both_say_the_same(products, settings, by_framework, path, query, origin):
    settings.SESSREC = settings.SESSREC | {"TRUSTED_ORIGINS": ["https://www.example.com"]}
    headers = {"Origin": origin} if origin else {}
    *plain, by_rest = answer_of(path, query, **headers)
    by_framework()
    *framed, _ = answer_of(path, query, **headers)
    assert plain == framed
    assert (path, query) in UNUSUAL or not by_rest


def test_prices_are_written_as_the_framework_writes_them(products, by_framework):
    plain = answer_of(*USUAL[0])[2]
    assert isinstance(json.loads(plain)["items"][0]["price"], str)
    by_framework()
    assert answer_of(*USUAL[0])[2] == plain


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", '{"events": 1}', '{"events": []}', '{"events": [{"event": "view_item"}]}', "x" * 50_000],
)
def test_events_are_answered_as_by_the_framework(by_framework, body):
    def answer():
        sent = Client(headers=BROWSER).post("/sessrec/events/", body, content_type="text/plain")
        return sent.status_code, {name: sent.get(name) for name in HEADERS}, sent.content

    plain = answer()
    by_framework()
    assert answer() == plain


def test_what_a_plain_answer_raises_is_answered_as_by_the_framework(monkeypatch):
    def out_of_reach(*_arguments):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(events, "_recorded", out_of_reach)
    answer = Client(headers=BROWSER).post("/sessrec/events/", '{"events": []}', content_type="text/plain")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer["Content-Type"] == "application/problem+json"
