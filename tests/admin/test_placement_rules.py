"""Rules in the admin: each kind is made, read and changed, and what makes no sense is refused."""

import re
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType

from django_sessrec.models import AuditEntry, PlacementRule, RuleSet
from django_sessrec.serving import merchant_rules
from tests.demo.models import Product
from tests.support.admin import page
from tests.support.placements import NAME, WHY, add, confirmed, url

pytestmark = pytest.mark.django_db
TOO_MANY = "\n".join(map(str, range(501)))


@pytest.mark.parametrize(
    ("kind", "given", "parameters", "sentence"),
    [
        (
            "hide",
            {"what_attribute": "category", "what_values": "tea\r\ntea\r\ncup"},
            {"attribute": "category", "values": ["tea", "cup"]},
            "Never show category tea, cup",
        ),
        (
            "boost",
            {"what_attribute": "category", "what_values": "tea", "places": 3},
            {"attribute": "category", "values": ["tea"], "places": 3},
            "Category tea 3 places up",
        ),
        (
            "bury",
            {"what_attribute": "category", "what_values": "tea", "places": 0},
            {"attribute": "category", "values": ["tea"], "places": 0},
            "Category tea last",
        ),
        (
            "cap",
            {"attribute": "category", "most": 2, "window": 6},
            {"attribute": "category", "most": 2, "window": 6},
            "At most 2 of the same category among any 6 in a row",
        ),
        (
            "related",
            {"attribute": "category", "same": "True"},
            {"attribute": "category", "same": True},
            "Only products of the same category as the product on the page",
        ),
        (
            "price",
            {"relative": "True", "low": 50, "high": 150},
            {"relative": True, "low": 0.5, "high": 1.5},
            "Only products of 50\N{NO-BREAK SPACE}% to 150\N{NO-BREAK SPACE}% of the price on the page",
        ),
        ("price", {"low": 20}, {"relative": False, "low": 20}, "Only products that cost 20 or more"),
        (
            "price",
            {"relative": "True", "low": 12.5, "high": 29},
            {"relative": True, "low": 0.125, "high": 0.29},
            "Only products of 12.50\N{NO-BREAK SPACE}% to 29\N{NO-BREAK SPACE}% of the price on the page",
        ),
        (
            "stock",
            {"pieces": 3, "last": "True"},
            {"pieces": 3, "last": True},
            "Products with less than 3 in stock are shown last",
        ),
        (
            "beside",
            {
                "what_attribute": "category",
                "what_values": "tea",
                "other_attribute": "category",
                "other_values": "cup",
            },
            {
                "attribute": "category",
                "values": ["tea"],
                "other": {"attribute": "category", "values": ["cup"]},
            },
            "Never category tea beside category cup",
        ),
    ],
)
def test_each_kind_of_rule_is_made_read_and_changed(admin_client, shop, kind, given, parameters, sentence):
    add(admin_client, kind, **given)
    rule = PlacementRule.objects.get()
    assert (rule.kind, rule.parameters) == (kind, parameters)
    assert sentence in page(admin_client, url("page", NAME))
    form = admin_client.get(url("rule", NAME, rule.pk)).context["form"]
    data = {name: form[name].value() for name in form.fields}
    shown = {name: "\n".join(value) if isinstance(value, list) else value for name, value in data.items()}
    answer = admin_client.post(
        url("rule", NAME, rule.pk), WHY | {name: value for name, value in shown.items() if value is not None}
    )
    assert answer.status_code == 302, answer.content.decode()
    rule.refresh_from_db()
    assert rule.parameters == parameters, "saved again as it was"


def test_a_second_click_adds_no_second_rule(admin_client, shop):
    for _click in range(2):
        add(admin_client, "cap", attribute="category", most=2, window=6)
    add(admin_client, "cap", attribute="category", most=3, window=6)
    assert [rule.parameters["most"] for rule in PlacementRule.objects.all()] == [2, 3]
    assert [entry.detail["change"] for entry in AuditEntry.objects.all()] == ["draft: rule added"] * 2


def test_a_live_rule_that_is_changed_twice_is_one_rule_of_the_draft(admin_client, shop):
    add(admin_client, "cap", attribute="category", most=2, window=6)
    confirmed(admin_client, "publish")
    live = PlacementRule.objects.get()
    changed = WHY | {"attribute": "category", "most": 4, "window": 6}
    for _click in range(2):
        assert admin_client.post(url("rule", NAME, live.pk), changed).status_code == 302
    draft = RuleSet.objects.draft(NAME)
    assert [rule.parameters["most"] for rule in draft.rules.all()] == [4]


def shown(client, address) -> dict[str, str]:
    """What a form on that page posts unless somebody changes it, its hidden fields among it."""
    answer = client.get(address)
    form = answer.context["form"]
    fields = {name: form[name].value() for name in form.fields}
    [about] = re.findall(r'name="about" value="(\w+)"', answer.content.decode())
    return WHY | {name: value for name, value in fields.items() if value is not None} | {"about": about}


