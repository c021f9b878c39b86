"""Placements in a real browser: accessible, within a strict policy, no wider than a phone."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from django_sessrec.admin.placements import VERSIONS
from django_sessrec.ids import uuid7
from django_sessrec.serving.rule_sets import draft_of, publish
from tests.support.axe import violations
from tests.support.browser import needs_chromium
from tests.support.history import happen, show

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]
NAME = "product_page"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def addresses(products, trails, promote, sessrec) -> dict[str, str]:
    """Every page of a placement with live rules, a draft, warnings and recent sessions."""
    steps = ["search", "model", "popular", "static"]
    sessrec["PLACEMENTS"] = {NAME: {"TITLE": "You may also like", "STEPS": steps}, "home": {"LIMIT": 4}}
    promote(trails)
    live = draft_of(NAME, "ada")
    live.rules.create(kind="cap", parameters={"attribute": "category", "most": 2, "window": 6})
    publish(live, "ada", "less of the same")
    for _version in range(VERSIONS):
        publish(draft_of(NAME, "ada"), "ada", "once more")
    draft = draft_of(NAME, "ada")
    rule = draft.rules.create(
        kind="pin",
        parameters={"item": str(products[21].pk), "position": 2},
        ends_at=timezone.now() + timedelta(days=9),
        note="the season begins",
    )
    draft.rules.create(kind="hide", parameters={"attribute": "item", "values": [str(products[21].pk)]})
    now = timezone.now()
    for n in range(4):
        session_id = uuid7(now - timedelta(minutes=9 + n))
        for step in range(3):
            at = now - timedelta(minutes=8 + n - step)
            happen(session_id, at, "view_item", str(products[2 * (n + step)].pk))
        show(session_id, at + timedelta(seconds=1), [str(products[1].pk)], placement=NAME)
    url = {
        "list": reverse("admin:sessrec_ruleset_changelist"),
        "page": reverse("admin:sessrec_placement_page", args=[NAME]),
        "preview": reverse("admin:sessrec_placement_preview", args=[NAME]),
        "settings": reverse("admin:sessrec_placement_settings", args=[NAME]),
        "pin": reverse("admin:sessrec_placement_rule", args=[NAME, rule.pk]),
    }
    return url | {
        kind: reverse("admin:sessrec_placement_add", args=[NAME, kind]) for kind in ("beside", "price")
    }


def test_no_page_of_a_placement_breaks_a_rule_or_is_wider_than_a_phone(tab, addresses):
    found = {}
    for name, address in addresses.items():
        tab.set_viewport_size(WIDE)
        tab.goto(address)
        tab.evaluate("document.querySelectorAll('.sessrec details').forEach(each => each.open = true)")
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            found[name, scheme] = violations(tab)
        tab.set_viewport_size(PHONE)
        found[name, "phone"] = violations(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
    assert {where: broken for where, broken in found.items() if broken} == {}


def test_a_product_is_found_as_one_types_and_saved_by_keyboard_alone(tab, addresses, products):
    tab.goto(reverse("admin:sessrec_placement_add", args=[NAME, "hide"]))
    tab.get_by_label("… that is one of").first.focus()
    tab.keyboard.type("pot 3")
    options = tab.locator("datalist option")
    options.first.wait_for(state="attached")
    assert options.first.get_attribute("value") == f"pot 3 [{products[23].pk}]"
    tab.keyboard.press("Enter")
    assert tab.locator("#id_what_values").input_value() == "pot 3"
    tab.get_by_label("Why?").fill("sold elsewhere")
    tab.get_by_role("button", name="Save in the draft").press("Enter")
    tab.wait_for_url(f"**{addresses['page']}")
    assert "Never show pot 3" in tab.content()
