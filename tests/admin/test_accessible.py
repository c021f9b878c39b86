"""Our pages of the admin, full, judged by axe-core in a real browser."""

import pytest
from django.urls import reverse

from tests.support.admin import LISTS
from tests.support.axe import violations
from tests.support.browser import needs_chromium

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