@pytest.mark.parametrize("live", [False, True])
def test_a_form_does_not_replace_what_somebody_else_changed_meanwhile(admin_client, shop, live):
    add(admin_client, "cap", attribute="category", most=2, window=6)
    if live:
        confirmed(admin_client, "publish")
    address = url("rule", NAME, PlacementRule.objects.get().pk)
    mine, theirs = (shown(admin_client, address) | {"most": most} for most in (4, 5))
    for _click in range(2):
        assert admin_client.post(address, theirs).status_code == 302, "a second click is no change"
    answer = admin_client.post(address, mine)
    told = "This rule is no longer in the draft" if live else "Somebody has changed this"
    assert told in answer.content.decode()
    rules = RuleSet.objects.draft(NAME).rules
    assert [rule.parameters["most"] for rule in rules.all()] == [5]
    if live:
        del mine["about"]
        assert told in admin_client.post(address, mine).content.decode(), "no second rule beside theirs"
        assert told in admin_client.get(address, follow=True).content.decode()
        assert [rule.parameters["most"] for rule in rules.all()] == [5]
    else:
        [about] = re.findall(r'name="about" value="(\w+)"', answer.content.decode())
        assert admin_client.post(address, mine | {"about": about}).status_code == 302, "having been told"
        assert [rule.parameters["most"] for rule in rules.all()] == [4]


def test_a_rule_that_was_live_before_is_not_added_beside_its_newer_form(admin_client, shop):
    """The page was opened before a colleague went live with the changed rule."""
    add(admin_client, "cap", attribute="category", most=2, window=6)
    confirmed(admin_client, "publish")
    address = url("rule", NAME, PlacementRule.objects.get().pk)
    mine, theirs = (shown(admin_client, address) | {"most": most} for most in (4, 5))
    admin_client.post(address, theirs)
    confirmed(admin_client, "publish")
    assert "This rule is no longer in the draft" in admin_client.post(address, mine).content.decode()
    assert RuleSet.objects.draft(NAME) is None


def test_settings_do_not_replace_what_somebody_else_changed_meanwhile(admin_client, shop):
    address = url("settings", NAME)
    mine, theirs = shown(admin_client, address) | {"LIMIT": 3}, shown(admin_client, address)
    theirs |= {"HIDE_VIEWED": "False"}
    for _click in range(2):
        assert admin_client.post(address, theirs).status_code == 302, "a second click is no change"
    assert "Somebody has changed this" in admin_client.post(address, mine).content.decode()
    assert RuleSet.objects.draft(NAME).changes == {"HIDE_VIEWED": False}


