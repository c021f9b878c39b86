"""Our pages of the admin, full, judged by axe-core in a real browser."""

import pytest
from django.urls import reverse

from tests.support.admin import LISTS
from tests.support.axe import violations
from tests.support.browser import needs_chromium, until

FADED = "box => parseFloat(getComputedStyle(box).getPropertyValue('--sessrec-more'))"

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]


def test_no_page_of_the_admin_breaks_a_rule(tab, rows):
    addresses = [reverse(f"admin:sessrec_{name}_changelist") for name in ("report", *LISTS)]
    addresses += [
        reverse(f"admin:sessrec_{name}_change", args=[row.pk])
        for name, row in rows.items()
        if name in {"trainingrun", "promotion", "event", "impression"}
    ]
    found = {}
    for address in addresses:
        tab.goto(address)
        found[address] = violations(tab)
    assert {address: broken for address, broken in found.items() if broken} == {}


def test_a_table_that_is_wider_than_its_box_fades_where_there_is_more(tab, rows):
    tab.set_viewport_size({"width": 700, "height": 900})  # narrow, and no phone
    tab.goto(reverse("admin:sessrec_report_changelist"))
    box = tab.locator(".sessrec-stacks").first
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert box.evaluate(FADED) > 0
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    until(lambda: box.evaluate(FADED) == 0)
    assert box.evaluate(FADED) == 0
