"""The public page and the fold below a slot: they say what the settings say, and nothing that they don't."""

import re
from html import unescape
from http.cookies import SimpleCookie
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from django_sessrec.capture import cookie, session_limit
from django_sessrec.capture.tracker import Tracker
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Promotion, TrainingRun
from django_sessrec.recsys import ItemKNN, Neighbours, Popularity, artifact
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.rule_models import RuleSet
from django_sessrec.serving import merchant_rules
from tests.support.api import an_event, send
from tests.support.markup import Markup
from tests.support.models import fitted
from tests.support.visits import FIREFOX, request_of

NEIGHBOURS = "products viewed in earlier visits that are similar to this one"
TOGETHER = "products that are often viewed in the same visit"
OWN = "a method of the shop's own, called “spring”"
TRAILS = [["1", "2", "3"]] * 5

pytestmark = pytest.mark.django_db


class Spring(PopularityRecommender):
    """A shop's own, which says nothing of itself."""

    kind = "spring"

    def describe(self) -> str:
        return ""


@pytest.fixture
def placement(settings):
    """Change keys of the placement product_page: placement(LIMIT=3)."""

    def change(**keys: object) -> None:
        settings.SESSREC = settings.SESSREC | {
            "MODELS": {
                "neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours"},
                "together": {"ESTIMATOR": "django_sessrec.recsys.ItemKNN"},
                "spring": {"ESTIMATOR": "shop.seasons.Spring", "RECOMMENDER": f"{__name__}.Spring"},
                "young": {"ESTIMATOR": "django_sessrec.recsys.Popularity"},
            },
            "PLACEMENTS": {"product_page": {"MODELS": ["neighbours"], **keys}},
        }

    return change


@pytest.fixture
def serving(settings, tmp_path):
    """The models neighbours, together and spring serve; young was never trained."""
    settings.SESSREC = settings.SESSREC | {"ARTIFACTS": tmp_path}
    popularity = fitted(TRAILS, Popularity())
    models = {
        "neighbours": fitted(TRAILS, Neighbours()),
        "together": fitted(TRAILS, ItemKNN()),
        "spring": Spring(popularity.index, popularity.clicks),
    }
    for model, recommender in models.items():
        run = TrainingRun.objects.create(model=model, trigger="test", state="published", artifact=model)
        artifact.save(recommender, tmp_path / model, card={})
        Promotion.objects.create(model=model, run=run, promoted_by="test")


@pytest.fixture
def told(stranger, visitor):
    """The page's text: told(), or told(visitor=True) for who has consented."""

    def read(*, consented: bool = False) -> str:
        page = (visitor if consented else stranger).get("/sessrec/why/")
        assert page.status_code == 200
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page.content.decode())))

    return read


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"MODELS": ["together"]}, TOGETHER),
        ({"MODELS": ["spring"]}, OWN),
        ({"PINNED": ["1", "2"]}, "2 products chosen by the shop come first"),
        ({"EXCLUDED": ["1"]}, "1 product is never shown here"),
        ({"STEPS": ["recently_viewed"]}, "Only with personal suggestions: products that you viewed during"),
        ({"MAX_PER_CATEGORY": 3}, "At most 3 products of each category"),
        ({"LIMIT": 5}, "At most 5 products are shown"),
        ({"TITLE": "Warm & dry"}, "Warm & dry"),
    ],
)
def test_changing_a_placement_changes_the_page(serving, placement, told, keys, says):
    placement()
    assert says not in told()
    placement(**keys)
    assert says in told()


def test_a_list_that_hides_viewed_products_says_so(serving, placement, told):
    for hidden in (True, False):
        placement(HIDE_VIEWED=hidden)
        assert ("already viewed during this visit are left out" in told(consented=True)) == hidden


def test_what_a_basket_and_an_order_leave_out_is_told(serving, placement, told):
    for hidden in (True, False):
        placement(HIDE_BOUGHT_CATEGORIES=hidden)
        assert ("After an order" in told(consented=True)) == hidden
    assert "same category as one in your basket" not in told(consented=True)
    placement(STEPS=["bought_together", "model"])
    assert "same category as one in your basket" in told(consented=True)


def test_lists_that_follow_the_page_alone_claim_nothing_of_the_visit(serving, placement, told):
    """Of a visitor without consent no list knows what was viewed, shown, put into the basket or bought."""
    placement(
        STEPS=["model", "bought_together", "content", "popular"], ROTATE_AFTER=3, EXPLORE=0.1, NEW_PRODUCTS=2
    )
    of_the_visit = ("during this visit", "your basket", "After an order", "of 100 places")
    page = told(consented=True)
    assert [each for each in of_the_visit if each not in page] == []
    page = told()
    assert [each for each in of_the_visit if each in page] == []
    assert "Products that others bought together with the product on the page." in page
    assert "New products like the product on the page." in page
    assert "Up to 2 places are for new products that resemble the product on the page" in page


