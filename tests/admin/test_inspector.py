"""The inspector: products and sessions, and what stays out of addresses, logs and the audit trail."""

import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils.formats import date_format

from django_sessrec.admin import timeline
from django_sessrec.capture import cookie
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import ONE, first_moment, today
from django_sessrec.models import AuditEntry, DailyItem, DailyShop, Event, Impression, Quarantine
from django_sessrec.privacy.erasure import erase
from django_sessrec.serving.rule_sets import draft_of, publish
from django_sessrec.training.pipeline import train
from tests.demo.models import Product
from tests.support.admin import Inline
from tests.support.axe import violations
from tests.support.browser import needs_chromium
from tests.support.history import click, earlier_today, happen, show
from tests.support.visits import store_visits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_process")]
PAGE = "admin:sessrec_inspector_changelist"
TAKE_OUT = "admin:sessrec_take_out"
YES = {"confirmed": "1", "reason": "a bot"}


@pytest.fixture
def model(sessrec, trails):
    """Neighbours trained on stored sessions, so that a past one can be found again."""
    sessrec["MODELS"] = {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours", "MIN_SESSIONS": 10}}
    sessrec["PLACEMENTS"] = {"product_page": {"MODELS": ["neighbours"]}}
    now = datetime.now(UTC) - timedelta(hours=3)
    store_visits(
        (uuid7(at), at, trail) for n, trail in enumerate(trails) for at in [now - timedelta(minutes=n)]
    )
    run = train("neighbours", trigger="schedule")
    assert run.state == "published", run.verdict
    return run


@pytest.fixture
def session(model, products):
    """A visitor who saw a list today and clicked its second product."""
    at = earlier_today(timedelta(minutes=20))
    session_id = uuid7(at)
    seen, other, clicked = (str(products[n].pk) for n in (0, 6, 2))
    happen(session_id, at, "view_item", seen)
    shown = show(
        session_id,
        at + timedelta(seconds=1),
        [other, clicked],
        placement="product_page",
        reasons=["neighbours", "co_viewed"],
        variant="b",
        experiment="x",
    )
    click(session_id, at + timedelta(seconds=30), clicked, shown, position=2)
    happen(session_id, at + timedelta(seconds=31), "view_item", clicked)
    return session_id


def ask(client, status=200, **posted):
    answer = client.post(reverse(PAGE), posted)
    assert answer.status_code == status
    html = answer.content.decode()
    assert Inline(html).found == []
    return html


def test_a_product_is_found_by_its_name(admin_client, model, products):
    html = ask(admin_client, q="tea 3")
    assert "The list that it gets now" in html
    assert "tea 3" in html
    assert f"neighbours #{model.pk}" in html


def test_a_product_is_found_by_some_words_of_its_name_and_by_its_id(admin_client, model, products):
    Product.objects.filter(pk=products[3].pk).update(name="Rypa two-person tent, pine")
    for words in ("tent pine", str(products[3].pk)):
        assert "The list that it gets now" in ask(admin_client, q=words)
    assert "No product is called so" in ask(admin_client, q="tent oak")


def test_a_product_shows_what_became_of_it_in_four_weeks(admin_client, session, products):
    call_command("sessrec_rollup")
    answer = admin_client.get(reverse(PAGE), {"item": products[2].pk})
    figures = dict(answer.context["figures"])
    assert (figures["Shown in lists"], figures["Clicked"], figures["Bought in all"]) == ("1", "1", "0")
    assert f"In the 28 days up to {date_format(today())}." in answer.content.decode(), "the shop's first day"


def test_the_figures_of_a_product_are_of_whole_days_as_on_today(admin_client, products):
    for ago, clicked in ((0, 50), (1, 3), (28, 2), (29, 70)):
        day = today() - ago * ONE
        DailyItem.objects.create(
            day=day, item_id=products[2].pk, shown=clicked, seen=0, clicked=clicked, bought=0, sold=0
        )
        others = dict.fromkeys(("bots", "quarantined", "with_list", "with_basket", "with_order"), 0)
        DailyShop.objects.create(day=day, sessions=1, **others)
    answer = admin_client.get(reverse(PAGE), {"item": products[2].pk})
    assert dict(answer.context["figures"])["Clicked"] == "5"
    assert f"In the 28 days up to {date_format(today() - ONE)}." in answer.content.decode()


def test_a_product_shows_its_price_with_the_currency_and_its_stock(admin_client, products, settings):
    settings.SESSREC = settings.SESSREC | {"CURRENCY": "EUR"}
    product = Product.objects.create(name="oolong", price="9.9", stock=0)
    facts = dict(admin_client.get(reverse(PAGE), {"item": product.pk}).context["facts"])
    assert (facts["Price"], facts["In stock"]) == ("9.90 EUR", "0")
    assert admin_client.get(reverse(PAGE), {"item": "no-such-product"}).context["facts"] == []


def test_several_products_are_offered(admin_client, model, products):
    html = ask(admin_client, q="tea")
    assert "Which product?" in html
    assert html.count("?item=") == 10
    assert "No product is called so" in ask(admin_client, q="piano")


def test_a_session_shows_what_was_seen_why_and_what_was_clicked(admin_client, session):
    html = ask(admin_client, q=str(session))
    assert f"Session {str(session)[-6:]}" in html
    assert "list shown: Product page" in html
    assert "variant b" in html
    assert "similar past sessions" in html
    assert html.count('class="sessrec-clicked"') == 1
    assert "With consent; it counts" in html


def test_a_session_that_is_too_long_for_the_page_says_what_is_left_out(admin_client, session, monkeypatch):
    assert "Only the first" not in ask(admin_client, q=str(session))
    monkeypatch.setattr(timeline, "MOST_EVENTS", 1)
    at = datetime.now(UTC)
    for _event in range(2):
        happen(session, at, "view_item", "1")
    for _list in range(51):
        show(session, at, ["1"])
    html = ask(admin_client, q=str(session))
    events = Event.objects.filter(session_id=session).count()
    lists = Impression.objects.filter(session_id=session).count()
    assert f"Only the first 1 of {events} events are shown. Only the first 50 of {lists} lists" in html


def test_the_times_of_a_session_name_their_day(admin_client):
    midnight = first_moment(today())
    session = uuid7(midnight - timedelta(minutes=10))
    for minutes in (-9, -8, 1, 2):
        happen(session, midnight + timedelta(minutes=minutes), "view_item", "1")
    html = ask(admin_client, q=str(session))
    for day in (today() - ONE, today()):
        assert html.count(f">{date_format(day, 'SHORT_DATE_FORMAT')} ") == 1


def test_a_session_is_found_by_its_cookie(admin_client, session):
    assert "list shown: Product page" in ask(admin_client, q=cookie.text_of(session))


def test_past_sessions_that_taught_it_are_named_exactly_and_can_be_taken_out(admin_client, session, model):
    html = ask(admin_client, session=str(session))
    assert f"Past sessions that taught neighbours #{model.pk}" in html
    answer = admin_client.post(reverse(PAGE), {"session": str(session)})
    [taught] = answer.context["taught"]
    past = taught["sessions"][0]
    assert past["id"]
    asked = admin_client.post(reverse(TAKE_OUT), {"session": past["id"]}).content.decode()
    assert "Take session" in asked
    assert not Quarantine.objects.exists()
    given = {"session": past["id"], "confirmed": "1", "reason": "a broken product feed"}
    said = admin_client.post(reverse(TAKE_OUT), given, follow=True).content.decode()
    assert "is left out from the next training run on" in said
    held = Quarantine.objects.get()
    assert (str(held.pk), held.reason, held.clicks) == (str(past["id"]), "staff", 6)
    again = train("neighbours", trigger="schedule")
    assert again.counts["quarantined_clicks"] == 6
    said = admin_client.post(reverse(TAKE_OUT), given, follow=True).content.decode()
    assert "was left out already" in said
    assert "In quarantine: taken out by staff." in ask(admin_client, session=str(past["id"]))


def test_past_sessions_that_taught_a_products_list_are_for_who_may_inspect(
    clerk, admin_client, model, products
):
    first = str(products[0].pk)
    assert f"Past sessions that taught neighbours #{model.pk}" in ask(admin_client, item=first)
    assert "Past sessions that taught" not in ask(clerk, item=first)


def test_a_product_shows_what_was_clicked_after_it_and_in_how_many_sessions(clerk, model, trails, products):
    first = str(products[0].pk)
    after = [b for trail in trails for a, b in pairwise(trail) if str(a) == first]
    answer = clerk.get(reverse(PAGE), {"item": first})
    assert "Often clicked right after it" in answer.content.decode()
    [(product, sessions), *_others] = answer.context["after"]
    assert sessions == f"{after.count(product.item_id)} sessions"
    assert answer.context["went_on"] == len(after)
    new = Product.objects.create(name="brand new")
    assert "Often clicked right after it" not in ask(clerk, item=str(new.pk))


def test_why_another_product_is_not_there(admin_client, model, products):
    first = str(products[0].pk)
    html = ask(admin_client, item=first, other=products[2].name)
    assert "It is in this list, at position" in html
    html = ask(admin_client, item=first, other=products[1].name)
    assert "has no evidence for it after these clicks" in html
    new = Product.objects.create(name="brand new")
    html = ask(admin_client, item=first, other="brand new")
    assert "has never seen it: it is newer than the training run" in html
    html = ask(admin_client, item=str(new.pk), other="nothing like it")
    assert "The catalogue does not offer it now" in html


def test_a_merchants_rule_is_named_by_its_sentence(admin_client, model, products):
    draft = draft_of("product_page", "ada")
    draft.rules.create(kind="pin", parameters={"item": str(products[21].pk), "position": 1})
    draft.rules.create(kind="hide", parameters={"attribute": "item", "values": [str(products[4].pk)]})
    publish(draft, "ada", "Advent")
    html = ask(admin_client, item=str(products[3].pk), placement="product_page", other=products[4].name)
    assert f"A rule left it out: Never show {products[4].name}." in html
    assert f"{products[21].name.capitalize()} is pinned to place 1: 19 up" in html
    assert "merchant&#x27;s rule" not in html


def test_what_a_merchants_rule_says_is_for_who_may_see_rules(clerk, model, products):
    draft = draft_of("product_page", "ada")
    pin = draft.rules.create(kind="pin", parameters={"item": str(products[21].pk), "position": 1})
    hide = draft.rules.create(kind="hide", parameters={"attribute": "item", "values": [str(products[4].pk)]})
    publish(draft, "ada", "Advent")
    asked = {"item": str(products[3].pk), "placement": "product_page", "other": products[4].name}
    html = ask(clerk, **asked)
    assert f"A rule left it out: the merchant&#x27;s rule {hide.pk}." in html
    assert f"the merchant&#x27;s rule {pin.pk}: 19 up" in html
    assert "Never show" not in html
    assert "is pinned to place" not in html
    reader = get_user_model().objects.get(username="clerk")
    reader.user_permissions.add(Permission.objects.get(codename="view_ruleset"))
    assert f"A rule left it out: Never show {products[4].name}." in ask(clerk, **asked)


def test_no_session_id_stands_in_an_address_a_log_or_the_audit_trail(admin_client, session, caplog):
    caplog.set_level(logging.DEBUG)
    html = ask(admin_client, session=str(session))
    assert f"={session}" not in html
    assert str(session) not in caplog.text
    entry = AuditEntry.objects.get(action="inspect")
    assert entry.detail == {"session": str(session)[-6:]}
    assert entry.done_by == "admin"


def test_an_id_in_the_address_is_not_read_as_a_session(admin_client, session):
    html = admin_client.get(reverse(PAGE), {"session": str(session)}).content.decode()
    assert "list shown" not in html


def test_an_unknown_session_says_that_nothing_is_stored_and_no_more(admin_client, model):
    html = ask(admin_client, session=str(uuid7()))
    assert "Nothing is stored of this session" in html
    assert "With consent" not in html


def test_a_session_of_which_nothing_is_stored_is_not_taken_out(admin_client, session):
    for unknown in (uuid4(), uuid7()):
        answer = admin_client.post(reverse(TAKE_OUT), YES | {"session": str(unknown)}, follow=True)
        assert "so nothing was taken out" in answer.content.decode()
    assert "Why?" in admin_client.post(reverse(TAKE_OUT), {"session": str(session)}).content.decode()
    erase(session)
    answer = admin_client.post(reverse(TAKE_OUT), YES | {"session": str(session)}, follow=True)
    assert f"Nothing is stored of session {str(session)[-6:]} any more" in answer.content.decode()
    assert "With consent" not in ask(admin_client, session=str(session))
    assert not Quarantine.objects.exists()
    assert not AuditEntry.objects.filter(action=AuditEntry.Action.QUARANTINE).exists()


def test_latest_sessions_are_offered_by_their_last_product(admin_client, session, products):
    html = admin_client.get(reverse(PAGE)).content.decode()
    assert "Latest sessions" in html
    assert products[2].name in html
    assert f'name="session" value="{session}"' in html


@pytest.fixture
def clerk(client, django_user_model):
    user = django_user_model.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_inspector"))
    client.force_login(user)
    return client


def test_who_may_not_inspect_sessions_inspects_products(clerk, session, products):
    assert "Latest sessions" not in clerk.get(reverse(PAGE)).content.decode()
    assert "The list that it gets now" in ask(clerk, q="tea 3")
    ask(clerk, status=403, session=str(session))
    ask(clerk, status=403, q=str(session))
    assert clerk.post(reverse(TAKE_OUT), {"session": str(session)}).status_code == 403
    assert not AuditEntry.objects.exists()


def test_only_who_may_see_the_page_sees_it(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403


@pytest.mark.parametrize("posted", [{}, {"session": "x"}, {"session": ""}])
def test_taking_nothing_out_is_not_found(admin_client, posted):
    assert admin_client.post(reverse(TAKE_OUT), posted).status_code == 404


@pytest.mark.e2e
@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_it_breaks_no_rule_of_accessibility(tab, session):
    tab.goto(reverse(PAGE))
    assert violations(tab) == []
    tab.get_by_role("button", name=f"Inspect session {str(session)[-6:]}").click()
    tab.wait_for_selector(".sessrec-timeline")
    assert violations(tab) == []
    assert str(session) not in tab.url
