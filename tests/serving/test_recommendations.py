"""What a visitor is shown: the list follows the visit, and it is full whatever is known."""

from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import RequestFactory

from django_sessrec.models import Event, Impression
from django_sessrec.recommendations import Recommendations, aget_recommendations, get_recommendations
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.demo.models import Product
from tests.support.capture import reconnected
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db


def ids(recs: Recommendations) -> list[str]:
    return [item.item_id for item in recs.items]


def test_list_follows_each_click(visitor, products, trails, promote):
    run = promote(trails)
    evens = {str(product.pk) for product in products[0::2]}

    def shown_after(product: Product) -> Impression:
        visitor.get(product.get_absolute_url())
        return Impression.objects.latest("shown_at")

    first = shown_after(products[8])
    assert set(first.item_ids) <= evens
    assert (first.step, first.model, first.run_id) == ("model", "neighbours", run.pk)
    then = shown_after(products[15])
    assert set(then.item_ids[:4]) - evens, "the odd click is heard"
    assert str(products[15].pk) not in then.item_ids


def test_click_that_made_the_page_is_heard_before_it_is_stored(products, trails, promote):
    promote(trails)
    recs = get_recommendations(request_of(), "product_page", item=products[8])
    assert not Event.objects.exists()
    assert recs.personalised
    assert {item.because for item in recs.items} == {(str(products[8].pk),)}
    assert recs.items[0].because_title == "tea 8"


def test_ids_and_objects_name_the_same_item(products, trails, promote):
    promote(trails)
    assert ids(get_recommendations(request_of(), "product_page", item=products[8])) == ids(
        get_recommendations(request_of(), "product_page", item=str(products[8].pk))
    )


def test_headless_client_brings_its_items(products, trails, promote):
    promote(trails)
    recs = get_recommendations(request_of(), "product_page", items=[products[0].pk, products[2].pk], limit=3)
    assert len(recs.items) == 3
    assert {reason for item in recs.items for reason in item.because} <= {
        str(products[0].pk),
        str(products[2].pk),
    }


def test_brought_items_are_not_heard_without_consent(products, trails, promote):
    promote(trails)
    recs = get_recommendations(request_of("no"), "product_page", items=[products[0].pk], limit=3)
    assert len(recs.items) == 3
    assert not recs.personalised
    assert not any(item.because for item in recs.items)


def test_contextual_slot_is_full_and_leaves_nothing(stranger, products, trails, promote):
    promote(trails)
    page = stranger.get(products[8].get_absolute_url())
    assert page.content.count(b'<li class="sessrec__item"') == 8
    assert b"sessrec=" not in page.content
    assert not page.cookies
    assert not Impression.objects.exists()
    assert not Event.objects.exists()


def test_contextual_list_hears_the_item_on_screen_only(products, trails, promote):
    promote(trails)
    recs = get_recommendations(request_of("no"), "product_page", item=products[8])
    assert (
        recs.consent,
        recs.personalised,
        recs.rec_id,
        recs.impression_id,
    ) == (
        "contextual",
        False,
        None,
        None,
    )
    assert {item.reason for item in recs.items} == {"neighbours"}


def test_opted_out_browser_is_contextual(products, trails, promote):
    promote(trails)
    assert (
        get_recommendations(request_of("yes", sec_gpc="1"), "product_page", item=products[8]).consent
        == "contextual"
    )


def test_works_without_the_middleware(products, trails, promote):
    promote(trails)
    recs = get_recommendations(RequestFactory().get("/"), "product_page", item=products[8])
    assert len(recs.items) == 8
    assert recs.consent == "contextual"


def test_works_without_a_request(products):
    assert len(get_recommendations(None, "product_page").items) == 8


def test_link_names_the_impression_and_its_click_counts(visitor, products, trails, promote):
    promote(trails)
    visitor.get(products[8].get_absolute_url())
    shown = Impression.objects.get()
    page = visitor.get(products[8].get_absolute_url()).content.decode()
    link = page.split('class="sessrec__card" href="')[2].split('"')[0]
    visitor.get(link)
    click = Event.objects.get(name="select_item")
    assert click.position == 2
    assert click.impression_id != shown.impression_id
    assert click.item_id == Impression.objects.get(pk=click.impression_id).item_ids[1]


def test_impression_is_the_list_as_shown(products, trails, promote):
    promote(trails)
    request = request_of()
    recs = get_recommendations(request, "product_page", item=products[8])
    (impression,) = request.sessrec._impressions
    assert impression.item_ids == ids(recs)
    assert impression.reasons == [item.reason for item in recs.items]
    assert impression.pk == recs.impression_id
    assert isinstance(impression.session_id, UUID)


def test_positions_count_from_one(products):
    recs = get_recommendations(request_of(), "product_page", item=products[8])
    assert [item.position for item in recs.items] == list(range(1, 9))


def test_limit_of_a_client_is_bounded(products):
    assert len(get_recommendations(None, "product_page", limit=10**9).items) == len(products)
    assert len(get_recommendations(None, "product_page", limit=-5).items) == 1