def test_a_rule_for_a_group_of_customers_is_told(fresh_process, placement, told):
    placement()
    live = RuleSet.objects.create(placement="product_page", published_at=timezone.now())
    live.rules.create(kind="hide", parameters={"item": "1"})
    assert "the group of your account" not in told()
    live.rules.create(kind="pin", parameters={"item": "2", "position": 1}, group="trade")
    merchant_rules.forget()
    assert "1 rule holds for one group of customers only: the list then also follows the group" in told()


@pytest.mark.parametrize(
    ("steps", "title"),
    [(["recently_viewed"], "Recently viewed"), (["trending", "static"], "Trending now"), (None, "You may")],
)
def test_a_list_is_called_as_its_page_calls_it(placement, stranger, steps, title):
    placement(STEPS=steps)
    assert f"<h2>{title}" in stranger.get("/sessrec/why/").content.decode()


def test_the_row_that_leads_back_leaves_out_nothing_that_was_viewed(placement, told):
    placement(STEPS=["recently_viewed"])
    page = told(consented=True)
    assert "Products that you viewed during this visit, the newest first." in page
    assert "already viewed during this visit are left out" not in page
    assert "After an order" not in page


def test_the_steps_of_a_list_are_told_and_methods_only_where_they_are_asked(serving, placement, told):
    placement(STEPS=["category", "popular"])
    assert re.search("in this order.*Products of the same category.*Products popular in this shop", told())
    assert "Counts most" not in told()


def test_methods_are_told_in_the_order_in_which_they_are_asked(serving, placement, told):
    placement(MODELS=["together", "neighbours"])
    assert re.search(f"Counts most: {TOGETHER}.*Counts next: {NEIGHBOURS}", told())
    placement(MODELS=["neighbours", "together"])
    assert re.search(f"Counts most: {NEIGHBOURS}.*Counts next: {TOGETHER}", told())


def test_a_model_that_does_not_serve_is_not_told(serving, placement, told):
    placement(MODELS=["young", "together"])
    assert f"Counts most: {TOGETHER}" in told()
    assert "Counts next" not in told()
    placement(MODELS=["young"])
    assert "Counts most" not in told()


def test_a_visit_in_an_experiment_is_told_of_its_own_version(serving, placement, told):
    a, b = {"SHARE": 1}, {"SHARE": 0, "MODELS": ["together"], "LIMIT": 4}
    placement(EXPERIMENT={"NAME": "net", "VARIANTS": {"a": a, "b": b}}, LIMIT=5)
    assert re.search(f"comparing 2 versions.*usual list.*{NEIGHBOURS}.*At most 5 products", told())
    for shares, method, length in ((1, 0), NEIGHBOURS, 5), ((0, 1), TOGETHER, 4):
        a["SHARE"], b["SHARE"] = shares
        placement(EXPERIMENT={"NAME": "net", "VARIANTS": {"a": a, "b": b}}, LIMIT=5)
        html, _ = rendered('{% sessrec_why "product_page" %}', consented=True)
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
        assert re.search(f"Its list is made as follows:.*{method}.*At most {length} products", text)
        assert [each for each in (NEIGHBOURS, TOGETHER) if each in text] == [method]


def test_who_has_a_session_reads_of_the_version_it_gets(serving, placement, visitor, products):
    variants = {"a": {"SHARE": 0}, "b": {"SHARE": 1, "LIMIT": 4}}
    placement(EXPERIMENT={"NAME": "net", "VARIANTS": variants})
    visitor.get(products[0].get_absolute_url())
    assert "At most 4 products are shown" in unescape(visitor.get("/sessrec/why/").content.decode())


def test_before_any_training_no_method_is_claimed(placement, told):
    placement()
    assert "No method has learnt from earlier visits yet" in told()
    assert "Counts most" not in told()


def test_what_is_used_of_the_visit_follows_consent_and_settings(settings, told):
    settings.SESSREC = settings.SESSREC | {"SESSION_IDLE_MINUTES": 20, "RETENTION_DAYS": 45}
    assert "We use only the product, category or search on the page." in told()
    assert "after 20 minutes without activity, and after 24 hours" in told(consented=True)
    assert "deleted after 45 days" in told(consented=True)
    assert "erased at once, as long as your browser has its cookie" in told(consented=True)
    settings.SESSREC = settings.SESSREC | {"RETENTION_DAYS": None}
    assert "kept without a time limit" in told(consented=True)


