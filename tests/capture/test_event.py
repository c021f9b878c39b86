"""What an event may hold."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.capture.event import EventError, event_from, impression_from, make, to_payload
from django_sessrec.ids import uuid7
from django_sessrec.models import EventName, Impression

SESSION = uuid7()


@pytest.mark.parametrize("name", EventName.values)
def test_the_whole_vocabulary_is_known(name):
    assert make(name, "42", session_id=SESSION).name == name


@pytest.mark.parametrize(
    ("alias", "name"),
    [("Product Viewed", "view_item"), ("add-to-cart", "add_to_cart"), ("Order Completed", "purchase")],
)
def test_segments_and_google_retails_names_are_understood(alias, name):
    assert make(alias, "42", session_id=SESSION).name == name


def test_an_orders_line_is_known_again():
    def line(order_id, item_id, name="purchase"):
        return make(name, item_id, session_id=SESSION, order_id=order_id).event_id.hex[13:]

    assert line("1001", "42") == line(1001, 42) == line("1001", "42", name="refund")
    assert len({line("1001", "42"), line("1002", "42"), line("1001", "43"), line("100", "142")}) == 4


def test_two_lines_of_one_product_in_an_order_are_told_apart():
    def line(**named):
        return make("purchase", "42", session_id=SESSION, order_id="1001", **named).event_id.hex[13:]

    assert line(line="S") == line(line="S") != line(line="M")
    assert line(line=7) == line(line="7")
    assert line() == line(line=None) != line(line="S")


@pytest.mark.parametrize("line", ["", True, 1.5, "x" * 201])
def test_a_line_is_short_text_or_a_whole_number(line):
    with pytest.raises(EventError, match="line") as refusal:
        make("purchase", "42", session_id=SESSION, order_id="1001", line=line)
    assert refusal.value.code == "line"


def test_a_line_needs_its_order():
    with pytest.raises(EventError, match="order_id") as refusal:
        make("purchase", "42", session_id=SESSION, line="S")
    assert refusal.value.code == "line"


@pytest.mark.parametrize("order_id", ["", True, 1.5, "x" * 201])
def test_an_order_id_is_short_text_or_a_whole_number(order_id):
    with pytest.raises(EventError, match="order id") as refusal:
        make("purchase", "42", session_id=SESSION, order_id=order_id)
    assert refusal.value.code == "order_id"


@pytest.mark.parametrize("name", ["view_category", "view_search_results"])
def test_a_search_or_a_category_needs_no_item(name):
    assert make(name, session_id=SESSION).item_id == ""


@pytest.mark.parametrize(
    ("code", "given_values"),
    [
        ("name", {"name": "page_view"}),
        ("item_id", {"item_id": ""}),
        ("item_id", {"item_id": "x" * 201}),
        ("item_id", {"item_id": "a\x00b"}),
        ("item_id", {"item_id": "lone surrogate \ud800"}),
        ("quantity", {"quantity": 0}),
        ("quantity", {"quantity": 10**9}),
        ("quantity", {"quantity": "2"}),
        ("quantity", {"quantity": True}),
        ("price", {"price": -1}),
        ("price", {"price": 10**10}),
        ("price", {"price": "NaN"}),
        ("price", {"price": float("inf")}),
        ("price", {"price": "ten"}),
        ("currency", {"currency": "euro"}),
        ("currency", {"currency": None}),
        ("position", {"position": -1}),
        ("position", {"position": 32_768}),
        ("event_id", {"event_id": UUID(int=1)}),
        ("time", {"event_id": uuid7(datetime.now(UTC) + timedelta(days=1))}),
        ("time", {"event_id": uuid7(datetime.now(UTC) - timedelta(days=91))}),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(code, given_values):
    with pytest.raises(EventError) as refusal:
        make(**{"name": "add_to_cart", "item_id": "42", "session_id": SESSION} | given_values)
    assert refusal.value.code == code


@pytest.mark.parametrize(("currency", "kept"), [("EUR", "9.12"), ("", "9.12"), ("KWD", "9.123")])
def test_prices_are_kept_to_the_smallest_coin(currency, kept):
    price = make("purchase", 42, session_id=SESSION, price=9.1234, currency=currency).price
    assert price == Decimal(kept)


@given(
    item_id=st.text(min_size=1, max_size=200),
    quantity=st.integers(1, 100_000),
    price=st.none() | st.decimals(0, 10**9, places=2),
    position=st.none() | st.integers(0, 1_000),
)
def test_an_event_survives_json(item_id, quantity, price, position):
    try:
        event = make(
            "add_to_cart", item_id, session_id=SESSION, quantity=quantity, price=price, position=position
        )
    except EventError:
        assert "\x00" in item_id
        return
    again = event_from(to_payload(event))
    assert to_payload(again) == to_payload(event)
    assert vars(again) | {"_state": None} == vars(event) | {"_state": None}


def test_an_impression_survives_json():
    shown = Impression(
        impression_id=uuid7(), shown_at=datetime.now(UTC), session_id=SESSION, placement="page", step="model",
        item_ids=["1", "2"], run_id=3, wanted=8, session_clicks=2, session_intents=1, duration_us=2_500,
    )  # fmt: skip
    again = impression_from(to_payload(shown))
    assert vars(again) | {"_state": None} == vars(shown) | {"_state": None}


def test_a_message_of_a_version_with_fewer_columns_is_understood():
    shown = Impression(
        impression_id=uuid7(), shown_at=datetime.now(UTC), session_id=SESSION, placement="page", step="model",
        item_ids=["1", "2"],
    )  # fmt: skip
    payload = to_payload(shown)
    for column in ("wanted", "session_clicks", "session_intents", "duration_us"):
        del payload[column]
    again = impression_from(payload)
    assert vars(again) | {"_state": None} == vars(shown) | {"_state": None}
