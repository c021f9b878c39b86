"""my-visit/: what is kept of a visit as its visitor reads it, and the button that erases it."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.utils import translation

from django_sessrec.api import my_visit
from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Impression, Quarantine
from django_sessrec.operations.quarantine import release
from tests.demo.models import Product
from tests.support.api import an_event, send
from tests.support.history import buy
from tests.support.markup import Markup
from tests.support.visits import session_of

PAGE = "/sessrec/my-visit/"

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.urls")]


@pytest.fixture
def told(visitor):
    """The page's text: told(), or told(browser)."""

    def read(browser: Client = visitor, status: int = 200, address: str = PAGE) -> str:
        page = browser.get(address)
        assert page.status_code == status
        assert "no-store" in page["Cache-Control"]
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page.content.decode())))

    return read


def test_a_visitor_reads_what_was_clicked_and_shown(visitor, products, told):
    send(
        visitor,
        an_event(item_id=str(products[3].pk)),
        an_event("add_to_cart", str(products[4].pk), price="9.90", quantity=2) | {"currency": "EUR"},
    )
    visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    page = told()
    assert "Product viewed: tea 3" in page
    assert "Added to basket: tea 4 2 \N{MULTIPLICATION SIGN} 9.90 EUR" in page
    [impression] = Impression.objects.all()
    shown = [str(Product.objects.get(pk=item_id)) for item_id in impression.item_ids]
    assert shown
    assert f": {', '.join(shown)}" in page
    assert f"The number of your visit: {session_of(visitor)}" in page


@pytest.mark.parametrize(("limit", "heading"), [(1, "Bestsellers"), (4, "You may also like")])
def test_a_list_is_named_after_a_step_only_where_it_made_all_of_it(
    visitor, products, placement, told, limit, heading
):
    bought_at = datetime.now(UTC) - timedelta(days=1)
    buy(uuid7(bought_at), bought_at, str(products[5].pk), "9.90")
    placement(STEPS=["best_sellers", "new"])
    send(visitor, an_event())
    visitor.get("/sessrec/recommendations/", {"placement": "product_page", "limit": limit})
    page = told()
    assert {*re.findall("Bestsellers|You may also like", page)} == {heading}
    assert f"{heading}: {products[5]}" in page


def test_a_product_that_the_shop_no_longer_shows_stands_there_by_its_id(visitor, products, told):
    sold, gone = products[3], str(products[4].pk)
    send(visitor, an_event(item_id=str(sold.pk)), an_event(item_id=gone))
    Product.objects.filter(pk=sold.pk).update(stock=0)
    Product.objects.filter(pk=gone).delete()
    page = told()
    assert f"Product viewed: {sold.pk} " in page
    assert f"Product viewed: {gone} " in page


def test_where_clicks_come_by_a_stream_the_latest_may_be_missing(visitor, settings, told):
    send(visitor, an_event())
    late = "What you did in the last few seconds may still be missing."
    assert late not in told()
    settings.SESSREC = settings.SESSREC | {"STREAM_URL": "unix:///nowhere.sock"}
    assert late in told()
    Event.objects.all().delete()
    assert late in told()


def test_a_catalogue_that_fails_leaves_the_ids(visitor, products, told, monkeypatch):
    send(visitor, an_event(item_id=str(products[3].pk)))
    monkeypatch.setattr("tests.demo.recommendations.DemoCatalogue.resolve", lambda *_: 1 / 0)
    assert f"Product viewed: {products[3].pk} " in told()


def test_of_a_long_visit_the_latest_is_told_and_where_the_rest_is(visitor, products, told, monkeypatch):
    monkeypatch.setattr(my_visit, "MAX_EVENTS", 2)
    monkeypatch.setattr(my_visit, "MAX_LISTS", 1)
    for product in products[:3]:
        send(visitor, an_event(item_id=str(product.pk)))
        visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    page = told()
    assert page.index("Product viewed: tea 2") < page.index("Product viewed: tea 1")
    assert "Product viewed: tea 0" not in page
    assert "The latest 2 of 3; the others are in the file." in page
    assert "The latest 1 of 3; the others are in the file." in page


def test_what_is_odd_about_a_visit_is_told_in_words(visitor, told):
    send(visitor, an_event(), an_event("add_to_cart", "7", price="12,50"))
    Quarantine.objects.create(session_id=session_of(visitor), reason="flood", clicks=99)
    page = told()
    assert FailedEvent.objects.count() == 1
    assert "1 event of your visit was refused, and is kept as it came." in page
    assert "The reason: more clicks in a minute than a person makes." in page
    release(Quarantine.objects.all(), "ann", "a test")
    assert "Suggestions do not learn from this visit" not in told()


def test_a_visit_that_was_erased_elsewhere_is_told_so(visitor, told):
    send(visitor, an_event())
    cookie = visitor.cookies["sessrec"].value
    visitor.delete("/sessrec/my-data/")
    visitor.cookies["sessrec"] = cookie
    assert "Consent to this visit was withdrawn, or it was erased, on" in told()


