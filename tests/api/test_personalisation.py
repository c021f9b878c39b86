"""The visitor's own switch: off at once, beats every consent, and works as a plain form."""

import re

import pytest
from django.test import Client

from django_sessrec.models import Event, Impression, Withdrawal
from tests.support.api import BROWSER, an_event, send
from tests.support.visits import session_of

pytestmark = pytest.mark.django_db
ADDRESS = "/sessrec/personalisation/"
ROWS = (Event, Impression)


def switch(client: Client, to: str, back: str = "/demo/", **headers: str):
    return client.post(
        ADDRESS,
        f"personalisation={to}&next={back}",
        content_type="application/x-www-form-urlencoded",
        headers=headers,
    )


def toggle(page) -> dict[str, str]:
    """The form's fields, with the one button that it shows."""
    form = re.search(r'<form class="sessrec-toggle".*?</form>', page.content.decode(), re.DOTALL)[0]
    assert f'action="{ADDRESS}"' in form
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def test_one_click_withdraws_the_visit_and_leaves_a_cookie_without_an_id(visitor, products):
    visitor.get(f"/demo/product/{products[0].pk}/")
    visit = session_of(visitor)
    assert Event.objects.count() == Impression.objects.count() == 1
    form = toggle(visitor.get("/sessrec/why/"))
    answer = switch(visitor, form["personalisation"], form["next"])
    assert (answer.status_code, answer["Location"]) == (303, "/sessrec/why/")
    assert answer.cookies["sessrec_off"].value == "1"
    assert answer.cookies["sessrec_off"]["httponly"]
    assert answer.cookies["sessrec"]["max-age"] == 0
    assert set(answer.cookies) == {"sessrec", "sessrec_off"}
    assert not any(model.objects.exists() for model in ROWS)
    assert Withdrawal.objects.get().pk == visit


@pytest.mark.parametrize("gpc", [{}, {"Sec-GPC": "1"}])
def test_switched_off_the_slot_is_full_and_nothing_is_kept(visitor, products, gpc):
    switch(visitor, "off")
    page = visitor.get(f"/demo/product/{products[0].pk}/", headers=gpc)
    assert page.content.decode().count('<li class="sessrec__item"') == 8
    answer = visitor.get("/sessrec/recommendations/", {"placement": "product_page"}).json()
    assert (answer["consent"], answer["personalised"], len(answer["items"])) == ("contextual", False, 8)
    assert send(visitor, an_event()).json()["rejected"] == [{"index": 0, "code": "no_consent"}]
    assert "sessrec" not in page.cookies
    assert not any(model.objects.exists() for model in ROWS)


def test_switched_on_again_consent_decides_and_a_new_visit_begins(visitor, stranger, products):
    visitor.get(f"/demo/product/{products[0].pk}/")
    before = session_of(visitor)
    switch(visitor, "off")
    assert toggle(visitor.get("/sessrec/why/"))["personalisation"] == "on"
    for client in (visitor, stranger):
        switched = switch(client, "on")
        assert switched.cookies["sessrec_off"]["max-age"] == 0
        client.get(f"/demo/product/{products[1].pk}/")
    assert Event.objects.get().session_id == session_of(visitor) != before
    assert "sessrec" not in stranger.cookies


def opted_in(_request):
    return "opt-in"


def test_where_the_browsers_signal_keeps_suggestions_off_the_switch_says_so(visitor, stranger, settings):
    says = "Your browser sends the signal Global Privacy Control"
    gpc = {"Sec-GPC": "1"}
    for client in (visitor, stranger):
        assert says not in client.get("/sessrec/why/", headers=gpc).content.decode()
        switch(client, "off")
        assert says not in client.get("/sessrec/why/").content.decode()
    assert says in visitor.get("/sessrec/why/", headers=gpc).content.decode()
    assert says not in stranger.get("/sessrec/why/", headers=gpc).content.decode()  # the shop's own no
    settings.SESSREC = settings.SESSREC | {"CONSENT": f"{__name__}.opted_in"}
    assert says not in visitor.get("/sessrec/why/", headers=gpc).content.decode()


@pytest.mark.parametrize("cookie", ["", "0", "11", "true", "é"])
def test_only_the_exact_value_switches_off(visitor, products, cookie):
    visitor.cookies["sessrec_off"] = cookie
    visitor.get(f"/demo/product/{products[0].pk}/")
    assert Event.objects.exists()


@pytest.mark.parametrize(
    "back",
    [
        "https://example.com/", "//example.com/", "/\\example.com", "///example.com", "javascript:alert(1)",
        "", "product/", "\x01//example.com", "/" + "a" * 9000,
    ],
)  # fmt: skip
def test_it_leads_back_to_a_page_of_the_shop_only(visitor, back):
    assert switch(visitor, "off", back)["Location"] == "/sessrec/why/"
    assert switch(visitor, "off", "/demo/%3Fpage=2")["Location"] == "/demo/?page=2"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {},
    ],
)
def test_no_other_site_switches(products, headers):
    client = Client(headers={"User-Agent": BROWSER["User-Agent"]})
    answer = switch(client, "off", **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert not answer.cookies


def test_a_browser_that_names_its_origin_only_may_switch_under_csrf_protection():
    client = Client(headers={"User-Agent": BROWSER["User-Agent"]}, enforce_csrf_checks=True)
    answer = switch(client, "off", Origin="http://testserver")
    assert set(answer.cookies) == {"sessrec_off"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("personalisation=maybe", 400),
        ("next=/", 400),
        ("", 400),
        ("&".join("a=1" for _ in range(99)), 400),
        ("personalisation=off&next=/" + "a" * 49_152, 413),
        (b"personalisation=\xff\xfe%ff", 400),
    ],
)
def test_a_body_that_is_no_such_form_is_refused(visitor, body, status):
    answer = visitor.post(ADDRESS, body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == status
    assert not answer.cookies


def test_only_a_form_switches(visitor):
    assert visitor.get(ADDRESS).status_code == 405
