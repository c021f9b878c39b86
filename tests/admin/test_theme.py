"""Our pages of the admin under a theme that replaces Django's stylesheet, as django-unfold does."""

import pytest
from django.urls import reverse

from tests.support.browser import needs_chromium

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), needs_chromium]

DRAWN = """selector => {
    const style = getComputedStyle(document.querySelector(selector));
    const seen = colour => !/^rgba\\(.*, 0\\)$/.test(colour) && colour !== "transparent";
    return {
        ground: seen(style.backgroundColor),
        border: style.borderTopStyle === "solid",
        line: seen(style.stroke),
    };
}"""


@pytest.fixture
def themed(tab):
    """A tab in which none of the colours of Django's admin are defined."""
    for sheet in ("base", "dark_mode"):
        tab.route(f"**/admin/css/{sheet}.css", lambda route: route.fulfill(body="", content_type="text/css"))
    return tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cards_stripes_and_buttons_are_seen(themed, rows, scheme):
    themed.emulate_media(color_scheme=scheme)
    themed.goto(reverse("admin:sessrec_report_changelist"))
    card = themed.evaluate(DRAWN, ".sessrec-card")
    assert card["ground"]
    assert card["border"]
    assert themed.evaluate(DRAWN, ".sessrec-button")["border"]
    assert themed.evaluate(DRAWN, ".sessrec-plot line")["line"]
    themed.goto(reverse("admin:sessrec_trainingrun_change", args=[rows["trainingrun"].pk]))
    assert themed.evaluate(DRAWN, ".sessrec tbody tr:nth-child(even)")["ground"]
    assert themed.evaluate(DRAWN, ".sessrec-scroll")["border"]


def test_the_main_button_can_be_read(themed, rows):
    themed.goto(reverse("admin:sessrec_trainingrun_changelist"))
    ground, text = themed.evaluate(
        """() => {
            const style = getComputedStyle(document.querySelector(".sessrec-button.sessrec-main"));
            return [style.backgroundColor, style.color];
        }"""
    )
    assert (ground, text) == ("rgb(11, 111, 184)", "rgb(255, 255, 255)")
