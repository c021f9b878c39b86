"""Placements in the admin: a merchant changes a list, sees what would change, goes live, and undoes it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from django_sessrec.admin.placements import VERSIONS
from django_sessrec.models import AuditEntry, PlacementRule, RuleSet
from django_sessrec.recommendations import get_recommendations
from django_sessrec.serving.rule_sets import draft_of, live_set, publish
from tests.demo.models import Product
from tests.support.admin import page
from tests.support.placements import NAME, WHY, YES, add, confirmed, first, url

pytestmark = pytest.mark.django_db


def test_a_pin_is_drafted_previewed_published_and_undone(admin_client, shop):
    usual = first(shop)
    publish(draft_of(NAME, "ada"), "ada", "a start")
    add(admin_client, "pin", item="pot 1", position="1")
    assert first(shop) == usual, "a draft is not live"
    html = page(admin_client, url("page", NAME) + f"?product={shop[8].pk}")
    assert "You see a draft." in html
    assert "Pot 1 is pinned to place 1" in html
    assert "With the draft, not live" in html
    assert "only here" in html
    confirmed(admin_client, "publish")
    assert first(shop) == shop[21]
    start = RuleSet.objects.history(NAME).last()
    confirmed(admin_client, "restore", start.pk)
    assert first(shop) == usual
    trail = AuditEntry.objects.filter(action="rules").order_by("pk")
    assert [(each.done_by, each.reason, each.detail["change"]) for each in trail] == [
        ("admin", "Advent begins", "draft: rule added"),
        ("admin", "the season begins", "published"),
        ("admin", "the season begins", "restored"),
    ]
    html = page(admin_client, url("page", NAME))
    assert html.count("the season begins") == 2
    assert "a start" in html


def test_the_first_publication_is_undone_in_the_history(admin_client, shop):
    usual = first(shop)
    add(admin_client, "pin", item="pot 1", position="1")
    confirmed(admin_client, "publish")
    assert first(shop) == shop[21]
    assert "Bring back: no rules" in page(admin_client, url("page", NAME))
    add(admin_client, "pin", item="pot 3", position="2")
    asked = admin_client.post(url("restore_none", NAME)).content.decode()
    assert "1 rule and all changed settings stop being live" in asked
    confirmed(admin_client, "restore_none")
    assert first(shop) == usual
    assert RuleSet.objects.draft(NAME).rules.count() == 2, "a draft stays as it is"
    html = page(admin_client, url("page", NAME))
    assert "brought an earlier version back" in html
    assert "Bring back: no rules" not in html, "so it is already"
    answer = admin_client.post(url("restore_none", NAME), YES, follow=True)
    assert "No rules are live here." in answer.content.decode()
    assert RuleSet.objects.history(NAME).count() == 2
    assert AuditEntry.objects.latest("pk").detail == {"placement": NAME, "change": "restored", "rules": 0}
    confirmed(admin_client, "restore", RuleSet.objects.history(NAME).last().pk)
    assert first(shop) == shop[21]


@pytest.mark.parametrize("view", ["publish", "discard"])
def test_a_second_click_says_that_there_is_no_draft_any_more(admin_client, shop, view):
    draft_of(NAME, "ada")
    confirmed(admin_client, view)
    answer = admin_client.post(url(view, NAME), YES, follow=True)
    assert "There is no draft" in answer.content.decode()
    assert AuditEntry.objects.count() == 1


def test_a_draft_is_discarded(admin_client, shop):
    add(admin_client, "hide", what_attribute="category", what_values="tea")
    confirmed(admin_client, "discard")
    assert not RuleSet.objects.exists()


def test_buttons_of_the_list_pin_and_hide_in_the_draft(admin_client, shop):
    html = page(admin_client, url("page", NAME) + f"?product={shop[8].pk}")
    assert html.count('value="pin"') == 8
    shown = [each.item_id for each in get_recommendations(None, NAME, item=shop[8]).items]
    admin_client.post(url("quick", NAME), YES | {"item": shown[3], "act": "pin", "position": "4"})
    admin_client.post(url("quick", NAME), YES | {"item": shown[0], "act": "hide", "position": "1"})
    assert [(rule.kind, rule.parameters) for rule in PlacementRule.objects.all()] == [
        ("pin", {"item": shown[3], "position": 4}),
        ("hide", {"attribute": "item", "values": [shown[0]]}),
    ]
    answer = admin_client.post(url("quick", NAME), YES | {"item": "nothing", "act": "pin"}, follow=True)
    assert "does not offer this product now" in answer.content.decode()
    assert PlacementRule.objects.count() == 2


def test_each_change_of_a_draft_is_audited_with_its_reason(admin_client, shop):
    add(admin_client, "pin", item="pot 1", position=1)
    rule = PlacementRule.objects.get()
    admin_client.post(url("rule", NAME, rule.pk), {"item": "pot 1", "position": 2, "reason": "lower"})
    hidden = {"item": str(shop[3].pk), "act": "hide"}
    asked = admin_client.post(url("quick", NAME), hidden).content.decode()
    assert f"Hide {shop[3].name} in the draft?" in asked
    assert PlacementRule.objects.count() == 1, "nothing changes before the answer"
    admin_client.post(url("quick", NAME), hidden | {"confirmed": "1", "reason": "broken"})
    admin_client.post(url("settings", NAME), {"LIMIT": 3, "reason": "a small page"})
    asked = admin_client.post(url("remove", NAME, rule.pk)).content.decode()
    assert "Pot 1 is pinned to place 2" in asked
    admin_client.post(url("remove", NAME, rule.pk), {"confirmed": "1", "reason": "sold"})
    pot, trail = str(shop[21].pk), AuditEntry.objects.order_by("pk")
    assert [(each.done_by, each.reason, each.detail) for each in trail] == [
        ("admin", why, {"placement": NAME, "change": f"draft: {change}", **detail})
        for why, change, detail in (
            ("Advent begins", "rule added", {"rule": "pin", "item": pot, "position": 1}),
            ("lower", "rule changed", {"rule": "pin", "item": pot, "position": 2}),
            ("broken", "rule added", {"rule": "hide", "attribute": "item", "values": [hidden["item"]]}),
            ("a small page", "settings changed", {"LIMIT": 3}),
            ("sold", "rule removed", {"rule": "pin", "item": pot, "position": 2}),
        )
    ]
    html = page(admin_client, reverse("admin:sessrec_auditentry_changelist"))
    assert "placement: Product page" in html
    assert "change: draft: rule removed" in html


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_draft_is_not_changed_without_a_reason(admin_client, shop, reason):
    assert "This field is required" in add(
        admin_client, "pin", status=200, item="pot 1", position=1, reason=reason
    )
    admin_client.post(url("settings", NAME), {"LIMIT": 3, "reason": reason})
    admin_client.post(
        url("quick", NAME), {"item": str(shop[3].pk), "act": "pin", "confirmed": "1", "reason": reason}
    )
    assert not RuleSet.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_live_rule_is_changed_and_removed_in_a_draft_only(admin_client, shop):
    add(admin_client, "pin", item="pot 1", position=1)
    confirmed(admin_client, "publish")
    live = live_set(NAME).rules.get()
    admin_client.post(url("rule", NAME, live.pk), WHY | {"item": "pot 3", "position": 1})
    live.refresh_from_db()
    assert live.parameters["item"] == str(shop[21].pk)
    draft = RuleSet.objects.draft(NAME)
    assert [rule.parameters["item"] for rule in draft.rules.all()] == [str(shop[23].pk)]
    draft.delete()
    admin_client.post(url("remove", NAME, live.pk), YES)
    assert live_set(NAME).rules.count() == 1
    assert RuleSet.objects.draft(NAME).rules.count() == 0
    answer = admin_client.post(url("remove", NAME, live.pk), YES, follow=True)
    assert "This rule is no longer in the draft" in answer.content.decode(), "it is gone already"
    assert RuleSet.objects.draft(NAME).rules.count() == 0


@pytest.mark.parametrize("live", [False, True])
def test_a_rule_that_a_colleague_changed_meanwhile_is_not_removed(admin_client, shop, live):
    add(admin_client, "pin", item="pot 1", position=1)
    if live:
        confirmed(admin_client, "publish")
    rule = PlacementRule.objects.get()
    asked = YES | {"about": admin_client.post(url("remove", NAME, rule.pk)).context["question"].about}
    admin_client.post(url("rule", NAME, rule.pk), WHY | {"item": "pot 1", "position": 3})
    html = admin_client.post(url("remove", NAME, rule.pk), asked, follow=True).content.decode()
    said = "This rule is no longer in the draft" if live else "has changed since you were asked"
    assert said in html
    assert "Removed in the draft" not in html
    assert [each.parameters["position"] for each in RuleSet.objects.draft(NAME).rules.all()] == [3]


def test_settings_say_where_they_come_from_and_are_changed_in_the_draft(admin_client, shop):
    html = page(admin_client, url("page", NAME))
    assert "the shop&#x27;s settings" in html
    answer = admin_client.post(url("settings", NAME), WHY | {"LIMIT": 3, "HIDE_VIEWED": "False"})
    assert answer.status_code == 302
    assert RuleSet.objects.draft(NAME).changes == {"LIMIT": 3, "HIDE_VIEWED": False}
    assert "this draft" in page(admin_client, url("page", NAME))
    assert len(get_recommendations(None, NAME, item=shop[8]).items) == 8
    confirmed(admin_client, "publish")
    assert len(get_recommendations(None, NAME, item=shop[8]).items) == 3


def test_contradictions_and_what_has_no_effect_are_said(admin_client, shop):
    draft = draft_of(NAME, "ada")
    sold_out = Product.objects.create(name="samovar", category="pot", stock=0)
    pot = str(shop[21].pk)
    for kind, given, more in (
        ("pin", {"item": pot, "position": 1}, {}),
        ("pin", {"item": str(shop[23].pk), "position": 1}, {}),
        ("pin", {"item": str(sold_out.pk), "position": 30}, {}),
        ("hide", {"attribute": "item", "values": [pot]}, {}),
        ("boost", {"attribute": "category", "values": ["tea"], "places": 1}, {}),
        ("bury", {"attribute": "category", "values": ["tea"], "places": 2}, {}),
        ("related", {"attribute": "category", "same": True}, {}),
        ("related", {"attribute": "category", "same": False}, {}),
        ("price", {"high": 5}, {}),
        ("price", {"low": 9}, {"ends_at": timezone.now() - timedelta(days=1)}),
        ("stock", {"pieces": 1}, {"group": "trade"}),
        ("cap", {}, {}),
    ):
        draft.rules.create(kind=kind, parameters=given, **more)
    html = page(admin_client, url("page", NAME))
    for words in (
        "hiding wins", "follows at the next place", "not available now", "has only 8 places",
        "against each other", "leave nothing", "leave no price", "is over", "no CUSTOMER_GROUP",
        "cannot be read",
    ):  # fmt: skip
        assert words in html, words


def test_a_pinned_product_that_a_rule_hides_by_its_category_is_said(admin_client, shop):
    add(admin_client, "pin", item="pot 1", position=1)
    add(admin_client, "hide", what_attribute="category", what_values="cup")
    assert "hiding wins" not in page(admin_client, url("page", NAME))
    add(admin_client, "hide", what_attribute="category", what_values="pot")
    assert "hiding wins" in page(admin_client, url("page", NAME))


def test_rows_that_nobody_can_read_leave_the_page_as_it_is(admin_client, shop):
    draft = draft_of(NAME, "ada")
    late = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    for kind, given in (
        ("hide", {"attribute": "item", "values": 5}),
        ("hide", {"attribute": "item", "values": ["1"], "on_screen": "here"}),
        ("hide", {"attribute": "item", "values": ["1"], "on_screen": {"attribute": "item", "values": None}}),
        ("price", {"low": "much", "relative": True}),
        ("of another version", []),
    ):
        draft.rules.create(kind=kind, parameters=given, ends_at=late)
    html = page(admin_client, url("page", NAME))
    assert "cannot be read" in html
    assert "9999" in html
    page(admin_client, url("preview", NAME))


def test_rules_of_a_placement_that_was_renamed_are_named(admin_client, shop, sessrec):
    add(admin_client, "pin", item="pot 1", position=1)
    confirmed(admin_client, "publish")
    listed = reverse("admin:sessrec_ruleset_changelist")
    assert "Rules without a placement" not in page(admin_client, listed)
    sessrec["PLACEMENTS"] = {"product-page": {"LIMIT": 8}}
    html = page(admin_client, listed)
    assert "Rules without a placement" in html
    assert NAME in html
    assert admin_client.get(url("page", NAME)).status_code == 404


def test_who_works_on_a_draft_is_told_that_an_earlier_version_was_brought_back(admin_client, shop):
    add(admin_client, "pin", item="pot 1", position=1)
    confirmed(admin_client, "publish")
    first = RuleSet.objects.history(NAME).first()
    add(admin_client, "pin", item="pot 3", position=2)
    said = "brought an earlier version back"
    assert said not in page(admin_client, url("page", NAME))
    asked = admin_client.post(url("restore", NAME, first.pk)).content.decode()
    assert "Pot 1 is pinned to place 1" in asked, "what will be live"
    confirmed(admin_client, "restore", first.pk)
    assert said in page(admin_client, url("page", NAME))
    assert said in admin_client.post(url("publish", NAME)).content.decode()


def test_an_old_version_is_found_on_a_further_page_of_the_history(admin_client, shop):
    for number in range(VERSIONS + 2):
        publish(draft_of(NAME, "ada"), "ada", f"reason {number}.")
    newest = page(admin_client, url("page", NAME))
    assert ("reason 11." in newest, "reason 1." in newest) == (True, False)
    assert newest.count(">live</span>") == 1
    oldest = page(admin_client, url("page", NAME) + f"?product={shop[8].pk}&history=2")
    assert f"?product={shop[8].pk}&amp;history=1#sessrec-history" in oldest
    assert "Page 2 of 2" in oldest
    assert ("reason 1." in oldest, "reason 2." in oldest) == (True, False)
    assert oldest.count("/restore/") == 2
    assert "Bring back: no rules" not in newest + oldest, "what is live has none"
    assert ">live</span>" not in oldest
    for rubbish in ("99", "-1", "x", "9" * 5000):
        page(admin_client, url("page", NAME) + f"?history={rubbish}")


@pytest.mark.parametrize("name", ["a\x00b", "nowhere"])
def test_no_address_of_an_unknown_placement_is_an_error(admin_client, shop, name):
    add(admin_client, "pin", item="pot 1", position=1)
    rule = RuleSet.objects.draft(NAME).rules.get()
    for view, args in (
        ("page", ()), ("preview", ()), ("settings", ()), ("add", ("pin",)), ("rule", (rule.pk,)),
    ):  # fmt: skip
        assert admin_client.get(url(view, name, *args)).status_code == 404, view
    for view, args in (
        ("remove", (rule.pk,)), ("quick", ()), ("publish", ()), ("discard", ()), ("restore", (1,)),
        ("restore_none", ()),
    ):  # fmt: skip
        assert admin_client.post(url(view, name, *args), {"item": "\x00"}).status_code == 404, view


def test_products_and_values_are_suggested_by_name(admin_client, shop):
    products = admin_client.get(url("suggest"), {"q": "pot 1"}).json()["options"]
    assert products == [{"value": f"pot 1 [{shop[21].pk}]", "label": ""}]
    values = admin_client.get(url("suggest"), {"attribute": "category", "q": "te"}).json()["options"]
    assert values == [{"value": "tea", "label": ""}]
    assert admin_client.get(url("suggest"), {"attribute": "moon", "q": "x"}).json()["options"] == []


def test_an_attribute_of_ten_thousand_values_is_not_listed_whole(admin_client, shop):
    Product.objects.bulk_create(Product(name="x", category=f"kind {n:05}") for n in range(10_000))
    assert len(admin_client.get(url("suggest"), {"attribute": "category"}).json()["options"]) == 12
    assert len(page(admin_client, url("add", NAME, "hide"))) < 40_000


def test_a_rule_that_was_removed_in_another_tab_is_told_as_gone(admin_client, shop):
    for item in ("pot 1", "pot 3"):
        add(admin_client, "pin", item=item, position=1)
    rule, other = PlacementRule.objects.all()
    for _click in range(2):
        answer = admin_client.post(url("remove", NAME, rule.pk), YES, follow=True)
        assert answer.status_code == 200
    changed = admin_client.post(
        url("rule", NAME, rule.pk), WHY | {"item": "pot 5", "position": 1}, follow=True
    )
    for each in (answer, changed, admin_client.get(url("rule", NAME, rule.pk), follow=True)):
        assert "This rule is no longer in the draft" in each.content.decode()
    assert PlacementRule.objects.get() == other


def test_an_unknown_placement_or_kind_is_not_found(admin_client, shop):
    for address in (url("page", "moon"), url("preview", "moon"), url("settings", "moon"),
                    url("add", "moon", "pin"), url("add", NAME, "moon")):  # fmt: skip
        assert admin_client.get(address).status_code == 404
    assert admin_client.post(url("publish", "nothing")).status_code == 404


def test_the_list_of_placements_says_what_each_has(admin_client, shop):
    add(admin_client, "pin", item="pot 1", position=1)
    confirmed(admin_client, "publish")
    add(admin_client, "pin", item="pot 3", position=2)
    html = page(admin_client, reverse("admin:sessrec_ruleset_changelist"))
    assert "Product page</a>" in html
    assert "You may also like" in html
    assert html.count(">draft<") == 1


def test_who_may_look_and_who_may_change(client, shop):
    clerk = User.objects.create_user("clerk", password="clerk", is_staff=True)
    client.force_login(clerk)
    assert client.get(url("page", NAME)).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_ruleset"))
    publish(draft_of(NAME, "ada"), "ada", "a start")
    draft_of(NAME, "ada")
    html = page(client, url("page", NAME))
    assert "Go live" not in html
    assert "Pin<" not in html
    for view, args in (
        ("publish", ()), ("discard", ()), ("restore", (live_set(NAME).pk,)), ("restore_none", ()),
        ("quick", ()),
    ):  # fmt: skip
        assert client.post(url(view, NAME, *args), {"item": shop[1].pk}).status_code == 403
    for address in (url("add", NAME, "pin"), url("settings", NAME)):
        assert client.get(address).status_code == 403


def test_what_a_colleague_added_after_the_question_is_not_discarded(admin_client, shop):
    add(admin_client, "pin", item="pot 1", position=1)
    asked = YES | {"about": admin_client.post(url("discard", NAME)).context["question"].about}
    add(admin_client, "hide", what_attribute="category", what_values="tea")
    again = admin_client.post(url("discard", NAME), asked).content.decode()
    assert "has changed since you were asked" in again
    assert RuleSet.objects.draft(NAME).rules.count() == 2


@pytest.mark.parametrize("view", ["publish", "restore", "restore_none"])
def test_who_answers_after_a_colleague_changed_it_is_asked_again(admin_client, shop, view):
    add(admin_client, "hide", what_attribute="category", what_values="tea")
    publish(RuleSet.objects.draft(NAME), "ada", "a start")
    address = url(view, NAME, *([live_set(NAME).pk] if view == "restore" else []))
    draft_of(NAME, "ada")
    asked = YES | {"about": admin_client.post(address).context["question"].about}
    add(admin_client, "pin", item=shop[21].pk, position=1)
    if view != "publish":
        publish(draft_of(NAME, "ada"), "ada", "meanwhile")
    sets = RuleSet.objects.filter(published_at__isnull=False).count()
    assert "has changed since you were asked" in admin_client.post(address, asked).content.decode()
    assert RuleSet.objects.filter(published_at__isnull=False).count() == sets
    confirmed(admin_client, view, *([live_set(NAME).pk] if view == "restore" else []))
    assert RuleSet.objects.filter(published_at__isnull=False).count() == sets + 1


def test_a_second_click_pins_once(admin_client, shop):
    for _click in range(2):
        given = {"item": shop[3].pk, "act": "pin", "position": 2}
        assert admin_client.post(url("quick", NAME), YES | given).status_code == 302
    assert [rule.parameters["position"] for rule in RuleSet.objects.draft(NAME).rules.all()] == [2]
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("position", ["", "0", "-1", "²", "101", "9" * 5000])
def test_a_place_that_no_list_has_is_the_first(admin_client, shop, position):
    given = {"item": shop[3].pk, "act": "pin", "position": position}
    assert admin_client.post(url("quick", NAME), YES | given).status_code == 302
    assert RuleSet.objects.draft(NAME).rules.get().parameters["position"] == 1


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_rule_begins_and_ends_on_days_that_every_time_zone_has(admin_client, shop, settings, moment):
    """Postgres would keep such a moment, and no page could read it again."""
    for settings.TIME_ZONE in ("Europe/Berlin", "America/New_York"):
        add(admin_client, "pin", 200, item=shop[3].pk, position=1, starts_at=moment)
        add(admin_client, "pin", 200, item=shop[3].pk, position=1, ends_at=moment)
    page(admin_client, url("page", NAME))


@pytest.mark.parametrize("view", ["publish", "discard", "quick"])
def test_a_link_changes_nothing(admin_client, shop, view):
    draft_of(NAME, "ada")
    assert admin_client.get(url(view, NAME)).status_code == 405


def test_the_list_of_placements_says_who_is_asked(admin_client, shop, sessrec):
    sessrec["PLACEMENTS"] = {
        NAME: {"MODELS": ["neighbours"]},
        "basket": {"MODELS": ["neighbours"], "STEPS": ["bought_together", "model", "popular"]},
    }
    html = page(admin_client, reverse("admin:sessrec_ruleset_changelist"))
    assert ">neighbours</td>" in html
    assert ">bought together, neighbours, most popular</td>" in html
