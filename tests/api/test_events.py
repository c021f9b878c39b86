"""POST events/: what is stored, what is refused and why, and that nothing breaks it."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_sessrec.capture import buffers, cookie
from django_sessrec.capture.event import CLOCK_SKEW
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Impression
from tests.support.api import BROWSER, an_event, send, unlike_any
from tests.support.capture import celery_on
from tests.support.visits import session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.urls")]


def codes(answer):
    return [(each["index"], each["code"]) for each in answer.json()["rejected"]]


def test_events_are_stored_under_the_cookies_session(visitor):
    answer = send(visitor, an_event(), an_event("add_to_cart", 7, price=9.9, quantity=2, currency="EUR"))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    viewed, carted = Event.objects.order_by("pk")
    assert viewed.session_id == carted.session_id == session_of(visitor)
    assert (viewed.name, viewed.item_id, viewed.source, viewed.bot) == ("view_item", "1", "browser", False)
    assert (carted.item_id, str(carted.price), carted.quantity, carted.currency) == ("7", "9.90", 2, "EUR")


def test_the_session_never_comes_from_the_body(visitor):
    body = {"session_id": str(uuid7()), "events": [an_event() | {"session_id": str(uuid7())}]}
    visitor.post("/sessrec/events/", body, content_type="application/json")
    assert Event.objects.get().session_id == session_of(visitor)


def test_twice_is_once(visitor):
    first, second = an_event(), an_event()
    assert send(visitor, first).json()["accepted"] == 1
    answer = send(visitor, first, second, second).json()
    assert answer == {"accepted": 1, "duplicates": 2, "rejected": []}
    assert Event.objects.count() == 2


def test_without_consent_there_is_neither_row_nor_cookie(stranger):
    answer = send(stranger, an_event(), {"event": "nonsense"})
    assert answer.status_code == 202
    assert codes(answer) == [(0, "no_consent"), (1, "no_consent")]
    assert not answer.cookies
    assert not Event.objects.exists()
    assert not FailedEvent.objects.exists()


def test_gpc_counts_as_no(visitor):
    assert codes(send(visitor, an_event(), **{"Sec-GPC": "1"})) == [(0, "no_consent")]


@pytest.mark.parametrize(
    ("alias", "name"), [("Product Viewed", "view_item"), ("add-to-cart", "add_to_cart"), ("search", None)]
)
def test_aliases(visitor, alias, name):
    send(visitor, an_event(alias))
    assert Event.objects.get().name == (name or "view_search_results")


def now(**shift):
    return datetime.now(UTC) + timedelta(**shift)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("text", "items"),
        (None, "items"),
        ([], "items"),
        ({}, "event_id"),
        (an_event("warp"), "name"),
        (an_event(["view_item"]), "event"),
        (an_event("purchase"), "server_only"),
        (an_event("Order Refunded"), "server_only"),
        (an_event() | {"event_id": "x"}, "event_id"),
        (an_event() | {"event_id": 7}, "event_id"),
        (an_event() | {"event_id": unlike_any()}, "event_id"),
        (an_event() | {"event_id": str(uuid7(now(days=1)))}, "time"),
        (an_event() | {"event_id": str(uuid7(now(hours=-25)))}, "time"),
        (an_event(item_id=""), "item_id"),
        (an_event(item_id="x" * 201), "item_id"),
        (an_event(item_id="a\0b"), "item_id"),
        (an_event(item_id="\ud800"), "item_id"),
        (an_event(item_id=["1"]), "item_id"),
        (an_event(item_id=True), "item_id"),
        (an_event(item_id=None), "item_id"),
        (an_event(item_id=7.5), "item_id"),
        (an_event() | {"items": [{"item_id": "1"}, {"item_id": "2"}]}, "items"),
        (an_event() | {"items": "1"}, "items"),
        (an_event(price="much"), "price"),
        (an_event(price=-1), "price"),
        (an_event(price=[1]), "price"),
        (an_event(price="NaN"), "price"),
        (an_event(price=1e300), "price"),
        (an_event(quantity=0), "quantity"),
        (an_event(quantity=10**30), "quantity"),
        (an_event(index=-1), "position"),
        (an_event(currency="euro"), "currency"),
        (an_event("select_item"), "rec_id"),
        (an_event("select_item", rec_id="forged"), "rec_id"),
        (an_event("select_item", rec_id="é" * 43), "rec_id"),
    ],
)
def test_a_wrong_event_is_refused_kept_and_costs_no_other(visitor, event, code):
    answer = send(visitor, event, an_event())
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert codes(answer) == [(0, code)]
    kept = FailedEvent.objects.get()
    assert (kept.code, kept.session_id) == (code, session_of(visitor))


@pytest.mark.parametrize("item_id", ["ताज़ी-चाय", "绿茶", "🍵", "' OR 1=1 --", "<b>", "x" * 200, 10**100])
def test_ids_of_any_script(visitor, item_id):
    assert send(visitor, an_event(item_id=item_id)).json()["accepted"] == 1
    assert Event.objects.get().item_id == str(item_id)


def test_twenty_refused_events_are_kept_in_the_queries_of_one(visitor):
    def queries(*events):
        with CaptureQueriesContext(connection) as captured:
            send(visitor, *events)
        return len(captured)

    queries(an_event())  # begins the visit
    wrong = [an_event("warp"), an_event(quantity=0)] * 10
    assert queries(wrong[0]) == queries(*wrong)
    assert Counter(FailedEvent.objects.values_list("code", flat=True)) == {"name": 11, "quantity": 10}


def test_what_is_kept_names_nobody(visitor):
    send(visitor, an_event("warp") | {"email": "ann@example.com", "url": "https://example.com/?utm=x"})
    assert "example.com" not in json.dumps(FailedEvent.objects.get().payload)


def test_of_the_list_that_a_refused_event_names_only_a_placement_is_kept(visitor):
    for list_id in ("product_page", "/search?q=ann@example.com", ["product_page"]):
        send(visitor, an_event("warp") | {"item_list_id": list_id})
    kept = FailedEvent.objects.order_by("pk").values_list("payload__item_list_id", flat=True)
    assert list(kept) == ["product_page", None, None]


def test_a_click_on_a_list_of_this_visit(visitor, products):
    shown = visitor.get("/sessrec/recommendations/", {"placement": "product_page"}).json()
    clicked = shown["items"][1]["item_id"]
    answer = send(visitor, an_event("select_item", clicked, rec_id=shown["rec_id"], index=2))
    assert answer.json()["accepted"] == 1
    event = Event.objects.get()
    assert event.impression == Impression.objects.get()
    assert event.position == 2


def test_a_list_of_another_visit_is_no_proof(visitor, products):
    shown = visitor.get("/sessrec/recommendations/", {"placement": "product_page"}).json()
    other = Client(headers=BROWSER)
    other.cookies["consent"] = "yes"
    assert codes(send(other, an_event("select_item", rec_id=shown["rec_id"]))) == [(0, "rec_id")]


def seen(rec_id, **fields):
    return {"event_id": str(uuid7()), "event": "view_item_list", "rec_id": rec_id, **fields}


def test_a_list_is_seen_once_however_often_it_is_told(visitor, products):
    shown = visitor.get("/sessrec/recommendations/", {"placement": "product_page"}).json()
    told = [seen(shown["rec_id"]), seen(shown["rec_id"], items=[{"item_id": "1"}, {"item_id": "2"}])]
    assert send(visitor, *told).json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert send(visitor, seen(shown["rec_id"]) | {"event": "Product List Viewed"}).json()["duplicates"] == 1
    event, impression = Event.objects.get(), Impression.objects.get()
    assert (event.name, event.item_id, event.impression) == ("view_item_list", "", impression)
    assert event.occurred_at == impression.shown_at
    assert visitor.get("/sessrec/my-data/").json()["events"][0]["name"] == "view_item_list"


def test_a_list_that_this_visit_was_not_shown_was_not_seen(visitor):
    assert codes(send(visitor, seen("forged"), seen(""))) == [(0, "rec_id"), (1, "rec_id")]


def test_sensitive_products_leave_no_trace(visitor, products):
    products[3].sensitive = True
    products[3].save()
    answer = send(visitor, an_event(item_id=str(products[3].pk)), an_event(item_id=str(products[4].pk)))
    assert codes(answer) == [(0, "not_counted")]
    assert [event.item_id for event in Event.objects.all()] == [str(products[4].pk)]
    assert not FailedEvent.objects.exists()


def test_a_bots_events_are_marked(visitor):
    assert send(visitor, an_event(), **{"User-Agent": "curl/8.5"}).json()["bot"]
    assert Event.objects.get().bot


def test_late_events_of_an_erased_visit_are_dropped(visitor):
    late = an_event()
    send(visitor, an_event())
    session_id = session_of(visitor)
    assert visitor.delete("/sessrec/my-data/").status_code == 200
    visitor.cookies["sessrec"] = cookie.text_of(session_id)
    answer = send(visitor, late)
    assert codes(answer) == [(0, "withdrawn")]
    assert answer.cookies["sessrec"]["max-age"] == 0
    assert not Event.objects.exists()
    assert send(visitor, an_event()).json()["accepted"] == 1
    assert session_of(visitor) != session_id


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 202),
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[bad"}, 403),
        ({}, 403),
    ],
)
def test_only_the_shops_own_pages(headers, status):
    client = Client()
    client.cookies["consent"] = "yes"
    answer = send(client, an_event(), **headers)
    assert answer.status_code == status
    if status == 403:
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "foreign_origin"
        assert not answer.cookies


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"\xff\xfe\xfd", 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b'{"events": {}}', 400, "malformed"),
        (b'{"events": [NaN]}', 400, "malformed"),
        (b"[" * 40_000, 400, "malformed"),
        (json.dumps({"events": [{}] * 51}).encode(), 400, "too_many"),
        (b'{"events": [' + b" " * 50_000 + b"]}", 413, "too_large"),
        (b'{"events": ["' + b"x" * 10_000_000 + b'"]}', 413, "too_large"),
    ],
)
def test_wrong_bodies_are_problems_with_a_code(visitor, body, status, code):
    answer = visitor.post("/sessrec/events/", body, content_type="application/json")
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["detail"]


def test_send_beacons_text_is_read(visitor):
    body = json.dumps({"events": [an_event()]})
    answer = visitor.post("/sessrec/events/", body, content_type="text/plain;charset=UTF-8")
    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize("minutes", [6, 10, 61, 2_000])
def test_a_browsers_fast_clock_is_corrected_by_when_it_sent(visitor, minutes):
    theirs = now(hours=minutes / 60)
    event = an_event() | {"event_id": str(uuid7(theirs))}
    body = {"sent_at": theirs.isoformat(), "events": [event]}
    for _ in range(2):
        answer = visitor.post("/sessrec/events/", body, content_type="application/json")
        assert answer.json()["rejected"] == []
    stored = Event.objects.get()
    assert abs(stored.occurred_at - now()) < CLOCK_SKEW


@pytest.mark.parametrize("minutes", [1, 4, 10, 61, 1_400])
def test_a_body_that_is_sent_again_much_later_is_the_same_events(visitor, minutes):
    then = now(minutes=-minutes)
    event = an_event() | {"event_id": str(uuid7(then))}
    assert send(visitor, event).json()["accepted"] == 1  # as its sender did then
    body = {"sent_at": then.isoformat(), "events": [event]}
    answer = visitor.post("/sessrec/events/", body, content_type="application/json")
    assert answer.json() == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert abs(Event.objects.get().occurred_at - then) < timedelta(seconds=1)


@pytest.mark.parametrize("sent_at", [None, "", "soon", 7, "2026-01-01T00:00:00", "9999-12-31T23:59:59Z"])
def test_a_sent_at_that_says_nothing_is_ignored_or_refuses_the_event(visitor, sent_at):
    body = {"sent_at": sent_at, "events": [an_event()]}
    answer = visitor.post("/sessrec/events/", body, content_type="application/json")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == (0 if sent_at and "9999" in str(sent_at) else 1)


def test_what_is_null_is_left_out(visitor):
    event = an_event(quantity=None, price=None, index=None) | {"currency": None}
    assert send(visitor, event).json()["accepted"] == 1
    assert Event.objects.get().quantity == 1
    assert send(visitor, an_event("search", item_id=None)).json()["accepted"] == 1
    nothing_else = {"ts": None, "rec_id": None, "item_list_id": None, "items": None}
    assert send(visitor, an_event("search") | nothing_else).json()["accepted"] == 1


@pytest.mark.parametrize("empty", [0, "", False, {}])
def test_what_is_no_list_of_items_is_not_left_out(visitor, empty):
    answer = send(visitor, an_event("search") | {"items": empty}).json()
    assert [each["code"] for each in answer["rejected"]] == ["items"]


def test_the_schema_says_where_null_is_taken(client):
    schemas = client.get("/sessrec/schema/?format=json").json()["components"]["schemas"]
    item = schemas["EventItem"]
    assert item["properties"]["quantity"]["nullable"]
    assert "nullable" not in item["properties"]["item_id"]


def test_staffs_browsers_are_not_counted(visitor, admin_user):
    visitor.force_login(admin_user)
    answer = send(visitor, an_event())
    assert codes(answer) == [(0, "not_counted")]
    assert not Event.objects.exists()


def test_where_the_shops_own_filter_fails_nothing_is_counted(visitor, settings, caplog):
    settings.SESSREC = settings.SESSREC | {"IGNORE_REQUEST": "tests.capture.shop.broken"}
    answer = send(visitor, an_event())
    assert (answer.status_code, codes(answer)) == (202, [(0, "not_counted")])
    assert not answer.cookies
    assert not Event.objects.exists()
    assert "does IGNORE_REQUEST fail?" in caplog.text


def test_no_session_is_read_and_no_csrf_token_needed(visitor):
    client = Client(headers=BROWSER, enforce_csrf_checks=True)
    client.cookies["consent"] = "yes"
    answer = send(client, an_event())
    assert answer.status_code == 202
    assert "Cookie" not in answer.get("Vary", "")
    assert "sessionid" not in answer.cookies


def test_without_tables_it_still_answers(visitor):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")
    assert send(visitor, an_event()).status_code == 202


def test_what_no_place_has_room_for_is_not_accepted(visitor, monkeypatch, tmp_path):
    monkeypatch.setattr(buffers, "MAX_ROWS", 1)
    with celery_on(f"redis+socket://{tmp_path}/nobody.sock"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")
        assert send(visitor, an_event()).json() == {"accepted": 1, "duplicates": 0, "rejected": []}
        answer = send(visitor, an_event("nonsense"), an_event())
    assert answer.json()["accepted"] == 0
    assert codes(answer) == [(0, "name"), (1, "not_kept")]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["event_id", "event", "ts", "rec_id", "items", "currency", "item_list_id"])
item_fields = st.sampled_from(["item_id", "index", "price", "quantity"])
wild_items = st.lists(st.dictionaries(item_fields, json_values), max_size=2)
wild_events = st.builds(
    lambda event, wild, items: {**event, **wild, **({"items": items} if items else {})},
    st.builds(an_event, st.sampled_from(["view_item", "select_item", "add_to_cart", "search"])),
    st.dictionaries(fields, json_values, max_size=2),
    wild_items,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=json_values | st.fixed_dictionaries({"events": st.lists(wild_events | json_values, max_size=4)}))
def test_no_body_breaks_it(visitor, body, settings):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "1000000/min"}
    answer = visitor.post("/sessrec/events/", json.dumps(body), content_type="application/json")
    assert answer.status_code in {202, 400, 413}
    if answer.status_code == 202:
        told = answer.json()
        assert told["accepted"] + told["duplicates"] + len(told["rejected"]) == len(body["events"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_no_bytes_break_it(visitor, body, settings):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_EVENTS": "1000000/min"}
    assert visitor.post("/sessrec/events/", body, content_type="application/json").status_code in {202, 400}
