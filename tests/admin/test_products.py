"""Products and data: what needs a look, whose visits count, and how far the shop is."""

import pytest
from django.urls import reverse

from django_sessrec.measuring.days import today
from django_sessrec.models import DailyPages
from tests.demo.models import Product
from tests.support.admin import page
from tests.support.axe import violations
from tests.support.browser import needs_chromium

pytestmark = pytest.mark.django_db
PAGE = "admin:sessrec_products"


def test_flaws_readiness_and_visitors_are_on_the_page(admin_client):
    for name in ("green tea", "<b>black</b> tea"):
        Product.objects.create(name=name, category="tea")
    html = page(admin_client, reverse(PAGE))
    assert "Without a picture: 2" in html
    assert "&lt;b&gt;black&lt;/b&gt; tea" in html
    assert "Readiness:" in html
    assert "Sessions with consent" in html
    assert f"{reverse('admin:sessrec_inspector_changelist')}?item=" in html


def test_the_share_of_pages_with_consent(admin_client):
    card = {str(heading): cell.text for heading, cell in admin_client.get(reverse(PAGE)).context["cards"]}
    assert card["Pages with consent"] == "\N{EN DASH}"
    DailyPages.objects.create(day=today(), with_consent=30, without_consent=10, bots=99)
    answer = admin_client.get(reverse(PAGE))
    cards = {str(heading): (cell.text, cell.note) for heading, cell in answer.context["cards"]}
    assert cards["Pages with consent"] == ("75.0\N{NO-BREAK SPACE}%", "of 40 pages")


def test_a_catalogue_that_raises_leaves_the_rest(admin_client, settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": "nowhere.Catalogue"}
    html = page(admin_client, reverse(PAGE))
    assert "Nothing was found." in html
    assert "Readiness:" in html


def test_only_who_may_see_the_report_sees_it(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403


@pytest.mark.e2e
@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_it_breaks_no_rule_of_accessibility(tab):
    Product.objects.create(name="tea", category="tea")
    tab.goto(reverse(PAGE))
    assert violations(tab) == []