def test_dates_pages_and_groups_narrow_a_rule(admin_client, shop, sessrec):
    sessrec["CUSTOMER_GROUP"] = "tests.serving.test_merchandising.group"
    add(
        admin_client,
        "pin",
        item=f"pot 1 [{shop[21].pk}]",
        position=2,
        starts_at="2026-12-01T00:00",
        ends_at="2026-12-24T18:00",
        group="trade",
        on_screen_attribute="item",
        on_screen_values="pot 3",
        note="Advent",
    )
    rule = PlacementRule.objects.get()
    assert rule.parameters["on_screen"] == {"attribute": "item", "values": [str(shop[23].pk)]}
    assert (rule.group, rule.note, rule.ends_at - rule.starts_at) == (
        "trade",
        "Advent",
        timedelta(days=23, hours=18),
    )
    html = page(admin_client, url("page", NAME))
    for words in ("only on pages of pot 3", "only for the customer group trade", "Advent"):
        assert words in html


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("pin", {"item": "samovar", "position": 1}, "No product is called “samovar”"),
        ("pin", {"item": "pot", "position": 1}, "Several products are called so"),
        ("pin", {"item": "", "position": 1}, "This field is required"),
        ("pin", {"item": "pot 1", "position": 0}, "greater than or equal to 1"),
        ("hide", {"what_attribute": "item", "what_values": "pot 1\nsamovar"}, "No product is called"),
        (
            "hide",
            {"what_attribute": "category", "what_values": "\n".join(map(str, range(501)))},
            "At most 500",
        ),
        (
            "hide",
            {"what_attribute": "category", "what_values": f"tea\n{'x' * 404}"},
            "Line 2 has more than 403 characters.",
        ),
        ("cap", {"attribute": "category", "most": 3, "window": 3}, "nothing would change"),
        ("price", {"relative": "True"}, "Give the lowest price"),
        ("price", {"low": 5, "high": 2}, "below the lowest"),
        (
            "stock",
            {"pieces": 2, "starts_at": "2026-12-02T00:00", "ends_at": "2026-12-01T00:00"},
            "The end is before the start",
        ),
        ("stock", {"pieces": 2, "on_screen_attribute": "category"}, "write at least one value"),
        ("stock", {"pieces": 10**10}, "less than or equal to 1000000000"),
        ("price", {"low": "1e999"}, "Enter a number"),
        ("price", {"high": "9" * 5000}, "Enter a number"),
        ("pin", {"item": "pot 1\x00", "position": 1}, "Null characters are not allowed"),
        ("pin", {"item": "pot 1", "position": 1, "note": "a\x00b"}, "Null characters are not allowed"),
        ("pin", {"item": "pot 1", "position": 1, "starts_at": "9999-12-31T23:59"}, "less than or equal"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_remedy(admin_client, shop, kind, given, message):
    assert message in add(admin_client, kind, status=200, **given)
    assert not PlacementRule.objects.exists()


def form_as_shown(client, rule) -> dict[str, str]:
    """What the rule's form holds as a browser would send it."""
    form = client.get(url("rule", NAME, rule.pk)).context["form"]
    values = {name: form[name].value() for name in form.fields}
    values = {name: "\n".join(each) if isinstance(each, list) else each for name, each in values.items()}
    return WHY | {name: each for name, each in values.items() if each is not None}


def test_a_value_that_is_a_key_is_written_and_shown_by_its_name(admin_client, shop, sessrec):
    sessrec["CATALOGUE"] = "tests.serving.test_catalogue.Permissions"
    user = ContentType.objects.get(app_label="auth", model="user")
    add(admin_client, "hide", what_attribute="category", what_values=f"{user} [{user.pk}]\nnothing of ours")
    rule = PlacementRule.objects.get()
    assert rule.parameters["values"] == [str(user.pk), "nothing of ours"]
    shown = form_as_shown(admin_client, rule)
    assert shown["what_values"].splitlines() == [f"{user} [{user.pk}]", "nothing of ours"]
    assert admin_client.post(url("rule", NAME, rule.pk), shown).status_code == 302
    assert PlacementRule.objects.get().parameters == rule.parameters
    assert f"Never show category {user}, nothing of ours" in page(admin_client, url("page", NAME))
    options = admin_client.get(url("suggest"), {"attribute": "category", "q": "user"}).json()["options"]
    assert {"value": f"{user} [{user.pk}]", "label": ""} in options


def test_a_percentage_is_shown_as_it_was_written(admin_client, shop):
    add(admin_client, "price", relative="True", low=29, high=57)
    shown = form_as_shown(admin_client, PlacementRule.objects.get())
    assert (shown["low"], shown["high"]) == (29, 57)


def test_a_product_is_pinned_before_it_is_back_in_stock(admin_client, shop):
    sold_out = Product.objects.create(name="samovar", category="pot", stock=0)
    add(admin_client, "pin", item=str(sold_out.pk), position=1)
    assert "Samovar (not offered now) is pinned to place 1" in page(admin_client, url("page", NAME))


def test_a_rule_is_changed_though_its_products_are_sold_out_or_gone(admin_client, shop):
    """Only its dates or its note are meant; the products stand in it already."""
    add(admin_client, "hide", what_attribute="item", what_values="pot 1\npot 2\npot 3")
    rule = PlacementRule.objects.get()
    stored = rule.parameters
    Product.objects.filter(pk=shop[21].pk).update(stock=0)
    Product.objects.filter(pk=shop[22].pk).delete()
    shown = form_as_shown(admin_client, rule)
    assert shown["what_values"].splitlines()[0] == f"pot 1 [{shop[21].pk}]"
    answer = admin_client.post(url("rule", NAME, rule.pk), shown | {"note": "until spring"})
    assert answer.status_code == 302, answer.content.decode()
    rule.refresh_from_db()
    assert (rule.parameters, rule.note) == (stored, "until spring")


def test_a_product_of_any_name_is_chosen_and_changed(admin_client, shop):
    long = Product.objects.create(name=f"<b>tea</b>\n{'very ' * 36}long")
    add(admin_client, "hide", what_attribute="item", what_values=str(long.pk))
    rule = PlacementRule.objects.get()
    shown = form_as_shown(admin_client, rule)
    assert admin_client.post(url("rule", NAME, rule.pk), shown).status_code == 302
    rule.refresh_from_db()
    assert rule.parameters["values"] == [str(long.pk)]
    assert "<b>tea</b>" not in page(admin_client, url("page", NAME))


def test_a_sponsored_place_needs_a_template_that_labels_it(admin_client, shop, sessrec):
    add(admin_client, "sponsored", item="pot 1", position=1)
    sessrec["PLACEMENTS"] = {NAME: {"TEMPLATE": "demo/page.html"}}
    merchant_rules.forget()
    refused = add(admin_client, "sponsored", status=200, item="pot 3", position=1)
    assert "does not label sponsored products" in refused
