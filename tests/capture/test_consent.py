"""The dial: contextual until somebody said otherwise."""

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory

from django_sessrec.capture import consent, cookie
from django_sessrec.conf import Settings
from django_sessrec.ids import uuid7
from django_sessrec.middleware import SessrecMiddleware
from tests.support.capture import captured


@pytest.mark.parametrize(
    ("answer", "gpc", "level"),
    [
        ("none", None, "contextual"),
        ("session", None, "session"),
        ("session", "1", "contextual"),  # a general yes gives way to the browser's no
        ("opt-in", "1", "session"),  # the visitor's own yes does not
        ("opt-in", None, "session"),
        ("session", "0", "session"),
        ("session", "true", "session"),  # the specification knows 1 only
        ("session", "1, 1", "session"),
        ("whatever", None, "contextual"),
    ],
)
def test_the_level_follows_from_the_answer_and_the_signal(shop, answer, gpc, level):
    headers = {"sec-gpc": gpc} if gpc else {}
    request = RequestFactory(headers=headers).get("/product/1/")
    request.COOKIES["consent"] = answer
    assert consent.level(request) == level


@pytest.mark.parametrize("path", [None, "tests.capture.shop.broken"])
def test_without_an_answer_a_visit_is_contextual_and_leaves_nothing(visitor, shop, path, caplog):
    shop.SESSREC |= {"CONSENT": path}
    visitor.cookies["sessrec"] = cookie.text_of(uuid7())
    response = visitor.get("/product/1/")
    visitor.post("/basket/", {"item": "5"})
    assert response.content == b"product 1"
    assert not response.cookies
    assert captured() == []
    assert ("the shop's own mistake" in caplog.text) == bool(path)


def test_an_answer_that_is_not_understood_is_told_in_the_log(stranger, shop, caplog):
    shop.SESSREC |= {"CONSENT": "tests.capture.shop.misspelt"}
    stranger.get("/product/1/")
    assert "CONSENT" not in caplog.text
    stranger.cookies["consent"] = "yes"
    for _page in range(3):
        assert not stranger.get("/product/1/").cookies
    assert caplog.text.count("SESSREC['CONSENT'] answered 'Session', which counts as no") == 1
    assert captured() == []


def test_before_consent_there_is_no_row_in_any_table_and_no_cookie(stranger):
    stranger.get("/product/1/")
    response = stranger.post("/basket/", {"item": ""})
    assert not response.cookies
    with connection.cursor() as cursor:
        for table in ("event", "impression", "failedevent", "withdrawal"):
            cursor.execute(f"SELECT count(*) FROM sessrec_{table}")
            assert cursor.fetchone() == (0,)


def test_the_signal_ends_a_visit_that_was_only_assumed(visitor):
    visitor.get("/product/1/")
    response = visitor.get("/product/2/", headers={"sec-gpc": "1"})
    assert response.cookies["sessrec"]["max-age"] == 0
    assert captured() == []


def test_the_shop_is_asked_for_the_level_and_once_more_at_the_end_of_the_page(shop, monkeypatch):
    asked = []
    monkeypatch.setattr(Settings, "imported", lambda self, name: lambda request: asked.append(name) or "none")
    request = RequestFactory().get("/")
    request.resolver_match, request.COOKIES = None, {"sessrec": cookie.text_of(uuid7())}
    assert SessrecMiddleware(lambda _request: HttpResponse())(request).cookies["sessrec"]["max-age"] == 0
    assert asked == ["CONSENT", "CONSENT"]