@pytest.mark.parametrize("cookie", [None, "", "x", "é", f"{'0' * 8}-0000-7000-8000-{'0' * 12}.x"])
def test_who_brings_no_visit_reads_how_long_an_earlier_one_is_kept(visitor, stranger, settings, told, cookie):
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": 45, "SESSION_IDLE_MINUTES": 20}
    send(visitor, an_event())
    if cookie is not None:
        stranger.cookies["sessrec"] = cookie
    page = told(stranger)
    assert "Your browser has no cookie of a visit" in page
    assert "An earlier visit that was not erased is deleted after 45 days." in page
    assert "while your browser has its cookie: until 20 minutes after your last activity." in page
    assert "Nothing is kept" not in page
    assert "a new visit begins" not in page
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": None}
    assert "An earlier visit that was not erased is kept without a time limit." in told(stranger)
    assert stranger.post(PAGE).status_code == 303
    assert Event.objects.count() == 1


def test_one_click_erases_the_visit_and_says_what_comes_next(visitor, products, told):
    send(visitor, an_event())
    visitor.get("/sessrec/recommendations/", {"placement": "product_page"})
    answer = visitor.post(PAGE)
    assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}?erased=yes")
    assert answer.cookies["sessrec"].value == ""
    assert not Event.objects.exists()
    assert not Impression.objects.exists()
    page = told(address=answer["Location"])
    assert "Your visit has been erased." in page
    assert '<p role="status">' in visitor.get(answer["Location"]).content.decode()
    assert "Your browser has no cookie of a visit" in page
    assert "With the next product that you look at, a new visit begins" in page


def test_who_clicks_after_the_cookie_has_ended_is_told_that_nothing_was_erased(visitor, told):
    send(visitor, an_event())
    del visitor.cookies["sessrec"]
    answer = visitor.post(PAGE)
    assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}?erased=no")
    assert Event.objects.count() == 1
    page = told(address=answer["Location"])
    assert "Nothing was erased: your browser no longer had the cookie of your visit." in page
    assert "has been erased" not in page


def test_an_address_that_comes_back_tells_of_no_erasure_to_who_has_a_visit(visitor, stranger, told):
    send(visitor, an_event())
    for address in (f"{PAGE}?erased=yes", f"{PAGE}?erased=no"):
        page = told(address=address)
        assert "Product viewed" in page
        assert "has been erased" not in page
        assert "Nothing was erased" not in page
    assert "has been erased" not in told(stranger, address=f"{PAGE}?erased=maybe")


def test_of_a_visit_that_has_just_begun_nothing_is_kept(visitor, told):
    visitor.cookies["sessrec"] = cookie.text_of(uuid7())
    assert "Nothing is kept of your visit." in told()


def test_order_lines_that_outlive_an_erasure_are_told_beside_its_button(visitor, told):
    send(visitor, an_event())
    assert "may stay in the shop's figures for 730 days" in told()


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": ""}]
)
def test_only_the_pages_own_form_erases(visitor, headers):
    send(visitor, an_event())
    assert visitor.post(PAGE, headers=headers).status_code == 403
    assert visitor.delete(PAGE).status_code == 405
    assert Event.objects.count() == 1


def test_it_may_be_reached_from_anywhere(visitor):
    """From a letter, say: only its reader sees the answer."""
    assert visitor.get(PAGE, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert visitor.head(PAGE).status_code == 200


def test_who_asks_very_often_is_told_to_wait(visitor, settings, told):
    settings.SESSREC = settings.SESSREC | {"THROTTLE_RECOMMENDATIONS": "1/day"}
    send(visitor, an_event())
    assert "Product viewed" in told()
    assert "Please try again later." in told(status=429)
    refused = visitor.post(PAGE)
    assert (refused.status_code, "sessrec" in refused.cookies) == (429, False)
    assert Event.objects.exists()


def test_without_tables_it_says_so(visitor, told):
    send(visitor, an_event())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_event RENAME TO elsewhere")
    assert "Please try again in a minute." in told(status=503)


def test_titles_are_text(visitor, products, told):
    Product.objects.filter(pk=products[0].pk).update(name="<script>alert(1)</script>")
    send(visitor, an_event(item_id=str(products[0].pk)))
    markup = Markup(visitor.get(PAGE).content.decode())
    assert (markup.inline, markup.headings) == ([], 1)


def test_the_explanation_leads_there(visitor, stranger):
    assert PAGE in Markup(visitor.get("/sessrec/why/").content.decode()).links
    assert PAGE not in Markup(stranger.get("/sessrec/why/").content.decode()).links


@pytest.mark.parametrize(
    ("language", "heading"), [("de", "Was von Ihrem Besuch"), ("fr", "Ce qui est conservé")]
)
def test_it_speaks_the_visitors_language(visitor, told, language, heading):
    send(visitor, an_event())
    with translation.override(language):
        assert heading in told()


@pytest.mark.parametrize("address", [PAGE, "/sessrec/why/"])
def test_one_frame_of_the_shop_s_holds_it_and_the_explanation(stranger, settings, tmp_path, address):
    frame = tmp_path / "sessrec" / "page.html"
    frame.parent.mkdir()
    frame.write_text("<h1>{{ heading }}</h1><p>Our frame</p>{% include content %}")
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    html = stranger.get(address).content.decode()
    assert html.startswith("<h1>")
    assert "Our frame" in html
    assert 'class="sessrec-toggle"' in html