def test_what_outlives_an_erasure_is_told(settings, told):
    settings.SESSREC = settings.SESSREC | {"ORDER_LINES_DAYS": 400}
    outlives = "may stay in the shop's figures for 400 days, without the number of your visit, even after an"
    assert outlives in told(consented=True)
    settings.SESSREC = settings.SESSREC | {"ORDER_LINES_DAYS": None}
    assert "may stay in the shop's figures without a time limit" in told(consented=True)


def test_who_refused_reads_that_orders_are_counted_where_they_are(settings, told):
    settings.SESSREC = settings.SESSREC | {"ORDER_LINES_DAYS": 400}
    nothing = "no data of it is kept"
    assert nothing in told()
    settings.SESSREC = settings.SESSREC | {"COUNT_ALL_ORDERS": True}
    assert nothing not in told()
    assert "Only if you order is something kept, for the shop's figures and for 400 days" in told()
    settings.SESSREC = settings.SESSREC | {"ORDER_LINES_DAYS": None}
    assert "for the shop's figures and without a time limit" in told()


def not_answered(request):
    """The shop's CONSENT, of a visitor who has not answered the banner."""


def failing(request):
    raise RuntimeError("the shop's own mistake")


@pytest.mark.parametrize("answer", ["not_answered", "failing"])
@pytest.mark.parametrize("count_all", [True, False])
def test_who_has_a_visit_that_stays_is_not_told_that_nothing_is_kept(visitor, settings, answer, count_all):
    send(visitor, an_event())
    settings.SESSREC = settings.SESSREC | {
        "CONSENT": f"{__name__}.{answer}",
        "COUNT_ALL_ORDERS": count_all,
        "PLACEMENTS": {"product_page": {}},
    }
    fold = rendered('{% sessrec_why "product_page" %}', cookies=visitor.cookies)
    page = visitor.get("/sessrec/why/")
    assert "private" in page["Cache-Control"]
    assert fold[1].has_work, "it is kept from shared caches"
    for html in (page.content.decode(), fold[0]):
        assert "Your browser still has the cookie of a visit that was remembered before." in html
        assert "deleted after 90 days" in html
        assert "No cookie identifies your visit" not in html
        assert "no data of it is kept" not in html
        assert ("Only if you order is something kept" in html) == count_all
        assert "/sessrec/my-visit/" in Markup(html).links
    assert Event.objects.count() == 1


@pytest.mark.parametrize("refusal", [{"consent": "no"}, {"sessrec_off": "1"}])
def test_who_withdraws_with_this_page_is_told_that_nothing_is_kept(visitor, refusal):
    send(visitor, an_event())
    for name, value in refusal.items():
        visitor.cookies[name] = value
    page = visitor.get("/sessrec/why/")
    assert "No cookie identifies your visit, and no data of it is kept." in page.content.decode()
    assert not Event.objects.exists()


def test_a_withdrawal_by_the_page_s_own_view_is_told_as_one(settings, visitor):
    send(visitor, an_event())
    settings.SESSREC = settings.SESSREC | {"CONSENT": f"{__name__}.not_answered"}
    html, _ = rendered('{% sessrec_why "product_page" %}', cookies=visitor.cookies, withdraws=True)
    assert "No cookie identifies your visit" in html


def test_the_page_is_fit_for_everybody_and_leaves_no_trace(placement, visitor):
    placement(PINNED=["1"], EXPERIMENT={"NAME": "x", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1}}})
    page = visitor.get("/sessrec/why/")
    markup = Markup(page.content.decode())
    assert (markup.inline, markup.headings, markup.unlabelled) == ([], 1, [])
    assert not page.cookies
    assert "no-store" in page["Cache-Control"]


def test_a_placement_with_a_mistake_is_left_out(placement, stranger, caplog):
    placement(MODELS=["misspelt"])
    assert stranger.get("/sessrec/why/").status_code == 200
    assert "could not explain the placement 'product_page'" in caplog.text


def rendered(
    source: str,
    *,
    consented: bool = False,
    cookies: SimpleCookie | None = None,
    withdraws: bool = False,
    user: Any = None,
) -> tuple[str, Tracker]:
    request = RequestFactory().get("/demo/?page=2&x=<")
    request.user = user
    request.COOKIES["consent"] = "yes" if consented else "no"
    request.COOKIES |= {name: morsel.value for name, morsel in (cookies or {}).items()}
    request.sessrec = Tracker(request)
    if withdraws:
        request.sessrec.withdraw()
    html = Template("{% load sessrec %}" + source).render(Context({"request": request}))
    return html, request.sessrec


