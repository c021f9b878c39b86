"""Clients that mean harm or are broken: a clear refusal or a silent drop, no server error, no wrong row."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_sessrec.capture import rec_id
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, EventName
from tests.support.api import an_event

pytestmark = pytest.mark.django_db(transaction=True)

within_a_test = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# What a header can carry: Latin letters and signs, without the ends of lines and of a cookie.
header_text = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters=";,"), max_size=60
)
tokens_of_anybody = st.one_of(
    header_text,
    st.builds(lambda: rec_id.sign(uuid7(), uuid7())),  # another visit's
    st.text("ABCDwxyz0189-_=.", min_size=40, max_size=46),
)
addresses = st.sampled_from(
    [
        "/demo/product/{pk}/",
        "/sessrec/recommendations/",
        "/sessrec/my-data/",
        "/sessrec/my-visit/",
        "/sessrec/why/",
    ]
)


@pytest.fixture(autouse=True)
def _unthrottled(settings):
    rates = {"THROTTLE_EVENTS": "100000/min", "THROTTLE_RECOMMENDATIONS": "100000/min"}
    settings.SESSREC = settings.SESSREC | rates


@pytest.fixture
def whole():
    """A body that is right."""
    return json.dumps({"events": [an_event(item_id="naïve 茶"), an_event(price="9.90")]}, ensure_ascii=False)


def post(client, body):
    return client.post("/sessrec/events/", body, content_type="application/json")


@within_a_test
@given(address=addresses, visit=header_text, off=header_text)
def test_no_cookie_breaks_a_page(stranger, products, address, visit, off):
    cookies = f"consent=yes; sessrec={visit}; sessrec_off={off}"
    answer = stranger.get(
        address.format(pk=products[0].pk), {"placement": "product_page"}, headers={"cookie": cookies}
    )
    assert answer.status_code == 200


@within_a_test
@given(token=tokens_of_anybody, position=st.one_of(st.integers(), header_text))
def test_no_forged_link_is_a_click(visitor, products, token, position):
    answer = visitor.get(products[0].get_absolute_url(), {"sessrec": f"{token}.{position}"})
    assert answer.status_code == 200
    assert not Event.objects.filter(name=EventName.SELECT_ITEM).exists()


def test_another_shops_cookie_is_no_visit_of_ours(stranger, products):
    stranger.cookies["consent"] = "yes"
    stranger.cookies["sessrec"] = "GA1.2.1029384756.1699999999"
    stranger.get(products[0].get_absolute_url())
    assert Event.objects.get().session_id.version == 7


@within_a_test
@given(data=st.data())
def test_a_body_that_was_cut_off_is_refused_whole(visitor, whole, data):
    raw = whole.encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert post(visitor, raw[:cut]).status_code == 400
    assert not Event.objects.exists()


@within_a_test
@given(data=st.data())
def test_broken_bytes_are_refused_whole(visitor, whole, data):
    raw = whole.encode()
    place = data.draw(st.integers(0, len(raw)))
    assert post(visitor, raw[:place] + b"\xff\xfe\x80" + raw[place:]).status_code == 400
    assert not Event.objects.exists()


def test_ten_megabytes_are_refused_unread(visitor):
    answer = post(visitor, b'{"events": [' + b" " * 10_000_000 + b"]}")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("item_id", ["7" * 10_000, "é" * 10_000])
def test_an_id_of_ten_thousand_characters_names_nothing(visitor, products, item_id):
    answer = post(visitor, json.dumps({"events": [an_event(item_id=item_id)]}, ensure_ascii=False))
    assert answer.json()["rejected"] == [{"index": 0, "code": "item_id"}]
    assert visitor.get("/sessrec/slot/product_page/", {"item_id": item_id}).status_code == 400
    assert visitor.get(f"/demo/product/{item_id}/").status_code == 404
    assert not Event.objects.exists()