def test_items_of_the_visit_may_return_where_the_placement_shows_them_but_not_the_one_on_screen(
    products, trails, promote, placement
):
    promote(trails)
    placement(HIDE_VIEWED=False)
    recs = get_recommendations(
        request_of(), "product_page", items=[products[2].pk, products[8].pk], item=products[8]
    )
    returned = next(item for item in recs.items if item.item_id == str(products[2].pk))
    assert returned.reason == "viewed"
    assert str(products[8].pk) not in ids(recs)


def test_a_list_hides_what_the_visit_saw(products, trails, promote):
    promote(trails)
    recs = get_recommendations(
        request_of(), "product_page", items=[products[2].pk, products[8].pk], item=products[8]
    )
    assert len(recs.items) == 8
    assert not {str(products[2].pk), str(products[8].pk)} & set(ids(recs))


def test_real_sized_model_beats_the_fallback_on_the_synthetic_shop(db, promote):
    shop = synthetic_shop(items=100, groups=5, sessions=1_000)
    Product.objects.bulk_create(Product(pk=row, name=f"item {row}") for row in range(1, 101))
    promote([[str(row) for row in shop.log[n]] for n in range(len(shop.log))])
    hits = sum(
        str(shop.follows[row][0]) in ids(get_recommendations(None, "product_page", item=row))
        for row in range(1, 101)
    )
    assert hits > 80


@pytest.mark.django_db(transaction=True)
def test_async_view_fills_its_slot_before_it_renders(products, trails, promote):
    promote(trails)
    recs = async_to_sync(aget_recommendations)(RequestFactory().get("/"), "product_page", item=products[8])
    assert recs.step == "model"
    assert len(recs.items) == 8


@pytest.mark.django_db(transaction=True)
def test_tag_on_the_event_loop_is_empty_and_says_why(products, caplog):
    async def view() -> Recommendations:
        return get_recommendations(RequestFactory().get("/"), "product_page")

    assert async_to_sync(view)().items == []
    assert "SynchronousOnlyOperation" in caplog.text


def test_no_product_is_twice_on_a_page(products, trails, promote, placement, settings):
    promote(trails)
    placement()
    settings.SESSREC["PLACEMENTS"]["below"] = {"MODELS": ["neighbours"], "LIMIT": 8}
    request = request_of()
    above = get_recommendations(request, "product_page", item=products[8])
    below = get_recommendations(request, "below", item=products[8])
    assert len(above.items) == len(below.items) == 8
    assert not {*ids(above)} & {*ids(below)}
    again = get_recommendations(request, "product_page", item=products[8])
    assert ids(again) == ids(above), "a placement asked twice is the same list"
    assert ids(get_recommendations(request_of(), "below", item=products[8])) == ids(above), "another page"


def test_one_placement_for_several_categories_shows_no_product_twice(products, placement):
    placement(MODELS=[])
    Product.objects.filter(pk__in=[each.pk for each in products[10:12]]).update(category="pot")
    request = request_of()
    lists = [
        ids(get_recommendations(request, "product_page", category=category))
        for category in (["pot"], ["pot", "cup"], ["tea"])
    ]
    shown = [item_id for found in lists for item_id in found]
    assert [len(found) for found in lists] == [8, 8, 8]
    assert len({*shown}) == len(shown)


def test_a_list_leaves_out_what_its_caller_names(products, trails, promote):
    promote(trails)
    shown = get_recommendations(None, "product_page", item=products[8])
    rest = get_recommendations(
        None, "product_page", item=products[8], leave_out=[products[10], *ids(shown)[:2]]
    )
    assert not {str(products[10].pk), *ids(shown)[:2]} & {*ids(rest)}
    assert len(rest.items) == 8


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_keeps_its_statements_asks_for_what_is_in_stock_now(products, trails, promote):
    promote(trails)
    kept = {"server_side_binding": True, "prepare_threshold": 2}
    with reconnected(OPTIONS=connection.settings_dict["OPTIONS"] | kept):
        lists = [ids(get_recommendations(request_of(), "product_page", item=products[8])) for _ in range(6)]
        Product.objects.filter(pk=lists[0][0]).update(stock=0)
        without = ids(get_recommendations(request_of(), "product_page", item=products[8]))
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%= ANY%'")
            assert cursor.fetchone() == (1,), "the list's products"
    assert lists == [lists[0]] * 6
    assert len(without) == 8
    assert lists[0][0] not in without


@pytest.mark.parametrize("given", ["an object", "a text", "among rubbish"])
def test_one_product_to_leave_out_need_not_stand_in_a_list(products, trails, promote, given):
    promote(trails)
    first = get_recommendations(None, "product_page", item=products[8]).items[0]
    kinds = {"an object": first.item, "a text": first.item_id, "among rubbish": [None, 1.5, first.item]}
    rest = get_recommendations(None, "product_page", item=products[8], leave_out=kinds[given])
    assert len(rest.items) == 8
    assert first.item_id not in ids(rest)


@pytest.mark.parametrize("nothing", [None, "", [], 0.5])
def test_nothing_to_leave_out_leaves_nothing_out(products, nothing):
    assert len(get_recommendations(None, "product_page", leave_out=nothing).items) == 8


def test_what_names_no_item_is_left_out_of_what_is_left_out(products, caplog):
    assert len(get_recommendations(None, "product_page", leave_out=[1.5]).items) == 8
    assert "could not tell the id of an item" in caplog.text