def test_the_fold_explains_one_placement(serving, placement):
    placement(LIMIT=5)
    html, _ = rendered('{% sessrec_why "product_page" %}')
    assert html.startswith('<details class="sessrec-why">')
    assert html.index("<summary") < html.index(NEIGHBOURS) < html.index("At most 5 products")
    assert 'href="/sessrec/why/"' in html
    assert Markup(html).inline == []


def test_who_may_begin_no_session_is_told_that_nothing_is_kept(serving, placement, monkeypatch):
    placement()
    monkeypatch.setattr(session_limit, "may_begin", lambda _request: False)
    html, _ = rendered('{% sessrec_why "product_page" %}', consented=True)
    assert "No cookie identifies your visit" in html
    html, tracker = rendered("{% sessrec_toggle %}", consented=True)
    assert "Suggestions are not based on your visit." in html
    assert not tracker.has_work, "everybody gets it"


def test_a_page_with_the_switch_alone_begins_no_visit(visitor):
    page = visitor.get("/sessrec/my-visit/")
    assert "Suggestions are based on this visit." in page.content.decode()
    assert not page.cookies
    assert not Event.objects.exists()


def test_staff_are_told_that_their_visit_is_not_remembered(client, admin_client):
    for browser, staff in ((client, False), (admin_client, True)):
        browser.cookies["consent"] = "yes"
        for page, otherwise in (
            ("/sessrec/my-visit/", "Suggestions are based on this visit."),
            ("/sessrec/my-visit/", "With the next product that you look at, a new visit begins"),
            ("/sessrec/why/", "We use the products that you viewed"),
        ):
            told = browser.get(page, headers={"user-agent": FIREFOX}).content.decode()
            assert ("You are signed in as staff: what you look at is not remembered." in told) == staff
            assert (otherwise in told) != staff


def test_the_fold_tells_staff_too(serving, placement, admin_user):
    placement()
    tag, before = '{% sessrec_why "product_page" %}', SimpleCookie({"sessrec": cookie.text_of(uuid7())})
    fold, _ = rendered(tag, consented=True, user=admin_user)
    assert "what you look at is not remembered. We use only what is on the page, and no cookie" in fold
    assert "is deleted after" not in fold
    earlier, _ = rendered(tag, consented=True, user=admin_user, cookies=before)
    assert "what you look at is not remembered. We use what is on the page, and what was kept" in earlier
    assert "is deleted after" in earlier
    for told in (fold, earlier):
        assert "We use the products that you viewed" not in told


def test_an_async_page_of_a_customer_who_is_signed_in_has_the_switch(client, django_user_model, caplog):
    client.force_login(django_user_model.objects.create_user("ann"))
    request = request_of()
    request.COOKIES |= {name: each.value for name, each in client.cookies.items()}
    request.session = client.session
    request.user = SimpleLazyObject(lambda: get_user(request))

    async def page():
        return Template("{% load sessrec %}{% sessrec_toggle %}").render(Context({"request": request}))

    assert "Switch personal suggestions off" in async_to_sync(page)()
    assert not caplog.records


def test_a_client_past_its_limit_of_sessions_is_told_that_nothing_is_kept(settings, visitor, stranger):
    settings.SESSREC = settings.SESSREC | {"SESSIONS_PER_CLIENT": 1, "NUM_PROXIES": 0}
    pages = ("/sessrec/why/", "/sessrec/my-visit/")
    identified = ("A cookie with a random number identifies this visit", "a new visit begins")
    stranger.cookies["consent"] = "yes"
    for begun in (False, True):
        for page, says in zip(pages, identified, strict=True):
            told = stranger.get(page, REMOTE_ADDR="93.184.216.34").content.decode()
            assert (says in told) != begun
        visitor.defaults["REMOTE_ADDR"] = "93.184.216.34"
        send(visitor, an_event())


def test_the_fold_of_an_unknown_placement_is_nothing(caplog):
    assert rendered('{% sessrec_why "nowhere" %}')[0] == ""
    assert "no placement 'nowhere'" in caplog.text


def test_the_form_comes_back_to_its_page():
    assert 'value="/demo/?page=2&amp;x=%3C"' in rendered("{% sessrec_toggle %}")[0]


@pytest.mark.parametrize("tag", ['{% sessrec_why "product_page" %}', "{% sessrec_toggle %}"])
def test_a_page_that_tells_of_the_visitors_choice_is_kept_from_shared_caches(tag):
    assert not rendered(tag)[1].has_work
    assert rendered(tag, consented=True)[1].has_work
