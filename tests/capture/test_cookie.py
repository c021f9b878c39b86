"""A visit is one that this shop began: its cookie is signed."""

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client, RequestFactory

from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from django_sessrec.middleware import SessrecMiddleware
from django_sessrec.models import Withdrawal
from tests.support.capture import captured
from tests.support.visits import FIREFOX, visit_in

BEGUN = uuid7()


@pytest.fixture
def going_on(visitor):
    """The cookie of a visit that has looked at item 1."""
    return visitor.get("/product/1/").cookies["sessrec"].value


def come(text, path="/product/2/", method="get"):
    """A browser with this cookie opens a page."""
    client = Client(REMOTE_ADDR="93.184.216.34", headers={"user-agent": FIREFOX})
    client.cookies["consent"] = "session"
    client.cookies["sessrec"] = text
    return getattr(client, method)(path)


def under_another_key(shop, session_id):
    own, shop.SECRET_KEY = shop.SECRET_KEY, "another shop's"
    text = cookie.text_of(session_id)
    shop.SECRET_KEY = own
    return text


FORGERIES = {
    "unsigned": lambda genuine, shop: genuine.partition(".")[0],
    "empty signature": lambda genuine, shop: genuine.partition(".")[0] + ".",
    "another visit's signature": lambda genuine, shop: f"{uuid7()}.{genuine.partition('.')[2]}",
    "another shop's": lambda genuine, shop: under_another_key(shop, visit_in(genuine)),
    "cut": lambda genuine, shop: genuine[:-1],
    "longer": lambda genuine, shop: genuine + "0",
    "in capitals": lambda genuine, shop: genuine.upper(),
    "not ASCII": lambda genuine, shop: genuine.replace("-", "é").replace(".", ".é"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_cookie_is_none(going_on, shop, forge):
    forged = forge(going_on, shop)
    answer = come(forged)
    assert answer.status_code == 200
    begun = visit_in(answer.cookies["sessrec"].value)
    assert str(begun) not in forged
    assert captured("session_id", "item_id") == [(visit_in(going_on), "1"), (begun, "2")]


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_with_a_forged_cookie_nobody_is_withdrawn_and_the_cookie_goes(going_on, shop, forge):
    answer = come(forge(going_on, shop), "/decline/", "post")
    assert answer.cookies["sessrec"]["max-age"] == 0
    assert captured("session_id") == [(visit_in(going_on),)]
    assert not Withdrawal.objects.exists()


def test_a_visit_outlives_the_change_of_the_key(going_on, shop):
    shop.SECRET_KEY, shop.SECRET_KEY_FALLBACKS = "the new key", [shop.SECRET_KEY]
    answer = come(going_on)
    assert captured("session_id") == [(visit_in(going_on),)] * 2
    renewed = answer.cookies["sessrec"].value
    assert renewed != going_on
    shop.SECRET_KEY_FALLBACKS = []
    come(renewed)
    come(going_on)
    visits = [session_id for (session_id,) in captured("session_id")]
    assert visits[:3] == [visit_in(going_on)] * 3
    assert visits[3] != visit_in(going_on)


def test_a_program_that_invents_visits_meets_its_bound(shop):
    cache.clear()
    shop.SESSREC = shop.SESSREC | {"SESSIONS_PER_CLIENT": 3}
    invented = [uuid7() for _ in range(5)]
    answers = [come(f"{session_id}.{uuid7().hex}") for session_id in invented]
    assert ["sessrec" in answer.cookies for answer in answers] == [True] * 3 + [False] * 2
    kept = {session_id for (session_id,) in captured("session_id")}
    assert len(kept) == 3
    assert not kept & {*invented}


def test_any_key_that_django_takes_signs(shop):
    request = RequestFactory().get("/")
    shop.SECRET_KEY = b"\xff bytes, longer than BLAKE2b takes as a key: " + b"k" * 64
    session_id = uuid7()
    request.COOKIES["sessrec"] = cookie.text_of(session_id)
    assert cookie.presented(request) == session_id


# Caches between the shop and its visitors

INVITING = {"Cache-Control": "public, s-maxage=600", "CDN-Cache-Control": "max-age=600"}


@pytest.mark.parametrize("consent", ["session", "none"], ids=["given", "taken"])
def test_a_page_that_gives_or_takes_the_cookie_invites_no_cache_to_keep_it(shop, consent):
    """A network that obeys its own header would hand everybody the same session."""

    def page(request):
        request.sessrec.record("add_to_cart", "1")
        return HttpResponse(headers=INVITING)

    response = answered(page, consent)
    assert response.cookies["sessrec"]
    assert response["CDN-Cache-Control"] == "no-store"
    assert response["Cache-Control"] == "private"


def test_nor_does_one_that_switches_personalisation_off(shop):
    response = HttpResponse(headers=INVITING)
    cookie.switch_off(RequestFactory().get("/"), response)
    assert response["CDN-Cache-Control"] == "no-store"
    assert "s-maxage" not in response["Cache-Control"]


def test_a_page_without_the_cookie_is_left_to_the_caches(shop):
    def page(_request):
        return HttpResponse(headers=INVITING)

    assert INVITING.items() <= answered(page, "session", brings=None).headers.items()


# Hosts


def test_a_refusal_on_a_host_that_django_refuses_still_counts(shop):
    session_id = uuid7()
    shop.ALLOWED_HOSTS = ["shop.example.com"]
    response = answered(lambda _request: HttpResponse(), "none", brings=session_id)
    assert response.cookies["sessrec"]["max-age"] == 0
    assert Withdrawal.objects.get().session_id == session_id


def answered(page, consent, *, brings=BEGUN):
    """The response to a visitor who brings this session's cookie."""
    request = RequestFactory(headers={"user-agent": FIREFOX}).get("/")
    request.resolver_match = None
    request.COOKIES = {"consent": consent} | ({"sessrec": cookie.text_of(brings)} if brings else {})
    return SessrecMiddleware(page)(request)
