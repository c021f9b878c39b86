"""Sensitive goods: whatever they are and whenever they became so, they leave no trace and are never shown."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_sessrec import events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Impression
from django_sessrec.recommendations import get_recommendations
from django_sessrec.training.dataset import read
from tests.demo.models import Product
from tests.support.api import an_event

pytestmark = pytest.mark.django_db

ITEMS = 30
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
few = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@few
@given(
    secret=st.sets(st.integers(0, ITEMS - 1), min_size=1, max_size=ITEMS // 2),
    visit=st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=8),
)
def test_sensitive_goods_are_not_captured_trained_shown_or_a_reason(
    secret,
    visit,
    products,
    trails,
    promote,
    placement,
    visitor,
):
    promote(trails)  # before any of them was sensitive
    hidden = {str(products[n].pk) for n in secret}
    Product.objects.update(sensitive=False)
    Product.objects.filter(pk__in=hidden).update(sensitive=True)
    placement(PINNED=sorted(hidden)[:2], SPONSORED=sorted(hidden)[2:4])
    for model in (Event, Impression, FailedEvent):
        model.objects.all().delete()

    for n in visit:
        item_id = str(products[n].pk)
        page = visitor.get(f"/demo/product/{item_id}/")
        assert page.status_code == 200
        visitor.post(
            "/sessrec/events/",
            {"events": [an_event("add_to_cart", item_id)]},
            content_type="application/json",
            headers=SAME_ORIGIN,
        )
        for slot in (
            get_recommendations(page.wsgi_request, "product_page", item=item_id),
            get_recommendations(None, "product_page"),
        ):
            assert not hidden & {item.item_id for item in slot.items}
            assert not hidden & {because for item in slot.items for because in item.because}

    captured = set(Event.objects.values_list("item_id", flat=True))
    shown = {item_id for ids in Impression.objects.values_list("item_ids", flat=True) for item_id in ids}
    assert captured == {str(products[n].pk) for n in visit} - hidden
    assert not hidden & shown
    assert not FailedEvent.objects.exists()
    now = datetime.now(UTC)
    log, _ = read(now - timedelta(days=1), now + timedelta(minutes=1))
    assert not hidden & set(log.index.ids)


class Named:
    """An object of no catalogue, whose text is a product's name."""

    pk = None

    def __str__(self):
        return "Pregnancy test"


def an_empty_page(visitor, product):
    """One that captures nothing by itself, of a visitor who has a session."""
    visitor.get(f"/demo/product/{product.pk}/")
    return visitor.get("/demo/product/99999/plain/")


def refused_by_the_page(page, item):
    page.wsgi_request.sessrec.record("add_to_cart", item, price="12,50")
    page.wsgi_request.sessrec.finish(page)


def refused_by_the_api(visitor, *events):
    answer = visitor.post(
        "/sessrec/events/", {"events": events}, content_type="application/json", headers=SAME_ORIGIN
    )
    assert len(answer.json()["rejected"]) == len(events)


@pytest.fixture
def secret(products):
    product = products[0]
    Product.objects.filter(pk=product.pk).update(sensitive=True)
    return product


@pytest.mark.parametrize("as_told", [lambda item: item, lambda item: item.pk, lambda item: float(item.pk)])
def test_a_wrong_event_of_sensitive_goods_is_not_kept_either(as_told, secret, products, visitor):
    page = an_empty_page(visitor, products[1])
    refused_by_the_page(page, as_told(secret))
    assert not FailedEvent.objects.exists()
    refused_by_the_page(page, as_told(products[1]))
    assert FailedEvent.objects.get().payload["item_id"] == str(products[1].pk)


def test_nor_one_of_the_browsers(secret, products, visitor):
    late = an_event("select_item", item_id=secret.pk) | {"rec_id": "expired"}
    several = an_event() | {"items": [{"item_id": str(secret.pk)}, {"item_id": "2"}]}
    others = an_event("add_to_cart", float(secret.pk), price="12,50"), an_event("nonsense", str(secret.pk))
    refused_by_the_api(visitor, late, several, *others)
    assert not FailedEvent.objects.exists()
    refused_by_the_api(visitor, an_event("nonsense", products[1].pk), an_event("nonsense", str(secret.pk)))
    assert FailedEvent.objects.get().payload["item_id"] == str(products[1].pk)


def test_where_nobody_can_say_what_is_sensitive_nothing_wrong_is_kept(products, visitor, monkeypatch, caplog):
    def unknown(catalogue, item_ids):
        raise RuntimeError("the shop's own mistake")

    monkeypatch.setattr("tests.demo.recommendations.DemoCatalogue.sensitive", unknown)
    refused_by_the_api(visitor, an_event("nonsense", products[1].pk))
    refused_by_the_page(an_empty_page(visitor, products[1]), products[1])
    assert not FailedEvent.objects.exists()
    assert "could not say which items are sensitive" in caplog.text


def test_what_names_no_item_is_kept_without_its_text(products, visitor):
    refused_by_the_page(an_empty_page(visitor, products[1]), Named())
    refused_by_the_api(visitor, an_event(item_id=["Pregnancy test"]))
    kept = [f"{each.payload} {each.detail}" for each in FailedEvent.objects.all()]
    assert len(kept) == 2
    assert "Pregnancy" not in "".join(kept)


@few
@given(secret=st.sets(st.integers(0, ITEMS - 1), min_size=1, max_size=ITEMS // 2))
def test_what_becomes_sensitive_later_is_trained_on_no_more(secret, products, visitor):
    Product.objects.update(sensitive=False)
    Event.objects.all().delete()
    for product in products[:ITEMS:3]:
        visitor.get(f"/demo/product/{product.pk}/")
    hidden = {str(products[n].pk) for n in secret}
    Product.objects.filter(pk__in=hidden).update(sensitive=True)
    now = datetime.now(UTC)
    log, counts = read(now - timedelta(days=1), now + timedelta(minutes=1))
    viewed = {str(product.pk) for product in products[:ITEMS:3]}
    assert set(log.index.ids) - {""} == viewed - hidden
    assert counts.sensitive_clicks == len(viewed & hidden)


def test_a_query_of_the_catalogues_that_fails_leaves_the_shops_transaction_whole(products, monkeypatch):
    def fails(catalogue, item_ids):
        return Product.objects.raw("SELECT nonsense")[0]

    monkeypatch.setattr("tests.demo.recommendations.DemoCatalogue.sensitive", fails)
    with transaction.atomic():
        events.record(session_id=uuid7(), name="purchase", item_id=products[1].pk)
        Product.objects.create(name="the shop's own")
    assert Product.objects.filter(name="the shop's own").exists()
    assert not Event.objects.exists()
