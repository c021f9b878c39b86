"""A placement's list in the admin: for a product, a session, a category, a search or a customer group."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone, translation
from django.utils.html import escape

from django_sessrec.admin.words import reason_name, rule_name, step_name
from django_sessrec.ids import uuid7
from django_sessrec.models import PlacementRule
from django_sessrec.operations.experiments import stop
from django_sessrec.recommendations import REASONS, STEPS
from django_sessrec.serving import experiments, rules
from django_sessrec.serving.choose import VARYING
from django_sessrec.serving.experiments import assigned
from django_sessrec.serving.rule_sets import draft_of, publish
from tests.demo.models import Product
from tests.support.admin import page
from tests.support.experiments import a_running_one
from tests.support.history import happen, show
from tests.support.placements import NAME, add, url

pytestmark = pytest.mark.django_db


def test_a_list_that_has_nothing_else_to_show_is_not_blamed_on_rules(admin_client, shop, sessrec):
    sessrec["PLACEMENTS"] = {NAME: {"LIMIT": 40}, "seen": {"STEPS": ["recently_viewed"], "LIMIT": 6}}
    html = page(admin_client, url("page", NAME) + f"?product={shop[8].pk}")
    assert "29 of 40 products: there is nothing else to show here." in html
    assert "Please look at this" not in html
    assert "Please look at this" not in page(admin_client, url("page", "seen"))


def test_a_catalogue_that_fails_is_told_and_takes_no_page_away(admin_client, shop, sessrec):
    add(admin_client, "hide", what_attribute="item", what_values="pot 1")
    rule = PlacementRule.objects.get()
    at = timezone.now() - timedelta(minutes=9)
    happen(uuid7(at), at, "view_item", str(shop[2].pk))
    sessrec["CATALOGUE"] = "tests.serving.catalogues.Silent"
    assert "catalogue failed" in page(admin_client, url("page", NAME))
    assert "catalogue failed" in page(admin_client, url("preview", NAME))
    assert "catalogue failed" in page(admin_client, url("page", NAME) + "?product=pot")
    assert "catalogue failed" in add(admin_client, "pin", status=200, item="pot 2", position=1)
    for view, args in (("add", ("hide",)), ("rule", (rule.pk,))):
        page(admin_client, url(view, NAME, *args))
    assert admin_client.post(url("remove", NAME, rule.pk)).status_code == 200
    assert admin_client.post(url("quick", NAME), {"item": str(shop[21].pk)}).status_code == 302


def test_a_recent_session_without_clicks_has_a_name(admin_client, shop):
    show(uuid7(), timezone.now() - timedelta(minutes=9), [str(shop[2].pk)], placement=NAME)
    html = page(admin_client, url("page", NAME))
    recent = html.partition('class="sessrec-recent"')[2].partition("</nav>")[0]
    assert re.findall(r'title="(.*?)"', recent) == ["a session without clicks"]
    assert '1<span class="sessrec-hidden">: a session without clicks</span>' in recent


def test_what_a_session_clicked_is_named_though_no_list_looked_it_up(admin_client, shop, sessrec):
    sessrec["PLACEMENTS"] = {NAME: {"STEPS": ["bought_together"], "LIMIT": 4}}
    at = timezone.now() - timedelta(minutes=9)
    session = uuid7(at)
    for n in (2, 4):
        happen(session, at + timedelta(minutes=n), "view_item", str(shop[n].pk))
    Product.objects.filter(pk=shop[4].pk).update(stock=0)
    html = page(admin_client, url("page", NAME))
    assert "Clicks of the session, newest last: tea 2, tea 4 (not offered now)" in html
    assert "The list is empty" in html
    assert "Please look at this" not in html, "there are no rules that could have left too little"


def test_a_list_that_rules_leave_short_is_filled_and_the_merchant_is_told(admin_client, shop):
    add(admin_client, "price", low=1000)
    html = page(admin_client, url("page", NAME) + f"?product={shop[8].pk}")
    assert "filled with products that they had left out" in html
    add(admin_client, "hide", what_attribute="category", what_values="tea\ncup\npot")
    assert "the rules hide too much" in page(admin_client, url("page", NAME) + f"?product={shop[8].pk}")


def test_the_list_says_why_not_another_product(admin_client, shop):
    add(admin_client, "hide", what_attribute="category", what_values="tea")
    html = page(admin_client, url("page", NAME) + f"?product={shop[8].pk}")
    assert "Why not another product" in html
    assert "Never show category tea: left out" in html


def test_everything_that_a_trace_may_name_has_words():
    """A merchant reads them: "not_in_place_of_it: left out" tells nothing."""
    pipeline = (
        *rules.PROPOSING, *rules.BY_ID, *rules.BY_CATALOGUE, *rules.CAPPING, *VARYING, *rules.LAST
    )  # fmt: skip
    with translation.override("de"):
        names = [rule.__name__ for rule in pipeline]
        assert [name for name in names if rule_name(name) == name] == []
        assert [step for step in STEPS if step_name(step) == step.replace("_", " ")] == []
        assert [reason for reason in REASONS if reason_name(reason) == reason.replace("_", " ")] == []


def test_the_list_of_one_customer_group(admin_client, shop, sessrec):
    usual = url("page", NAME) + f"?product={shop[8].pk}"
    assert "For customers of the group" not in page(admin_client, usual)
    draft = draft_of(NAME, "ada")
    draft.rules.create(kind="pin", parameters={"item": str(shop[21].pk), "position": 1}, group="trade")
    publish(draft, "ada", "for traders")
    assert "For customers of the group" in page(admin_client, usual)
    first_of = [
        admin_client.get(f"{usual}&group={group}").context["live_list"][0].item_id for group in ("", "trade")
    ]
    assert first_of[0] != first_of[1] == str(shop[21].pk)
    assert "Select a valid choice" in page(admin_client, f"{usual}&group=nobody")


def test_the_list_of_a_category_page(admin_client, shop):
    answer = admin_client.get(url("page", NAME), {"category": "cup"})
    html = answer.content.decode()
    assert {each.title.split()[0] for each in answer.context["live_list"]} == {"cup"}
    assert "On a page about the category cup." in html
    assert answer.context["current"] == "", "no product is on such a page"
    assert "With the search words" not in html, "no step of the placement reads them"
    assert len(admin_client.get(url("page", NAME), {"category": "moon"}).context["live_list"]) == 8
    assert "Null characters" in page(admin_client, url("page", NAME) + "?category=%00")


def test_the_list_of_a_search(admin_client, shop, sessrec):
    sessrec["PLACEMENTS"] = {NAME: {"STEPS": ["search", "model", "static"], "LIMIT": 4}}
    answer = admin_client.get(url("page", NAME), {"query": "pot 3"})
    assert answer.context["live_list"][0].title == "pot 3"
    assert "With the search words “pot 3”." in answer.content.decode()


def test_the_words_of_a_search_are_asked_for_where_only_a_variant_reads_them(admin_client, shop, sessrec):
    variants = {"usual": {"SHARE": 50}, "search": {"SHARE": 50, "STEPS": ["search", "static"]}}
    sessrec["PLACEMENTS"] = {NAME: {"EXPERIMENT": {"NAME": "x", "VARIANTS": variants}}}
    assert "With the search words" in page(admin_client, url("page", NAME))


def test_a_recent_session_comes_to_a_category_page(admin_client, shop):
    for minutes, product in ((9, shop[2]), (8, shop[4])):
        at = timezone.now() - timedelta(minutes=minutes)
        session = uuid7(at)
        happen(session, at, "view_item", str(product.pk))
        show(session, at + timedelta(seconds=1), [str(shop[1].pk)], placement=NAME)
    asked = {"category": "cup", "session": 2, "product": ""}
    answer = admin_client.get(url("page", NAME), asked)
    assert answer.context["current"] == ""
    assert answer.context["clicks"] == ["tea 2"]
    assert {each.title.split()[0] for each in answer.context["live_list"]} == {"cup"}
    assert '<input type="hidden" name="session" value="2"' in answer.content.decode(), "Show keeps it"
    assert admin_client.get(url("page", NAME), {"session": 2}).context["current"] == "tea 2"
    assert '>2<span class="sessrec-hidden">: tea 2</span></a>' in answer.content.decode()


def test_the_preview_says_that_it_knows_no_category_and_no_search(admin_client, shop):
    assert "search words of a page are not stored" not in page(admin_client, url("preview", NAME))
    at = timezone.now() - timedelta(minutes=9)
    happen(uuid7(at), at, "view_item", str(shop[2].pk))
    assert "search words of a page are not stored" in page(admin_client, url("preview", NAME))


def test_lists_name_the_variant_that_their_session_gets(admin_client, shop):
    at = timezone.now() - timedelta(minutes=9)
    variants = {"three": {"SHARE": 1}, "none": {"SHARE": 1}}
    for n, variant in enumerate(["three", "none"] * 4):
        ids = iter(lambda: uuid7(at), None)
        session = next(each for each in ids if assigned("Does it pay?", variants, each) == variant)
        happen(session, at, "view_item", str(shop[2 + n].pk))
    pin = {"kind": "pin", "parameters": {"item": str(shop[21].pk), "position": 1}}
    draft_of(NAME, "ada").rules.create(**pin)
    a_running_one(timezone.now(), placement=NAME, variants={"three": {"LIMIT": 3}, "none": None})
    experiments.forget()
    told = {}
    for number in range(1, 9):
        answer = admin_client.get(url("page", NAME), {"session": number})
        told[answer.context["variant"]] = len(answer.context["live_list"])
        assert escape(answer.context["variant"]) in answer.content.decode()
    assert told == {
        "Variant “three” of “Does it pay?”.": 3,
        "Holdout “none” of “Does it pay?”: no recommendations, on purpose.": 0,
    }
    assert admin_client.get(url("page", NAME), {"product": shop[8].pk}).context["variant"] == ""
    html = page(admin_client, url("preview", NAME))
    assert "of a holdout are left out: their lists are empty on purpose." in html
    assert "(100 %)" in html
    assert "Variant “three” of “Does it pay?”." in html


def test_what_an_experiment_left_for_everybody_is_among_the_settings(admin_client, shop):
    left = a_running_one(timezone.now(), placement=NAME, variants={"old": {}, "new": {"LIMIT": 5}})
    stop(left, "better", keep="new")
    html = page(admin_client, url("page", NAME))
    assert "what an experiment that is over left for everybody" in html
